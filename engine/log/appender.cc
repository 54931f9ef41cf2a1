#include "engine/log/appender.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "engine/segment/expiry_sum.h"
#include "engine/segment/seeded_bug.h"
#include "format/check.h"
#include "format/mask.h"

namespace peat::engine {
namespace {

using format::Location;
using format::Lsn;
using format::RecordHeader;
using format::RecordKind;

constexpr uint64_t kMarkSize = format::RecordSize(0, format::kMarkValueSize);
constexpr uint64_t kLinkSize = format::RecordSize(0, format::kLinkValueSize);
constexpr uint64_t kFrameSize = format::RecordSize(0, format::kFrameValueSize);
constexpr uint64_t kTimeSize = format::RecordSize(0, format::kTimeValueSize);

// Asks for the cache lines that the next record will be stored to, so that the
// unlocking behind that store does not wait for them.
void PrefetchTail(const LogFile& log) {
  constexpr uint64_t kLineSize = 64;
  constexpr uint64_t kAhead = 4 * kLineSize;
  if (log.segment->identity().capacity - log.end < kAhead) return;
  const std::byte* const tail = log.mapping->data() + log.end;
  for (uint64_t line = kLineSize; line <= kAhead; line += kLineSize) {
    format::PrefetchToWrite(tail + line);
  }
}

RecordHeader StructuralHeader(RecordKind kind, Lsn lsn,
                              std::string_view value) {
  return {.lsn = lsn,
          .value_size = static_cast<uint32_t>(value.size()),
          .key_size = 0,
          .kind = kind,
          .flags = 0};
}

}  // namespace

Appender::Appender(const LogEnd& end, const ManifestStore* manifest)
    : manifest_(*manifest),
      end_(end),
      durable_lsn_(end.last_lsn),
      last_lsn_(end.last_lsn),
      shown_durable_lsn_(end.last_lsn) {}

void Appender::AddPrepared(std::shared_ptr<LogFile> file) {
  PEAT_CHECK(file->segment != nullptr);
  PEAT_CHECK(file->mapping != nullptr);
  PEAT_CHECK(file->end == format::kSegmentHeaderSize);
  PEAT_CHECK(file->first_lsn == 0);
  index::MutexLock lock(&mutex_);
  prepared_.push_back(std::move(file));
}

std::deque<std::shared_ptr<LogFile>> Appender::TakePrepared() {
  index::MutexLock lock(&mutex_);
  return std::exchange(prepared_, {});
}

uint64_t Appender::NeededCapacity(uint64_t size) {
  return format::kSegmentHeaderSize + kLinkSize + kMarkSize + size;
}

uint64_t Appender::BatchSize(std::span<const AppendRecord> records) {
  uint64_t size = kFrameSize;
  for (const AppendRecord& record : records) size += record.size();
  return size;
}

bool Appender::HasRoom(uint64_t size) const {
  if (active_ == nullptr) return false;
  const uint64_t mark = pending_mark_.has_value() ? kMarkSize : 0;
  return size + mark <= active_->segment->identity().capacity - active_->end;
}

bool Appender::MakeRoom(uint64_t size) {
  const bool has_room = HasRoom(size);
  if (has_room && !RefersToMuch()) [[likely]] {
    return true;
  }
  const size_t prepared = FindPrepared(size);
  if (prepared == prepared_.size()) {
    if (has_room) return true;
    starved_ = true;
    return false;
  }
  Roll(prepared);
  return true;
}

bool Appender::RefersToMuch() const {
  constexpr uint64_t kValueShare = 4;
  const Segment& segment = *active_->segment;
  return segment.usage().value_bytes >
         kValueShare * segment.identity().capacity;
}

size_t Appender::FindPrepared(uint64_t size) const {
  const auto found = std::find_if(prepared_.begin(), prepared_.end(),
                                  [size](const std::shared_ptr<LogFile>& file) {
                                    return file->segment->identity().capacity >=
                                           NeededCapacity(size);
                                  });
  return static_cast<size_t>(found - prepared_.begin());
}

bool Appender::HasPrepared(uint64_t size) {
  index::MutexLock lock(&mutex_);
  return FindPrepared(size) < prepared_.size();
}

// Makes a prepared segment the active one. Its first record, written here, is
// the link to where the log ends now.
void Appender::Roll(size_t prepared_index) {
  PEAT_CHECK(prepared_index < prepared_.size());
  if (active_ != nullptr) {
    active_->segment->set_end(active_->end);
    rolled_.push_back(std::move(active_));
  }
  active_ = std::move(prepared_[prepared_index]);
  prepared_.erase(prepared_.begin() +
                  static_cast<std::ptrdiff_t>(prepared_index));
  PEAT_CHECK(active_->segment->identity().id != end_.segment);
  const std::string link =
      format::EncodeLink({.predecessor = end_.segment,
                          .end = end_.end,
                          .generation = manifest_.durable_generation(),
                          .last_checksum = end_.last_checksum});
  Write(StructuralHeader(RecordKind::kLink, end_.last_lsn, link),
        format::PayloadHash({}, link), {}, link);
}

void Appender::WriteMark() {
  PEAT_CHECK(pending_mark_.has_value());
  PEAT_CHECK(pending_mark_->last_lsn <= end_.last_lsn);
  const std::string mark = format::EncodeMark(
      {.segment = pending_mark_->segment, .end = pending_mark_->end});
  Write(StructuralHeader(RecordKind::kMark, pending_mark_->last_lsn, mark),
        format::PayloadHash({}, mark), {}, mark);
  pending_mark_.reset();
}

uint64_t Appender::Write(const RecordHeader& header, uint64_t payload_hash,
                         std::string_view key, std::string_view value) {
  LogFile& log = *active_;
  const uint64_t offset = log.end;
  PEAT_DCHECK(offset % format::kRecordAlignment == 0);
  const SegmentIdentity& identity = log.segment->identity();
  PEAT_CHECK(RecordSize(header) <= identity.capacity - offset);
  std::array<std::byte, format::kRecordHeaderSize> bytes = {};
  const uint64_t place = HasBug(Bug::kChecksumWithoutOffset) ? 0 : offset;
  EncodeRecordHeader(header, payload_hash, {identity.salt, place},
                     bytes.data());
  Mapping& mapping = *log.mapping;
  mapping.Store(offset, bytes);
  mapping.Store(offset + bytes.size(), format::AsBytes(key));
  mapping.Store(offset + bytes.size() + key.size(), format::AsBytes(value));
  log.end = offset + RecordSize(header);
  PrefetchTail(log);
  log.last_checksum = format::Load<uint32_t>(bytes.data());
  end_.segment = identity.id;
  end_.end = log.end;
  end_.last_checksum = log.last_checksum;
  return offset;
}

Location Appender::WriteUnitRecord(const AppendRecord& record,
                                   uint8_t extra_flags) {
  PEAT_CHECK(record.value.size() <= format::kValueSizeMax);
  PEAT_CHECK(record.key.size() <= format::kKeySizeMax);
  PEAT_DCHECK(TakesLsn(record.kind));
  const Lsn lsn = end_.last_lsn + 1;
  const RecordHeader header{
      .lsn = lsn,
      .value_size = static_cast<uint32_t>(record.value.size()),
      .key_size = static_cast<uint16_t>(record.key.size()),
      .kind = record.kind,
      .flags = static_cast<uint8_t>(record.flags | extra_flags)};
  const uint64_t offset =
      Write(header, record.payload_hash, record.key, record.value);
  end_.last_lsn = lsn;
  if (record.kind == RecordKind::kForget) [[unlikely]] {
    last_forget_lsn_ = lsn;
  }
  if (ExpiresWithoutTrace(header)) {
    active_->segment->expiries().Add(record.expiry, RecordSize(header));
  }
  PEAT_DCHECK(active_->last_lsn < lsn);
  active_->last_lsn = lsn;
  if (active_->first_lsn == 0) active_->first_lsn = lsn;
  return Location(active_->segment->number(), offset);
}

void Appender::CountLive(const AppendRecord& record) {
  PEAT_DCHECK(record.superseded != nullptr || record.superseded_size == 0);
  PEAT_DCHECK(record.value_file_size == 0 || record.value_file != 0);
  if (record.superseded != nullptr) {
    Segment& old = *record.superseded;
    old.counter().RemoveUnderLock({.live_bytes = record.superseded_size});
    if (record.superseded_value_file_size > 0) [[unlikely]] {
      old.counter().Remove(
          {.live_value_bytes = record.superseded_value_file_size});
    }
  }
  Segment& active = *active_->segment;
  if (record.kind == RecordKind::kTombstone) {
    active.counter().AddUnderLock({.tombstone_bytes = record.size()});
    return;
  }
  if (record.is_current) [[likely]] {
    active.counter().AddUnderLock({.live_bytes = record.size()});
  } else {
    active.counter().AddUnderLock(
        {.live_bytes = format::LastingSize(record.kind, record.key.size(),
                                           record.value)});
  }
  if (record.value_file_size == 0) [[likely]] {
    return;
  }
  active.AddValueFile(record.value_file);
  active.counter().Add(
      {.value_bytes = record.value_file_size,
       .live_value_bytes = record.is_current ? record.value_file_size : 0});
}

void Appender::CountTail(uint64_t tail_before, bool* wake) {
  appended_bytes_ += active_->end - tail_before;
  if (appended_bytes_ >= wake_at_bytes_) [[unlikely]] {
    *wake = true;
    wake_at_bytes_ = UINT64_MAX;  // until the background asks again
    background_due_.store(true, std::memory_order_relaxed);
  }
  if (signals_next_unit_) [[unlikely]] {
    *wake = true;
    signals_next_unit_ = false;
    signal_due_.store(true, std::memory_order_relaxed);
  }
}

bool Appender::Append(const AppendRecord& record, Appended* appended,
                      bool* wake) {
  index::MutexLock lock(&mutex_);
  if (!MakeRoom(record.size())) return false;
  const uint64_t tail_before = active_->end;
  if (pending_mark_.has_value()) [[unlikely]] {
    WriteMark();
  }
  appended->location = WriteUnitRecord(record, 0);
  appended->lsn = end_.last_lsn;
  appended->newest_view = newest_view_;
  last_lsn_.store(end_.last_lsn, std::memory_order_release);
  CountLive(record);
  CountTail(tail_before, wake);
  return true;
}

bool Appender::AppendBatch(std::span<const AppendRecord> records,
                           std::span<Appended> appended, bool* wake) {
  PEAT_CHECK(!records.empty());
  PEAT_CHECK(records.size() == appended.size());
  const uint64_t size = BatchSize(records);
  index::MutexLock lock(&mutex_);
  if (HasBug(Bug::kPartialOnFull) && !HasRoom(size) && HasRoom(kFrameSize)) {
    const std::string torn = format::EncodeFrame(
        {.first_lsn = end_.last_lsn + 1,
         .members_size = size - kFrameSize,
         .member_count = static_cast<uint32_t>(records.size())});
    Write(StructuralHeader(RecordKind::kFrame, end_.last_lsn + records.size(),
                           torn),
          format::PayloadHash({}, torn), {}, torn);
  }
  if (!MakeRoom(size)) return false;
  const uint64_t tail_before = active_->end;
  if (pending_mark_.has_value()) WriteMark();
  const Lsn before = end_.last_lsn;
  const std::string frame = format::EncodeFrame(
      {.first_lsn = before + 1,
       .members_size = size - kFrameSize,
       .member_count = static_cast<uint32_t>(records.size())});
  Write(StructuralHeader(RecordKind::kFrame, before + records.size(), frame),
        format::PayloadHash({}, frame), {}, frame);
  for (size_t i = 0; i < records.size(); ++i) {
    appended[i].location = WriteUnitRecord(records[i], format::kFlagInFrame);
    appended[i].lsn = end_.last_lsn;
    appended[i].newest_view = newest_view_;
    if (HasBug(Bug::kCountedEarly)) CountLive(records[i]);
  }
  PEAT_CHECK(end_.last_lsn == before + records.size());
  last_lsn_.store(end_.last_lsn, std::memory_order_release);
  // Not before the whole unit is there: a compaction may drop what no longer
  // counts as live.
  for (const AppendRecord& record : records) {
    if (!HasBug(Bug::kCountedEarly)) CountLive(record);
  }
  CountTail(tail_before, wake);
  return true;
}

bool Appender::AppendTime(format::Millis time) {
  const std::string value = format::EncodeTime({.time = time});
  const uint64_t hash = format::PayloadHash({}, value);
  index::MutexLock lock(&mutex_);
  if (!HasRoom(kTimeSize) || active_->first_lsn == 0) return false;
  Write(StructuralHeader(RecordKind::kTime, 0, value), hash, {}, value);
  appended_bytes_ += kTimeSize;
  return true;
}

ViewPoint Appender::BeginView() {
  index::MutexLock lock(&mutex_);
  newest_view_ = end_.last_lsn;
  if (active_ == nullptr) return {.lsn = end_.last_lsn};
  return {.lsn = end_.last_lsn,
          .active = active_->segment->number(),
          .end = active_->end};
}

void Appender::SetNewestView(Lsn lsn) {
  index::MutexLock lock(&mutex_);
  newest_view_ = lsn;
}

void Appender::AddValueFile(std::shared_ptr<File> file, uint64_t size) {
  index::MutexLock lock(&mutex_);
  appended_bytes_ += size;
  value_files_.push_back(std::move(file));
}

Lsn Appender::AwaitUnit() {
  index::MutexLock lock(&mutex_);
  PEAT_CHECK(end_.last_lsn == last_lsn());
  return end_.last_lsn;
}

Appender::Sample Appender::TakeSample() {
  index::MutexLock lock(&mutex_);
  Sample sample;
  sample.value_files = std::move(value_files_);
  value_files_.clear();
  for (const std::shared_ptr<LogFile>& file : rolled_) {
    if (!file->synced) sample.rolled.push_back(file);
  }
  sample.active = active_;
  sample.end = end_;
  sample.last_forget_lsn = last_forget_lsn_;
  sampled_bytes_ = appended_bytes_;
  return sample;
}

void Appender::SetDurable(const LogEnd& end) {
  {
    index::MutexLock lock(&mutex_);
    PEAT_CHECK(end.last_lsn >= durable_lsn_);
    PEAT_CHECK(end.last_lsn <= end_.last_lsn);
    durable_bytes_ = sampled_bytes_;
    pending_mark_ = end;
    durable_lsn_ = end.last_lsn;
    for (const std::shared_ptr<LogFile>& file : rolled_) {
      if (file->last_lsn <= end.last_lsn) file->synced = true;
    }
    shown_durable_lsn_.store(end.last_lsn, std::memory_order_release);
  }
  signal_->Tell();
}

std::vector<std::shared_ptr<LogFile>> Appender::SyncedRolled() {
  index::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<LogFile>> synced;
  for (const std::shared_ptr<LogFile>& file : rolled_) {
    if (!file->synced) break;
    synced.push_back(file);
  }
  return synced;
}

void Appender::ReleaseRolled(size_t count) {
  index::MutexLock lock(&mutex_);
  PEAT_CHECK(count <= rolled_.size());
  PEAT_CHECK(count == 0 || rolled_[count - 1]->synced);
  rolled_.erase(rolled_.begin(),
                rolled_.begin() + static_cast<std::ptrdiff_t>(count));
}

Appender::State Appender::TakeState() {
  index::MutexLock lock(&mutex_);
  State state{.end = end_, .unsealed = {}};
  const auto add = [&state](const LogFile& file) {
    if (file.first_lsn == 0) return;
    state.unsealed.push_back({.segment = file.segment->identity().id,
                              .end = file.end,
                              .last_lsn = file.last_lsn,
                              .last_checksum = file.last_checksum});
  };
  for (const std::shared_ptr<LogFile>& file : rolled_) add(*file);
  if (active_ != nullptr) add(*active_);
  return state;
}

Lsn Appender::EndActive() {
  index::MutexLock lock(&mutex_);
  if (active_ != nullptr) {
    PEAT_CHECK(active_->last_lsn == end_.last_lsn);
    active_->segment->set_end(active_->end);
    active_->synced = active_->last_lsn <= durable_lsn_;
    rolled_.push_back(std::move(active_));
  }
  return end_.last_lsn;
}

Appender::Progress Appender::TakeProgress() {
  index::MutexLock lock(&mutex_);
  Progress progress;
  if (active_ != nullptr) {
    progress.active = active_;
    progress.tail = active_->end;
    progress.capacity = active_->segment->identity().capacity;
    progress.rolls_early = RefersToMuch();
  }
  progress.prepared.assign(prepared_.begin(), prepared_.end());
  for (const std::shared_ptr<LogFile>& file : rolled_) {
    if (!file->synced) progress.unsynced_rolled.push_back(file);
  }
  progress.appended_bytes = appended_bytes_;
  progress.unsynced_bytes = appended_bytes_ - durable_bytes_;
  progress.starved = std::exchange(starved_, false);
  return progress;
}

Appender::ActiveExpiries Appender::TakeActiveExpiries() {
  index::MutexLock lock(&mutex_);
  if (active_ == nullptr) return {};
  return {.sum = active_->segment->expiries(), .tail = active_->end};
}

void Appender::MoveLive(std::span<const LiveMove> moves) {
  index::MutexLock lock(&mutex_);
  for (const LiveMove& move : moves) {
    PEAT_DCHECK(move.from != nullptr);
    PEAT_DCHECK(move.from != move.to);
    move.from->counter().RemoveUnderLock({.live_bytes = move.bytes});
    if (move.to != nullptr) {
      move.to->counter().AddUnderLock({.live_bytes = move.bytes});
    }
    const SegmentUsage values{.live_value_bytes = move.value_file_bytes};
    move.from->counter().Remove(values);
    if (move.to != nullptr) move.to->counter().Add(values);
  }
}

size_t Appender::rolled_count() {
  index::MutexLock lock(&mutex_);
  return rolled_.size();
}

uint64_t Appender::appended_bytes() {
  index::MutexLock lock(&mutex_);
  return appended_bytes_;
}

void Appender::UpdateEnd() {
  index::MutexLock lock(&mutex_);
  if (active_ != nullptr) active_->segment->set_end(active_->end);
}

void Appender::WakeAfter(uint64_t bytes) {
  index::MutexLock lock(&mutex_);
  wake_at_bytes_ = std::min(wake_at_bytes_, appended_bytes_ + bytes);
}

bool Appender::WakeAtNextUnit(Lsn lsn) {
  index::MutexLock lock(&mutex_);
  if (end_.last_lsn > lsn) return false;
  wake_at_bytes_ = std::min(wake_at_bytes_, appended_bytes_ + 1);
  return true;
}

bool Appender::SignalAtNextUnit(Lsn lsn) {
  index::MutexLock lock(&mutex_);
  if (end_.last_lsn > lsn) return false;
  signals_next_unit_ = true;
  return true;
}

}  // namespace peat::engine
