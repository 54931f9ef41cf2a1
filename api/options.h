// From the options of a user to the settings of an engine. Pure functions.

#ifndef PEAT_API_OPTIONS_H_
#define PEAT_API_OPTIONS_H_

#include "absl/status/statusor.h"
#include "engine/segment/config.h"
#include "peat/options.h"

namespace peat {

// InvalidArgument names the field that is out of range.
absl::StatusOr<engine::Config> Validate(const Options& options);

}  // namespace peat

#endif  // PEAT_API_OPTIONS_H_
