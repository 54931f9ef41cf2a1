#include "tools/dump_loader.h"

#include <optional>
#include <string>
#include <string_view>

#include "format/status_macros.h"

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

// What is wanted of a line.
JsonLine::Rule RuleFor(std::string_view name, const PairLimits& limits) {
  using Use = JsonLine::Use;
  constexpr size_t kReasonSize = size_t{64} << 10;
  const auto base64 = [](size_t size) { return (size + 2) / 3 * 4; };
  static constexpr char kKey[] = "key is too long";
  static constexpr char kValue[] = "value is too long";
  static constexpr char kReason[] = "reason is too long";
  if (name == "key") return {Use::kString, limits.key_size, kKey};
  if (name == "key64") return {Use::kString, base64(limits.key_size), kKey};
  if (name == "value") return {Use::kString, limits.value_size, kValue};
  if (name == "value64") {
    return {Use::kString, base64(limits.value_size), kValue};
  }
  if (name == "reason") return {Use::kString, kReasonSize, kReason};
  if (name == "reason64") return {Use::kString, base64(kReasonSize), kReason};
  if (name == "kind") return {Use::kScalar, 64};
  if (name == "current") return {Use::kScalar, 64};
  if (name == "skipped") return {Use::kScalar, 1024};
  return {Use::kSkipped};
}

absl::StatusOr<DumpLine> ParseLine(PairReader& reader) {
  JsonLine& object = reader.json();
  if (object.Has("skipped")) {
    return reader.Malformed("the dump has skipped a damaged range");
  }
  const std::string* const kind = object.String("kind");
  if (kind == nullptr) return reader.Malformed("no string \"kind\"");
  DumpLine line{.kind = *kind};
  if (!TakesWrites(line.kind)) return line;
  const std::string* const current = object.Scalar("current");
  if (current == nullptr || (*current != "true" && *current != "false")) {
    return reader.Malformed(
        "not of a store's dump with values: no \"current\"");
  }
  line.is_current = *current == "true";
  if (!line.is_current) return line;
  std::optional<std::string> key = object.TakeBytes("key");
  if (!key) return reader.Malformed("no string \"key\" or base64 \"key64\"");
  line.key = *std::move(key);
  line.value = object.TakeBytes("value");
  line.reason = object.TakeBytes("reason").value_or("");
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

namespace {

absl::Status LoadLines(Store& store, PairReader& reader, Progress& progress,
                       LoadCounts* counts) {
  const auto rules = [&reader](std::string_view name) {
    return RuleFor(name, reader.limits());
  };
  for (;;) {
    PEAT_ASSIGN_OR_RETURN(const bool found, reader.NextObject(rules));
    if (!found) break;
    PEAT_ASSIGN_OR_RETURN(const DumpLine line, ParseLine(reader));
    if (!line.is_current) continue;
    const absl::Status applied = Apply(store, line);
    const bool is_refused = IsDisabled(applied) || IsForgotten(applied);
    if (!is_refused) PEAT_RETURN_IF_ERROR(applied);
    counts->refused += is_refused ? 1 : 0;
    ++counts->acknowledged;
    progress.Update(reader.bytes_read(), counts->acknowledged);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadDump(Store& store, const LoadOptions& options,
                      PairReader& reader, Progress& progress,
                      LoadCounts* counts) {
  const auto settle = [&store, &options] {
    return options.flush ? store.Flush().status() : absl::OkStatus();
  };
  reader.Watch({.on_pause = settle, .is_interrupted = options.is_interrupted});
  const absl::Status loaded = LoadLines(store, reader, progress, counts);
  absl::Status settled = settle();
  reader.Watch({});
  PEAT_RETURN_IF_ERROR(loaded);
  return settled;
}

}  // namespace peat::tools
