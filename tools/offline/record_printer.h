// One record of a dump, in each form that a dump has.
//
// Pure functions that append to a string: a dump prints millions of records.

#ifndef PEAT_TOOLS_OFFLINE_RECORD_PRINTER_H_
#define PEAT_TOOLS_OFFLINE_RECORD_PRINTER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "format/bytes.h"
#include "format/record.h"
#include "tools/offline/dump.h"
#include "tools/offline/lsn_order.h"

namespace peat::tools {

// What is to be said of a record, and how much of it may be.
struct ShownRecord {
  const format::Record& record;
  format::ByteView bytes;
  std::string_view file;  // as this form prints it: see ShownName()
  uint64_t offset = 0;
  std::optional<bool> is_current = {};  // of a store alone
  bool is_unproven = false;  // current, unless damage hides what is newer
  bool shows_value = false;
  bool omits_value = false;  // nobody asked for it
  bool shows_reason = false;
  // The value that lies in a file, or what is wrong with that file.
  std::optional<std::string_view> file_value = {};
  std::string_view value_damage = {};
};

// What a file is called in a table, in JSON (without the quotes) or beside raw
// bytes: a name that is no segment's of Peat's may hold any bytes.
std::string ShownName(std::string_view file, DumpForm form);

// Names the columns of a table.
void AppendTableHeader(std::string* out);
// A line, cut to `columns` characters.
void AppendTableLine(const ShownRecord& shown, size_t columns,
                     std::string* out);
void AppendTableGap(std::string_view file, const Gap& gap, std::string* out);

// An object on a line: every byte that is shown can be read back.
void AppendJsonLine(const ShownRecord& shown, std::string* out);
void AppendJsonGap(std::string_view file, const Gap& gap, std::string* out);

// Bytes in hexadecimal, a field or 16 bytes a line.
void AppendRawLines(const ShownRecord& shown, std::string* out);
void AppendRawGap(std::string_view file, const Gap& gap, std::string* out);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_OFFLINE_RECORD_PRINTER_H_
