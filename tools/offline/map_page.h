// The page that peat map writes: one file of HTML that needs nothing else.

#ifndef PEAT_TOOLS_OFFLINE_MAP_PAGE_H_
#define PEAT_TOOLS_OFFLINE_MAP_PAGE_H_

#include <string>
#include <string_view>

#include "tools/offline/inspection.h"

namespace peat::tools {

// `title` is any text.
std::string MapPage(const Inspection& inspection, std::string_view title);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_MAP_PAGE_H_
