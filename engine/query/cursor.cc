#include "engine/query/cursor.h"

#include <algorithm>
#include <utility>

#include "format/check.h"
#include "format/mask.h"
#include "format/status_macros.h"

namespace peat::engine {
namespace {

constexpr size_t kFirstGroupSize = 8;
constexpr size_t kGroupSizeMax = 64;

}  // namespace

Cursor::Cursor(const QueryParts& parts, const Reader* reader,
               std::shared_ptr<const View> view, Query query)
    : parts_(parts),
      reader_(reader),
      view_(std::move(view)),
      keys_only_(query.keys_only),
      left_(query.limit) {
  if (query.any_order && parts.ordered == nullptr) {
    log_.emplace(parts.gate, parts.reader, view_, parts.despite_damage);
  } else {
    keys_.emplace(MakeKeySource(parts_, view_, query));
  }
  // Who says how many are wanted will take them.
  group_size_ = query.limit == UINT64_MAX
                    ? kFirstGroupSize
                    : std::min<uint64_t>(query.limit, kGroupSizeMax);
  Advance();
}

void Cursor::Advance() {
  is_valid_ = false;
  if (left_ == 0) return End(absl::OkStatus());
  if (!parts_.gate->is_open()) [[unlikely]] {
    return End(parts_.gate->WhyNot());
  }
  for (;;) {
    if (next_ == group_.size()) {
      const absl::StatusOr<bool> filled = Fill();
      if (!filled.ok()) return End(filled.status());
      if (!*filled) return End(AtEnd());
    }
    const Pair& pair = group_[next_++];
    absl::Status status = CheckNotForgotten(pair.key);
    if (absl::IsNotFound(status)) continue;
    if (status.ok()) status = Show(pair);
    if (parts_.despite_damage && absl::IsDataLoss(status)) [[unlikely]] {
      return Pause(pair, std::move(status));
    }
    if (!status.ok()) return End(std::move(status));
    --left_;
    is_valid_ = true;
    return;
  }
}

void Cursor::Seek(std::string_view key) {
  PEAT_CHECK(is_valid_);
  if (!keys_.has_value()) {
    is_valid_ = false;
    return End(absl::FailedPreconditionError(
        "the cursor shows the order of the log, in which no key is sought"));
  }
  std::visit([key](auto& source) { source.Seek(key); }, *keys_);
  // `key` may look at the group, so that ends behind it.
  group_.clear();
  next_ = 0;
  owners_.clear();
  copies_.clear();
  has_more_ = true;
  group_size_ = kFirstGroupSize;
  Advance();
}

absl::Status Cursor::AtEnd() const {
  const auto* const collected =
      keys_.has_value() ? std::get_if<CollectedKeys>(&*keys_) : nullptr;
  const bool has_passed_over =
      (log_.has_value() && log_->has_passed_over()) ||
      (collected != nullptr && collected->has_passed_over());
  if (!parts_.is_damaged && !has_lost_ && !has_passed_over) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      "an unreadable range of the store could hold more keys");
}

absl::Status Cursor::CheckNotForgotten(std::string_view key) {
  if (parts_.mask_counts->forgotten() == forgotten_count_) {
    return absl::OkStatus();
  }
  const Visit visit(*parts_.gate);
  if (!visit.is_inside()) return parts_.gate->WhyNot();
  ViewReader::Found found;
  return parts_.reader->Find(*view_, key, &found);
}

void Cursor::Pause(const Pair& pair, absl::Status status) {
  status_ = std::move(status);
  is_paused_ = true;
  has_lost_ = true;
  key_ = pair.key;
  value_ = {};
}

// Gives up the view, too: a cursor that has ended holds nothing.
void Cursor::End(absl::Status status) {
  status_ = std::move(status);
  key_ = {};
  value_ = {};
  group_.clear();
  owners_.clear();
  keys_.reset();
  log_.reset();
  view_.reset();
  left_ = 0;
}

absl::StatusOr<bool> Cursor::Fill() {
  group_.clear();
  next_ = 0;
  owners_.clear();
  copies_.clear();
  forgotten_count_ = parts_.mask_counts->forgotten();
  while (group_.empty() && has_more_) {
    PEAT_RETURN_IF_ERROR(log_.has_value() ? FillFromLog(&has_more_)
                                          : FillFromKeys(&has_more_));
  }
  group_size_ = std::min(2 * group_size_, kGroupSizeMax);
  return !group_.empty();
}

absl::Status Cursor::FillFromKeys(bool* has_more) {
  const size_t count = std::min<uint64_t>(group_size_, left_);
  group_.reserve(count);
  PEAT_ASSIGN_OR_RETURN(
      *has_more,
      std::visit([&](auto& source) { return source.Next(count, &key_group_); },
                 *keys_));
  const Visit visit(*parts_.gate);
  if (!visit.is_inside()) return parts_.gate->WhyNot();
  absl::Status status = parts_.reader->FindGroup(
      *view_, key_group_, [this](ViewReader::Found& found) { Take(found); });
  if (!parts_.despite_damage || !absl::IsDataLoss(status)) [[likely]]
    return status;
  return FillOneByOne();
}

absl::Status Cursor::FillOneByOne() {
  group_.clear();
  owners_.clear();
  copies_.clear();
  for (size_t i = 0; i < key_group_.size(); ++i) {
    const std::string_view key = key_group_[i];
    ViewReader::Found found;
    absl::Status status = parts_.reader->Find(*view_, key, &found);
    if (status.ok()) Take(found);
    if (status.ok() || absl::IsNotFound(status)) continue;
    if (!absl::IsDataLoss(status)) return status;
    group_.push_back(
        {.key = copies_.emplace_back(key),
         .value = copies_.emplace_back(std::string(status.message())),
         .is_lost = true});
  }
  return absl::OkStatus();
}

void Cursor::Take(ViewReader::Found& found) {
  Add(found.record, found.segment->is_mapped());
  if (found.owner == nullptr) return;
  if (!owners_.empty() && owners_.back() == found.owner) return;
  owners_.push_back(std::move(found.owner));
}

absl::Status Cursor::FillFromLog(bool* has_more) {
  // What the scan read stays until it is asked for more.
  PEAT_ASSIGN_OR_RETURN(
      *has_more,
      log_->Next([this](const format::Record& record) { Add(record, true); }));
  return absl::OkStatus();
}

void Cursor::Add(const format::Record& record, bool is_mapped) {
  Pair& pair = group_.emplace_back();
  pair.key = record.key;
  pair.expiry = format::ExpiryOf(record);
  if (!keys_only_) {
    pair.value = format::StoredValue(record);
    pair.is_in_file = (record.header.flags & format::kFlagValueFile) != 0;
  }
  if (is_mapped) [[likely]]
    return;
  std::string& copy = copies_.emplace_back(pair.key);
  copy.append(pair.value);
  const std::string_view view = copy;
  pair.key = view.substr(0, pair.key.size());
  pair.value = view.substr(pair.key.size());
}

absl::Status Cursor::Show(const Pair& pair) {
  if (pair.is_lost) {
    return absl::DataLossError({pair.value.data(), pair.value.size()});
  }
  key_ = pair.key;
  value_ = pair.value;
  expiry_ = pair.expiry;
  if (!pair.is_in_file) return absl::OkStatus();
  const Visit visit(*parts_.gate);
  if (!visit.is_inside()) return parts_.gate->WhyNot();
  PEAT_RETURN_IF_ERROR(reader_->CopyReferred(pair.value, &value_copy_));
  value_ = value_copy_;
  return absl::OkStatus();
}

}  // namespace peat::engine
