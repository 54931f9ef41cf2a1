#include "api/c/error.h"

#include <memory>
#include <string_view>

#include "format/file_name.h"

namespace peat::c {
namespace {

bool IsFile(std::string_view word) {
  return format::ParseFileName(word).has_value() ||
         word.find('/') != std::string_view::npos;
}

}  // namespace

std::string_view FileIn(std::string_view message) {
  constexpr std::string_view kBetweenWords = " ,:;()'\"";
  size_t begin = message.find_first_not_of(kBetweenWords);
  while (begin != std::string_view::npos) {
    const size_t end = message.find_first_of(kBetweenWords, begin);
    const std::string_view word = message.substr(begin, end - begin);
    if (IsFile(word)) return word;
    begin = message.find_first_not_of(kBetweenWords, end);
  }
  return {};
}

peat_error* OutOfMemory() {
  // Short enough for the strings to need no memory.
  static peat_error error = {
      .code = PEAT_RESOURCE_EXHAUSTED, .message = "no memory", .file = {}};
  return &error;
}

}  // namespace peat::c

// NOLINTBEGIN(readability-identifier-naming)

const char* peat_code_name(peat_code code) {
  switch (code) {
    case PEAT_OK:
      return "OK";
    case PEAT_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case PEAT_NOT_FOUND:
      return "NOT_FOUND";
    case PEAT_ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case PEAT_PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case PEAT_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case PEAT_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case PEAT_ABORTED:
      return "ABORTED";
    case PEAT_OUT_OF_RANGE:
      return "OUT_OF_RANGE";
    case PEAT_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case PEAT_INTERNAL:
      return "INTERNAL";
    case PEAT_UNAVAILABLE:
      return "UNAVAILABLE";
    case PEAT_DATA_LOSS:
      return "DATA_LOSS";
    default:
      return "UNKNOWN";
  }
}

peat_code peat_error_code(const peat_error* error) {
  return error == nullptr ? PEAT_OK : error->code;
}

const char* peat_error_message(const peat_error* error) {
  return error == nullptr ? "" : error->message.c_str();
}

const char* peat_error_file(const peat_error* error) {
  return error == nullptr ? "" : error->file.c_str();
}

peat_refusal peat_error_refusal(const peat_error* error) {
  return error == nullptr ? PEAT_NOT_REFUSED : error->refusal;
}

int64_t peat_error_index(const peat_error* error) {
  return error == nullptr ? -1 : error->index;
}

void peat_error_free(peat_error* error) {
  if (error == peat::c::OutOfMemory()) return;
  const std::unique_ptr<peat_error> freed(error);
}

// NOLINTEND(readability-identifier-naming)
