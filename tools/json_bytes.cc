#include "tools/json_bytes.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "tools/escape.h"

namespace peat::tools {

void AddBytes(OrderedJson& object, const std::string& name,
              std::string_view bytes) {
  if (IsUtf8(bytes)) {
    object[name] = bytes;
  } else {
    object[name + "64"] = absl::Base64Escape({bytes.data(), bytes.size()});
  }
}

std::optional<std::string> TakeBytes(nlohmann::json& object,
                                     const std::string& name) {
  const auto plain = object.find(name);
  const auto base64 = object.find(name + "64");
  if ((plain == object.end()) == (base64 == object.end())) return std::nullopt;
  if (plain != object.end()) {
    if (!plain->is_string()) return std::nullopt;
    return std::move(plain->get_ref<std::string&>());
  }
  if (!base64->is_string()) return std::nullopt;
  const std::string& encoded = base64->get_ref<const std::string&>();
  std::string bytes;
  if (!absl::Base64Unescape({encoded.data(), encoded.size()}, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace peat::tools
