// Arbitrary bytes in JSON, whose strings are UTF-8: bytes that are not go,
// in base64, into a member whose name ends in 64 ("key64" for "key").

#ifndef PEAT_TOOLS_JSON_BYTES_H_
#define PEAT_TOOLS_JSON_BYTES_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace peat::tools {

// Keeps the order in which members are added.
using OrderedJson = nlohmann::ordered_json;

// Adds the member `name`, or `name`64.
void AddBytes(OrderedJson& object, const std::string& name,
              std::string_view bytes);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_JSON_BYTES_H_
