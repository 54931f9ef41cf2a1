#include "engine/save/slot_file.h"

#include <utility>

#include "format/check.h"

namespace peat::engine {
namespace {

constexpr uint64_t kPageSize = 4096;

// What is appended is rarely larger: a table.
constexpr size_t kAppendMax = size_t{16} << 10;

}  // namespace

void SlotFile::ReserveHead(uint64_t size) {
  const index::MutexLock lock(&mutex_);
  PEAT_CHECK(gathered_.offset == 0);
  gathered_.offset = format::RoundUp(size, kPageSize);
}

uint64_t SlotFile::Append(format::ByteView bytes) {
  const index::MutexLock lock(&mutex_);
  std::string& gathered = gathered_.bytes;
  gathered.resize(
      format::RoundUp<size_t>(gathered.size(), index::kTableAlignment));
  const uint64_t offset = gathered_.offset + gathered.size();
  gathered.append(format::AsString(bytes));
  for (;;) {
    const uint64_t room = kPieceSize - gathered_.offset % kPieceSize;
    if (gathered.size() < room) break;
    Cut(room);
  }
  piece_count_.store(pieces_.size(), std::memory_order_relaxed);
  return offset;
}

void SlotFile::Cut(size_t size) {
  Piece rest{.offset = gathered_.offset + size, .bytes = {}};
  if (spare_.empty()) {
    rest.bytes.reserve(kPieceSize + kAppendMax);
  } else {
    rest.bytes = std::move(spare_.back());
    spare_.pop_back();
  }
  rest.bytes.assign(gathered_.bytes, size);
  gathered_.bytes.resize(size);
  pieces_.push_back(std::exchange(gathered_, std::move(rest)));
}

void SlotFile::WriteOut() {
  while (piece_count_.load(std::memory_order_relaxed) > 0 && WriteOne()) {
  }
}

bool SlotFile::WriteOne() {
  Piece piece;
  {
    const index::MutexLock lock(&mutex_);
    if (pieces_.empty()) return false;
    piece = std::move(pieces_.front());
    pieces_.pop_front();
    piece_count_.store(pieces_.size(), std::memory_order_relaxed);
    if (!status_.ok()) return true;
  }
  Write(piece.offset, piece.bytes);
  const index::MutexLock lock(&mutex_);
  spare_.push_back(std::move(piece.bytes));
  return true;
}

void SlotFile::Write(uint64_t offset, std::string_view bytes) {
  const absl::Status status = file_.WriteAt(offset, format::AsBytes(bytes));
  if (status.ok()) return;
  const index::MutexLock lock(&mutex_);
  status_.Update(status);
}

absl::Status SlotFile::Finish(std::string_view head) {
  {
    const index::MutexLock lock(&mutex_);
    Cut(gathered_.bytes.size());
  }
  while (WriteOne()) {
  }
  Write(0, head);
  const index::MutexLock lock(&mutex_);
  return status_;
}

uint64_t SlotFile::size() const {
  const index::MutexLock lock(&mutex_);
  return gathered_.offset + gathered_.bytes.size();
}

}  // namespace peat::engine
