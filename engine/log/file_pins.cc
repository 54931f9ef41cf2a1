#include "engine/log/file_pins.h"

#include <algorithm>
#include <utility>

namespace peat::engine {

using format::SegmentId;

FilePins::Pin FilePins::Take(std::vector<SegmentId> files) {
  std::sort(files.begin(), files.end());
  Pin pin = std::make_shared<const std::vector<SegmentId>>(std::move(files));
  const index::MutexLock lock(&mutex_);
  pins_.push_back(pin);
  return pin;
}

bool FilePins::Has(SegmentId file) {
  const index::MutexLock lock(&mutex_);
  bool has = false;
  std::erase_if(
      pins_,
      [&has, file](const std::weak_ptr<const std::vector<SegmentId>>& weak) {
        const Pin pin = weak.lock();
        if (pin == nullptr) return true;
        has = has || std::binary_search(pin->begin(), pin->end(), file);
        return false;
      });
  return has;
}

}  // namespace peat::engine
