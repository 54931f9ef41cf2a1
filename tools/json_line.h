// One JSON object a line, read as its bytes come: refused at the first byte
// that can no longer be right, and in memory no longer than what is wanted of
// it may be.
//
// Of each member its reader says whether it is wanted, passed over, or not
// allowed. What is passed over may be any JSON value, nested a few deep; what
// is wanted is a string, a number, or true, false or null. No name may be there
// twice. Externally synchronised.

#ifndef PEAT_TOOLS_JSON_LINE_H_
#define PEAT_TOOLS_JSON_LINE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/input.h"

namespace peat::tools {

class JsonLine final {
 public:
  // Reads from `input`, which outlives this.
  explicit JsonLine(Input* input) : input_(*input) {}
  JsonLine(const JsonLine&) = delete;
  JsonLine& operator=(const JsonLine&) = delete;

  enum class Use { kRefused, kSkipped, kString, kScalar };
  struct Rule {
    Use use = Use::kRefused;
    size_t size_max = 0;  // of a string, decoded
    const char* too_long = "a member is too long";
  };
  using Rules = absl::FunctionRef<Rule(std::string_view name)>;

  // Reads the next line; false at the end. InvalidArgument, without the line's
  // content, for what is no such object, and then no more can be read.
  absl::StatusOr<bool> Next(Rules rules);

  // From now on what Next() reads of a line goes to `*copy`, too, as it stands
  // there, which must be cleared before; null: no more. Longer than `size_max`
  // is malformed.
  void CopyTo(std::string* copy, size_t size_max) {
    copy_ = copy;
    copy_size_max_ = size_max;
  }

  // Members of the line that Next() has read and that were not skipped. Null:
  // there is none of that name, or it is no string.
  std::string* String(std::string_view name);
  // A number, or true, false or null, as it stands there.
  const std::string* Scalar(std::string_view name) const;
  // Whether there is a member of this name, of whatever kind.
  bool Has(std::string_view name) const;

  // The member `name`, or `name`64 decoded; nullopt unless exactly one of the
  // two is there and sound. Moves the bytes out.
  std::optional<std::string> TakeBytes(const std::string& name);

 private:
  struct Member {
    std::string name;
    std::string text;
    bool is_string = false;
  };

  // Takes bytes that were looked at.
  void Take(size_t size);
  bool IsTooLong() const {
    return copy_ != nullptr && copy_->size() > copy_size_max_;
  }
  // The next byte; nullopt at the end.
  absl::StatusOr<std::optional<char>> Peek();
  absl::StatusOr<std::optional<char>> PeekBehindBlanks();
  // Takes the next byte behind blanks if it is `byte`; else it is malformed.
  absl::Status Expect(char byte);

  absl::Status ReadMember(Rules rules);
  // From behind the quotation mark; `text` may be null.
  absl::Status ReadString(const Rule& rule, std::string* text);
  absl::Status ReadEscape(std::string* text);
  absl::StatusOr<unsigned> ReadHex();
  absl::Status ReadScalar(std::string* text);
  absl::Status SkipValue();
  absl::StatusOr<bool> EndLine();
  const Member* Find(std::string_view name) const;

  Input& input_;
  std::vector<Member> members_;  // the first count_ of them
  size_t count_ = 0;
  std::string* copy_ = nullptr;
  size_t copy_size_max_ = 0;
};

}  // namespace peat::tools

#endif  // PEAT_TOOLS_JSON_LINE_H_
