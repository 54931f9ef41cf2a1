#include "tools/offline/map_page.h"

#include "format/check.h"
#include "tools/escape.h"

namespace peat::tools {

// map.html, by the build.
extern const char* const kMapHtml;

namespace {

constexpr std::string_view kPlace = "{\"place\":\"of the data\"}";

// JSON that may stand in a script element: no tag can end it.
std::string ForScript(const std::string& json) {
  std::string safe;
  for (const char byte : json) {
    if (byte == '<') {
      safe += "\\u003c";
    } else {
      safe.push_back(byte);
    }
  }
  return safe;
}

}  // namespace

std::string MapPage(const Inspection& inspection, std::string_view title) {
  OrderedJson data = InspectionJson(inspection);
  data["title"] = Escape(title);
  std::string page = kMapHtml;
  const size_t at = page.find(kPlace);
  PEAT_CHECK(at != page.npos);
  page.replace(at, kPlace.size(), ForScript(data.dump()));
  return page;
}

}  // namespace peat::tools
