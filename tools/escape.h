// Arbitrary bytes as one field of a line.
//
//   \t \n \r \\ \0     tab, newline, carriage return, backslash, zero byte
//   \xHH               the byte HH, two hexadecimal digits of either case
//
// Every other byte stands for itself; a backslash before anything else is
// malformed. Escape() uses the named forms where there is one, \xHH for other
// control characters and for bytes that are part of no well-formed UTF-8, and
// leaves the rest as it is, so that text stays readable and no terminal obeys
// it.

#ifndef PEAT_TOOLS_ESCAPE_H_
#define PEAT_TOOLS_ESCAPE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace peat::tools {

// The most bytes that one byte becomes.
inline constexpr size_t kEscapeFactor = 4;

std::string Escape(std::string_view bytes);
void AppendEscaped(std::string_view bytes, std::string* out);

// Replaces `*bytes`. Fails with InvalidArgument, which names the offset.
absl::Status Unescape(std::string_view field, std::string* bytes);

// The same for a field that comes in pieces: appends what of `piece` is whole
// to
// `*bytes`, and leaves in `*rest` an escape that may go on in the next one,
// which is then to be put before it. At the end of the field the rest must be
// empty.
absl::Status UnescapePiece(std::string_view piece, std::string* bytes,
                           std::string* rest);

// A message, with what a terminal could obey or not show escaped. Backslashes
// stay as they are.
std::string Printable(std::string_view message);

// `bytes` as pairs of lower-case hexadecimal digits.
std::string ToHex(std::string_view bytes);

// The bytes that `digits`, of either case, stand for; nullopt if they are no
// pairs of hexadecimal digits.
std::optional<std::string> FromHex(std::string_view digits);

// Whether all of `bytes` is well-formed UTF-8.
bool IsUtf8(std::string_view bytes);

}  // namespace peat::tools

#endif  // PEAT_TOOLS_ESCAPE_H_
