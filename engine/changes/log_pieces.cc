#include "engine/changes/log_pieces.h"

#include <algorithm>
#include <utility>

#include "format/check.h"
#include "format/segment_header.h"

namespace peat::engine {

using format::Lsn;

LogPieces::LogPieces(std::vector<SegmentSource> sources, Lsn last_lsn)
    : floor_(last_lsn + 1) {
  // One without an lsn has no place in the log; only a forged manifest says so.
  std::erase_if(sources, [](const SegmentSource& source) {
    return source.segment->identity().kind != format::SegmentKind::kLog ||
           source.first_lsn == 0;
  });
  // Not by their ids: a large unit takes the first prepared segment that is
  // large enough for it.
  std::ranges::stable_sort(sources, {}, &SegmentSource::first_lsn);
  for (size_t i = sources.size(); i > 0; --i) {
    SegmentSource& source = sources[i - 1];
    const bool is_last = i == sources.size();
    const Lsn next = is_last ? UINT64_MAX : sources[i].first_lsn;
    // One that is not sealed ends where the next one begins.
    const Lsn end =
        source.last_lsn == UINT64_MAX && !is_last ? next - 1 : source.last_lsn;
    if (!is_last && end + 1 != next) break;
    floor_ = source.first_lsn;
    pieces_.push_back({.segment = std::move(source.segment),
                       .first_lsn = source.first_lsn,
                       .last_lsn = end});
  }
  std::ranges::reverse(pieces_);
  PEAT_CHECK(floor_ > 0);
}

std::shared_ptr<Segment> LogPieces::Find(Lsn lsn) const {
  const auto behind =
      std::ranges::upper_bound(pieces_, lsn, {}, &LogPiece::first_lsn);
  if (behind == pieces_.begin()) return nullptr;
  const LogPiece& piece = *std::prev(behind);
  PEAT_DCHECK(piece.first_lsn <= lsn);
  return lsn <= piece.last_lsn ? piece.segment : nullptr;
}

}  // namespace peat::engine
