// An open file of the simulated file system.
//
// Used by sim_file_system.cc only. Thread-safe.

#ifndef PEAT_TESTS_SUPPORT_SIM_FILE_H_
#define PEAT_TESTS_SUPPORT_SIM_FILE_H_

#include <memory>
#include <string>

#include "engine/os/file_system.h"
#include "tests/support/sim_machine.h"

namespace peat::testing {

// With the machine's mutex held and one open file counted.
std::unique_ptr<engine::File> OpenSimFile(std::shared_ptr<SimMachine> machine,
                                          std::shared_ptr<SimInode> inode,
                                          std::string name,
                                          engine::OpenMode mode);

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_SIM_FILE_H_
