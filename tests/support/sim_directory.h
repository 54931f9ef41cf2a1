// An open directory of the simulated file system.
#ifndef PEAT_TESTS_SUPPORT_SIM_DIRECTORY_H_
#define PEAT_TESTS_SUPPORT_SIM_DIRECTORY_H_

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/os/file_system.h"
#include "tests/support/sim_machine.h"

namespace peat::testing {

// With the machine's mutex held. ResourceExhausted if too many are open.
absl::StatusOr<std::unique_ptr<engine::Directory>> OpenSimDirectory(
    const std::shared_ptr<SimMachine>& machine, std::shared_ptr<SimNames> names,
    const std::filesystem::path& where);

// "CALL NAME: no such file or directory", and "file exists".
absl::Status MissingStatus(const char* call, const std::string& name);
absl::Status ExistsStatus(const char* call, const std::string& name);

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_DIRECTORY_H_
