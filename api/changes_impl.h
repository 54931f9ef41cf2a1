// What a stream of changes consists of.

#ifndef PEAT_API_CHANGES_IMPL_H_
#define PEAT_API_CHANGES_IMPL_H_

#include <memory>
#include <utility>

#include "engine/changes/change_reader.h"
#include "peat/changes.h"

namespace peat {

class ChangeStream::Impl final {
 public:
  // `begin` names the store and its epoch; its lsn does not count.
  Impl(std::unique_ptr<engine::ChangeReader> reader, Position begin)
      : reader_(std::move(reader)), begin_(std::move(begin)) {}

  engine::ChangeReader& reader() { return *reader_; }
  const Position& begin() const { return begin_; }

 private:
  const std::unique_ptr<engine::ChangeReader> reader_;
  const Position begin_;
};

}  // namespace peat

#endif  // PEAT_API_CHANGES_IMPL_H_
