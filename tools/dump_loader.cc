#include "tools/dump_loader.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "format/status_macros.h"
#include "tools/json_bytes.h"

namespace peat::tools {
namespace {

// One line of a dump, as far as loading needs it.
struct DumpLine {
  std::string kind = {};
  bool is_current = false;
  std::string key = {};
  std::optional<std::string> value = {};
  std::string reason = {};
};

bool TakesWrites(const std::string& kind) {
  return kind == "put" || kind == "disable" || kind == "enable" ||
         kind == "forget";
}

absl::StatusOr<DumpLine> ParseLine(const std::string& text,
                                   const PairReader& reader) {
  nlohmann::json object =
      nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return reader.Malformed("not a JSON object");
  if (object.contains("skipped")) {
    return reader.Malformed("the dump has skipped a damaged range");
  }
  const auto kind = object.find("kind");
  if (kind == object.end() || !kind->is_string()) {
    return reader.Malformed("no string \"kind\"");
  }
  DumpLine line{.kind = *kind};
  if (!TakesWrites(line.kind)) return line;
  const auto current = object.find("current");
  if (current == object.end() || !current->is_boolean()) {
    return reader.Malformed(
        "not of a store's dump with values: no \"current\"");
  }
  line.is_current = *current;
  if (!line.is_current) return line;
  std::optional<std::string> key = TakeBytes(object, "key");
  if (!key) return reader.Malformed("no string \"key\" or base64 \"key64\"");
  line.key = *std::move(key);
  line.value = TakeBytes(object, "value");
  line.reason = TakeBytes(object, "reason").value_or("");
  if (!line.value.has_value() && line.kind != "forget") {
    return reader.Malformed("the value of a current record is not shown");
  }
  return line;
}

absl::Status Apply(Store& store, const DumpLine& line) {
  if (line.value.has_value()) {
    PEAT_RETURN_IF_ERROR(store.Put(line.key, *line.value));
  }
  const MaskOptions mask{.reason = line.reason};
  if (line.kind == "disable") return store.Disable(line.key, mask);
  if (line.kind == "forget") return store.Forget(line.key, mask).status();
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadDump(Store& store, const LoadOptions& options,
                      PairReader& reader, Progress& progress,
                      LoadCounts* counts) {
  std::string text;
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const bool found, reader.NextJsonText(&text));
    if (!found) break;
    PEAT_ASSIGN_OR_RETURN(const DumpLine line, ParseLine(text, reader));
    if (!line.is_current) continue;
    const absl::Status applied = Apply(store, line);
    const bool is_refused = IsDisabled(applied) || IsForgotten(applied);
    if (!is_refused) PEAT_RETURN_IF_ERROR(applied);
    counts->refused += is_refused ? 1 : 0;
    ++counts->acknowledged;
    progress.Update(reader.bytes_read(), counts->acknowledged);
  }
  return options.flush ? store.Flush().status() : absl::OkStatus();
}

}  // namespace peat::tools
