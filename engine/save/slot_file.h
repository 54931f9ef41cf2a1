// A file of tables of the index, which several threads hand over in small
// pieces: they are gathered, and written in large ones. Large pieces that begin
// at multiples of their size cost a third of what single tables do (0018).
//
//   head | slots of tables, images of shards, each at a multiple of 64 bytes
//
// Memory: kPiecesMax pieces of kPieceSize, and one for each thread that appends
// meanwhile, as long as each of them writes a piece when IsBehind() says so.

#ifndef PEAT_ENGINE_SAVE_SLOT_FILE_H_
#define PEAT_ENGINE_SAVE_SLOT_FILE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/os/file_system.h"
#include "format/bytes.h"
#include "index/mutex.h"
#include "index/shard_image.h"

namespace peat::engine {

class SlotFile final : public index::SlotWriter {
 public:
  static constexpr uint64_t kPieceSize = uint64_t{256} << 10;
  static constexpr size_t kPiecesMax = 16;

  // `file`, which is empty, must outlive this.
  explicit SlotFile(File* file) : file_(*file) {}

  // Before anything is appended.
  void ReserveHead(uint64_t size) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether the bytes are written, Finish() says. Any thread.
  uint64_t Append(format::ByteView bytes) override ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteOut() override ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsBehind() const override {
    return piece_count_.load(std::memory_order_relaxed) > kPiecesMax;
  }
  void WriteSome() override ABSL_LOCKS_EXCLUDED(mutex_) { (void)WriteOne(); }

  // Writes the rest and the head, of the size that was reserved at most. The
  // first error of all. Nothing is appended afterwards.
  absl::Status Finish(std::string_view head) ABSL_LOCKS_EXCLUDED(mutex_);

  // Bytes of all that was appended, the head included.
  uint64_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Piece {
    uint64_t offset = 0;
    std::string bytes;
  };

  // Makes what has gathered up to `size` bytes a piece.
  void Cut(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the oldest piece; false when there is none.
  bool WriteOne() ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(uint64_t offset, std::string_view bytes)
      ABSL_LOCKS_EXCLUDED(mutex_);

  File& file_;
  mutable index::Mutex mutex_;  // innermost
  Piece gathered_ ABSL_GUARDED_BY(mutex_);
  std::deque<Piece> pieces_ ABSL_GUARDED_BY(mutex_);  // to be written
  // Of pieces that are written: memory that is in use already.
  std::vector<std::string> spare_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::atomic<size_t> piece_count_ = 0;
};

}  // namespace peat::engine

#endif  // PEAT_ENGINE_SAVE_SLOT_FILE_H_
