#include "engine/os/lock_holder.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/os/posix_call.h"

namespace peat::engine {
namespace {

// More locks than a machine has; fewer bytes than anybody would miss.
constexpr size_t kTextMax = size_t{1} << 20;

// What a file of /proc says; empty if it cannot be read.
std::string ReadProc(const std::string& path) {
  const Descriptor fd =
      OpenDescriptor([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  std::string text;
  char piece[4096];
  while (fd.is_open() && text.size() < kTextMax) {
    const ssize_t count =
        RetryOnSignal([&] { return read(fd.get(), piece, sizeof(piece)); });
    if (count <= 0) break;
    text.append(piece, static_cast<size_t>(count));
  }
  return text;
}

// The process of a line such as
//   1: FLOCK  ADVISORY  WRITE 4242 08:01:131090 0 EOF
// if it is a lock on `file`, the field behind the process; empty otherwise. In
// the line of a process that waits, an arrow stands before the kind.
std::string ProcessOf(const std::string& line, const std::string& file) {
  const std::vector<std::string> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() < 6 || words[1] != "FLOCK" || words[5] != file) return {};
  return words[4];
}

}  // namespace

std::string DescribeLockHolder(const struct stat& status) {
  const std::string file = absl::StrFormat("%02x:%02x:%d", major(status.st_dev),
                                           minor(status.st_dev), status.st_ino);
  const std::vector<std::string> lines =
      absl::StrSplit(ReadProc("/proc/locks"), '\n');
  for (const std::string& line : lines) {
    const std::string process = ProcessOf(line, file);
    // 0 or less: a process of another container, or of the other end of NFS.
    if (process.empty() || process[0] == '0' || process[0] == '-') continue;
    std::string name = ReadProc(absl::StrFormat("/proc/%s/comm", process));
    if (name.empty()) return absl::StrFormat("process %s", process);
    if (name.back() == '\n') name.pop_back();
    // A process may call itself anything, terminal commands included.
    return absl::StrFormat("process %s (%s)", process, absl::CHexEscape(name));
  }
  return "another process";
}

}  // namespace peat::engine
