#include "tools/receipt.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_format.h"
#include "tools/escape.h"

namespace peat::tools {
namespace {

template <size_t kSize>
std::string HexOf(const std::array<std::byte, kSize>& bytes) {
  return ToHex({reinterpret_cast<const char*>(bytes.data()), kSize});
}

std::optional<std::string> HexOf(const std::optional<Digest>& digest) {
  if (!digest.has_value()) return std::nullopt;
  return HexOf(*digest);
}

OrderedJson JsonOf(const std::optional<Digest>& digest) {
  const std::optional<std::string> hex = HexOf(digest);
  return hex.has_value() ? OrderedJson(*hex) : OrderedJson(nullptr);
}

template <size_t kSize>
bool ParseHex(const nlohmann::json& member,
              std::array<std::byte, kSize>* bytes) {
  if (!member.is_string()) return false;
  const std::optional<std::string> parsed =
      FromHex(member.get_ref<const std::string&>());
  if (!parsed.has_value() || parsed->size() != kSize) return false;
  std::memcpy(bytes->data(), parsed->data(), kSize);
  return true;
}

// A digest that is null or not there is none.
bool ParseDigest(const nlohmann::json& object, const char* name,
                 std::optional<Digest>* digest) {
  const auto member = object.find(name);
  if (member == object.end() || member->is_null()) return true;
  return ParseHex(*member, &digest->emplace());
}

}  // namespace

void AddReceipt(OrderedJson& object, const ForgetReceipt& receipt) {
  object["store_id"] = HexOf(receipt.store_id);
  object["lsn"] = receipt.lsn;
  object["key_digest"] = JsonOf(receipt.key_digest);
  object["value_digest"] = JsonOf(receipt.value_digest);
}

std::string ReceiptText(const ForgetReceipt& receipt) {
  return absl::StrFormat(
      "  store_id      %s\n  key_digest    %s\n  value_digest  %s\n",
      HexOf(receipt.store_id), HexOf(receipt.key_digest).value_or("-"),
      HexOf(receipt.value_digest).value_or("-"));
}

std::optional<ForgetReceipt> ParseReceipt(std::string_view line) {
  const nlohmann::json object =
      nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  const auto store_id = object.find("store_id");
  const auto lsn = object.find("lsn");
  if (store_id == object.end() || lsn == object.end()) return std::nullopt;
  if (!lsn->is_number_unsigned()) return std::nullopt;
  ForgetReceipt receipt{.lsn = lsn->get<uint64_t>()};
  if (!ParseHex(*store_id, &receipt.store_id) ||
      !ParseDigest(object, "key_digest", &receipt.key_digest) ||
      !ParseDigest(object, "value_digest", &receipt.value_digest)) {
    return std::nullopt;
  }
  return receipt;
}

}  // namespace peat::tools
