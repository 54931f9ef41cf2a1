// What is behind a Cursor, for the files of api/.

#ifndef PEAT_API_CURSOR_IMPL_H_
#define PEAT_API_CURSOR_IMPL_H_

#include <memory>
#include <utility>

#include "engine/query/cursor.h"
#include "peat/cursor.h"

namespace peat {

class Cursor::Impl {
 public:
  explicit Impl(std::unique_ptr<engine::Cursor> cursor)
      : cursor_(std::move(cursor)) {}

  engine::Cursor& cursor() { return *cursor_; }

 private:
  const std::unique_ptr<engine::Cursor> cursor_;
};

inline Cursor Wrap(std::unique_ptr<engine::Cursor> cursor) {
  return Cursor(std::make_unique<Cursor::Impl>(std::move(cursor)));
}

}  // namespace peat

#endif  // PEAT_API_CURSOR_IMPL_H_
