// Several writes that become one.

#ifndef PEAT_API_PEAT_WRITE_BATCH_H_
#define PEAT_API_PEAT_WRITE_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace peat {

// Writes that Store::Write() applies together: readers and every recovery see
// all of them or none. They apply in order; a later one sees the earlier ones.
// The batch owns copies of its keys and values. Externally synchronised.
class WriteBatch {
 public:
  void Put(std::string_view key, std::string_view value);
  // Deleting a key that is absent is not an error and writes nothing.
  void Delete(std::string_view key);

  void Clear();

  // Operations in the batch, and the bytes of their keys and values.
  size_t size() const { return operations_.size(); }
  size_t byte_size() const { return bytes_.size(); }

  // For the engine.
  enum class Kind : uint8_t { kPut, kDelete };
  struct Operation {
    Kind kind;
    std::string_view key;
    std::string_view value;
  };
  // Operation `index`, in the order of the calls. Its views live until the
  // batch changes.
  Operation operation(size_t index) const;

 private:
  struct Entry {
    Kind kind;
    size_t offset;  // in bytes_
    size_t key_size;
    size_t value_size;
  };
  std::vector<Entry> operations_;
  std::string bytes_;
};

}  // namespace peat

#endif  // PEAT_API_PEAT_WRITE_BATCH_H_
