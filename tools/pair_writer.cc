#include "tools/pair_writer.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "format/status_macros.h"
#include "tools/escape.h"

namespace peat::tools {
namespace {

// Keeps the order in which members are added.
using Json = nlohmann::ordered_json;

std::string ToBase64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) {
      const uint32_t byte =
          j < count ? static_cast<unsigned char>(bytes[i + j]) : 0;
      word = word << 8U | byte;
    }
    for (size_t j = 0; j < 4; ++j) {
      const uint32_t digit = word >> (18 - 6 * j) & 63U;
      text.push_back(j <= count ? kDigits[digit] : '=');
    }
  }
  return text;
}

void AddMember(const std::string& name, std::string_view bytes, Json* object) {
  if (IsUtf8(bytes)) {
    (*object)[name] = std::string(bytes);
  } else {
    (*object)[name + "64"] = ToBase64(bytes);
  }
}

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

absl::Status WritePair(std::string_view key, std::string_view value,
                       PairFormat format, std::string* text) {
  text->clear();
  switch (format) {
    case PairFormat::kTsv:
      *text = Escape(key) + '\t' + Escape(value) + '\n';
      break;
    case PairFormat::kJsonLines: {
      Json object;
      AddMember("key", key, &object);
      AddMember("value", value, &object);
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
      Json object;
      AddMember("key", key, &object);
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
