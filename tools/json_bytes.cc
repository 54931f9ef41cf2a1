#include "tools/json_bytes.h"

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

}  // namespace peat::tools
