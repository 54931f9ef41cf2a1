#include "tools/pair_writer.h"

#include "format/status_macros.h"
#include "tools/escape.h"
#include "tools/json_bytes.h"

namespace peat::tools {
namespace {

absl::Status AppendField(std::string_view bytes, std::string* text) {
  if (bytes.find('\0') != bytes.npos) {
    return absl::InvalidArgumentError(
        "a key or value has a zero byte, which format nul cannot hold");
  }
  text->append(bytes);
  text->push_back('\0');
  return absl::OkStatus();
}

}  // namespace

absl::Status WritePair(const PairView& pair, PairFormat format,
                       std::string* text) {
  const auto& [key, value, expires_at] = pair;
  text->clear();
  switch (format) {
    case PairFormat::kTsv:
      *text = Escape(key) + '\t' + Escape(value) + '\n';
      break;
    case PairFormat::kJsonLines: {
      OrderedJson object;
      AddBytes(object, "key", key);
      AddBytes(object, "value", value);
      if (expires_at.has_value()) {
        object["expires_at"] = expires_at->time_since_epoch().count();
      }
      *text = object.dump() + '\n';
      break;
    }
    case PairFormat::kNul:
      PEAT_RETURN_IF_ERROR(AppendField(key, text));
      PEAT_RETURN_IF_ERROR(AppendField(value, text));
      break;
  }
  return absl::OkStatus();
}

absl::Status WriteKey(std::string_view key, PairFormat format,
                      std::string* text) {
  text->clear();
  switch (format) {
    case PairFormat::kTsv:
      *text = Escape(key) + '\n';
      break;
    case PairFormat::kJsonLines: {
      OrderedJson object;
      AddBytes(object, "key", key);
      *text = object.dump() + '\n';
      break;
    }
    case PairFormat::kNul:
      PEAT_RETURN_IF_ERROR(AppendField(key, text));
      break;
  }
  return absl::OkStatus();
}

}  // namespace peat::tools
