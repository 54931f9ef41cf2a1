// Which records a dump shows, how much of each, and in which form.
//
// What it prints gathers in text(), which the caller takes.
// Externally synchronised.

#ifndef PEAT_TOOLS_OFFLINE_DUMPER_H_
#define PEAT_TOOLS_OFFLINE_DUMPER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/offline/dump.h"
#include "tools/offline/live_set.h"
#include "tools/offline/lsn_order.h"
#include "tools/offline/record_printer.h"
#include "tools/offline/store_files.h"

namespace peat::tools {

class Dumper final {
 public:
  // All outlive this. `files` is null for a segment alone; `live` where what is
  // current is not known or not asked.
  Dumper(const DumpOptions& options, const StoreFiles* files,
         const LiveSet* live)
      : options_(options), files_(files), live_(live) {}

  void AddHeader();
  void AddGap(std::string_view file, const Gap& gap);
  // With a live set, `segment` and `number` say which record it is. Fails when
  // a value's file cannot be read. What `shown` says of what is shown is set
  // here.
  absl::Status AddRecord(ShownRecord&& shown, size_t segment, uint64_t number);

  // What was added since the last Clear(), and how much that is.
  const std::string& text() const { return text_; }
  const DumpCounts& counts() const { return counts_; }
  void Clear();

 private:
  bool Wants(const format::Record& record) const;
  // What a record refers to: the value, or that it is damaged.
  absl::Status ReadLargeValue(ShownRecord* shown);

  const DumpOptions& options_;
  const StoreFiles* const files_;
  const LiveSet* const live_;
  std::string text_;
  std::string value_;
  std::string damage_;
  DumpCounts counts_;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_DUMPER_H_
