// Tests of peat audit: what it lists, and what it finds wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/command_fixture.h"

namespace peat::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kTime = "[0-9-]{10}T[0-9:]{8}\\.[0-9]{6}Z";

class AuditCommandTest : public CommandFixture {
 protected:
  // The objects on the lines that `peat audit s --json` prints.
  std::vector<nlohmann::json> Audit(const std::string& options) const {
    std::vector<nlohmann::json> objects;
    std::istringstream lines(MustRun("peat audit s --json " + options));
    for (std::string line; std::getline(lines, line);) {
      objects.push_back(nlohmann::json::parse(line));
    }
    return objects;
  }

  std::vector<int> Lsns(const std::string& options) const {
    std::vector<int> lsns;
    for (const nlohmann::json& object : Audit(options)) {
      lsns.push_back(object["lsn"].get<int>());
    }
    return lsns;
  }

  // Lsns 1 to 7: two puts, then five masks.
  void SetMasks() const {
    MustRun("peat put s a/1 one && peat put s a/2 two");
    MustRun("peat disable s a/1 --reason 'ticket 12'");
    MustRun("peat enable s a/1 && peat disable s a/2");
    MustRun("peat forget s a/1 b --reason 'request 17' --json > receipts");
  }

  // Changes one byte of the only value file.
  void DamageValueFile() const {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(path("s"))) {
      if (file.path().extension() == ".val") files.push_back(file.path());
    }
    ASSERT_EQ(files.size(), 1U);
    const auto size = std::filesystem::file_size(files[0]);
    std::fstream file(files[0],
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file.put('!');
  }
};

TEST_F(AuditCommandTest, ListsMasksInATable) {
  SetMasks();

  const std::string time(kTime);
  EXPECT_THAT(
      MustRun("peat audit s"),
      MatchesRegex("TIME  +KIND  +LSN  VALUE    KEY  +REASON\n" +         //
                   time + "  disable  +3  kept     a/1  +ticket 12\n" +   //
                   time + "  enable   +4  kept     a/1\n" +               //
                   time + "  disable  +5  kept     a/2\n" +               //
                   time + "  forget   +6  kept     a/1  +request 17\n" +  //
                   time + "  forget   +7  none     b  +request 17\n"));
}

TEST_F(AuditCommandTest, ListsMasksAsJson) {
  SetMasks();

  const std::vector<nlohmann::json> masks = Audit("");

  ASSERT_EQ(masks.size(), 5U);
  nlohmann::json forget = masks[3];
  EXPECT_THAT(forget["time"].get<std::string>(), MatchesRegex(kTime));
  forget.erase("time");
  EXPECT_EQ(forget,
            nlohmann::json::parse(R"({"kind":"forget","lsn":6,"key":"a/1",)"
                                  R"("reason":"request 17","value_lsn":1,)"
                                  R"("is_whole":true})"));
}

TEST_F(AuditCommandTest, ListsWhatItIsAskedFor) {
  SetMasks();

  EXPECT_THAT(Lsns(""), ElementsAre(3, 4, 5, 6, 7));
  EXPECT_THAT(Lsns("--key a/1"), ElementsAre(3, 4, 6));
  EXPECT_THAT(Lsns("--prefix a/"), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(Lsns("-e --prefix 'a\\x2f'"), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(Lsns("--key ''"), IsEmpty());
  EXPECT_THAT(Lsns("--kind forget"), ElementsAre(6, 7));
  EXPECT_THAT(Lsns("--kind enable,disable"), ElementsAre(3, 4, 5));
  EXPECT_THAT(Lsns("--lsn 4..6"), ElementsAre(4, 5, 6));
  EXPECT_THAT(Lsns("--lsn 6.."), ElementsAre(6, 7));
  EXPECT_THAT(Lsns("--lsn ..4"), ElementsAre(3, 4));
  EXPECT_THAT(Lsns("--lsn 5"), ElementsAre(5));
  EXPECT_THAT(Lsns("--newest-first --limit 2"), ElementsAre(7, 6));
  EXPECT_THAT(Lsns("--limit 0"), IsEmpty());
}

TEST_F(AuditCommandTest, TakesTimesAsItPrintsThem) {
  SetMasks();
  const std::string enabled = Audit("--lsn 4")[0]["time"];

  EXPECT_THAT(Lsns("--since " + enabled), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(Lsns("--until " + enabled), ElementsAre(3, 4));
  EXPECT_THAT(Lsns("--since 1970-01-01 --until 2000-01-01"), IsEmpty());
}

TEST_F(AuditCommandTest, CountsByKind) {
  SetMasks();

  EXPECT_EQ(MustRun("peat audit s --count"),
            "disables  2\nenables   1\nforgets   2\n");
  EXPECT_EQ(MustRun("peat audit s --count --json --prefix a/"),
            "{\"disables\":2,\"enables\":1,\"forgets\":1}\n");
}

TEST_F(AuditCommandTest, RevealsWhatIsPreserved) {
  SetMasks();

  const std::vector<nlohmann::json> masks = Audit("--reveal");

  EXPECT_EQ(masks[0]["value"], "one");
  EXPECT_EQ(masks[2]["value"], "two");
  EXPECT_EQ(masks[3]["value"], "one");
  EXPECT_FALSE(masks[4].contains("value"));
  EXPECT_THAT(MustRun("peat audit s --reveal --lsn 6"),
              HasSubstr("\n  value         one\n"));
}

TEST_F(AuditCommandTest, KeepsEveryByteInJsonAndObeysNoneInATable) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  Write("value", bytes);
  MustRun("peat put s -e 'k\\0\\xff' --value-file value");
  MustRun("peat forget s -e 'k\\0\\xff' --reason '\\xc2\\x9b\\x1b[31m\\xfe'");

  const nlohmann::json mask = Audit("--reveal")[0];
  Write("value64", mask["value64"].get<std::string>());

  EXPECT_EQ(mask["key64"], "awD/");
  EXPECT_EQ(mask["reason64"], "wpsbWzMxbf4=");
  EXPECT_EQ(MustRun("base64 -d value64"), bytes);
  EXPECT_THAT(MustRun("peat audit s"), HasSubstr("k\\0\\xff                   "
                                                 "\\xc2\\x9b\\x1b[31m\\xfe\n"));
}

TEST_F(AuditCommandTest, CutsLongKeysInATableBetweenCharacters) {
  MustRun("peat put s a 1");
  const std::string umlauts = "0\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC";
  const std::string key = umlauts + umlauts + umlauts;  // 33 bytes
  MustRun("peat forget s " + key + " && peat forget s 0" + key);

  EXPECT_THAT(MustRun("peat audit s --lsn 2"),
              HasSubstr("none     " + key.substr(0, 31) + "...\n"));
  EXPECT_EQ(Audit("--lsn 3")[0]["key"], "0" + key);
}

TEST_F(AuditCommandTest, MakesReceiptsAgain) {
  SetMasks();
  std::istringstream receipts(Read("receipts"));

  for (const nlohmann::json& mask : Audit("--kind forget --verify")) {
    std::string line;
    ASSERT_TRUE(std::getline(receipts, line));
    const nlohmann::json receipt = nlohmann::json::parse(line);
    for (const auto& [name, value] : receipt.items()) {
      EXPECT_EQ(mask[name], value) << name;
    }
  }
  EXPECT_THAT(MustRun("peat audit s --verify --lsn 7"),
              HasSubstr("\n  value_digest  -\n"));
}

TEST_F(AuditCommandTest, HoldsTheStoreToReceipts) {
  SetMasks();
  MustRun("peat forget s a/1 --json >> receipts");
  MustRun("peat audit s --kind forget --verify --json >> receipts");

  EXPECT_EQ(MustRun("peat audit s --receipts receipts"),
            "checked 5 receipts, 0 missing, 0 different, 0 damaged\n");
  EXPECT_EQ(MustRun("tac receipts | peat audit s --receipts -"),
            "checked 5 receipts, 0 missing, 0 different, 0 damaged\n");
  EXPECT_EQ(MustRun("peat audit s --receipts - < /dev/null"),
            "checked 0 receipts, 0 missing, 0 different, 0 damaged\n");
}

TEST_F(AuditCommandTest, FindsReceiptsThatDoNotFit) {
  SetMasks();
  MustRun("peat put t a/1 one && peat forget t a/1 --json > other");
  // In turn: of another store, key and value; of an lsn that is none, and of
  // one that is a disable's; and a good one.
  MustRun(
      "{ sed 's/\"lsn\":2/\"lsn\":6/' other; head -n 1 receipts > good; "
      "sed -E 's/(key_digest\":\")../\\100/' good; "
      "sed -E 's/(value_digest\":)\"[0-9a-f]+\"/\\1null/' good; "
      "sed 's/\"lsn\":6/\"lsn\":99/' good; sed 's/\"lsn\":6/\"lsn\":3/' good; "
      "cat good; } > bad");

  const Outcome outcome = Run("peat audit s --receipts bad");

  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output,
            "checked 6 receipts, 2 missing, 3 different, 0 damaged\n");
  EXPECT_THAT(outcome.complaints,
              HasSubstr("line 1: the receipt is of another store\n"));
  EXPECT_THAT(outcome.complaints,
              HasSubstr("line 4: nothing was forgotten at this lsn\n"));
  EXPECT_THAT(outcome.complaints, Not(HasSubstr("line 6")));
}

TEST_F(AuditCommandTest, FindsAPreservedValueThatIsDamaged) {
  MustRun("head -c 3000000 /dev/zero | peat put s large --value-file -");
  MustRun("peat forget s large --json > receipts && peat put s small 1");
  MustRun("peat forget s small --json >> receipts && peat audit s --verify");

  DamageValueFile();

  for (const char* options :
       {"", "--json", "--verify", "--reveal", "--json --reveal"}) {
    SCOPED_TRACE(options);
    const Outcome outcome = Run("peat audit s " + std::string(options));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.complaints,
                MatchesRegex("peat: lsn 2: [0-9]+\\.val offset [0-9]+: value "
                             "checksum mismatch\n"));
    EXPECT_THAT(outcome.output, HasSubstr("small"));
  }
  EXPECT_THAT(Run("peat audit s").output, HasSubstr("2  DAMAGED  large\n"));
  EXPECT_THAT(Run("peat audit s --json").output, HasSubstr("\"damage\":\""));
  const Outcome receipts = Run("peat audit s --receipts receipts");
  EXPECT_EQ(receipts.exit_code, 1);
  EXPECT_EQ(receipts.output,
            "checked 2 receipts, 0 missing, 0 different, 1 damaged\n");
  MustRun("peat audit s --key small && peat audit s --count");
}

TEST_F(AuditCommandTest, ReportsADamagedLogAsAFailure) {
  SetMasks();
  // The reason of the first mask, which only its record's checksum covers.
  MustRun(
      "f=$(grep -l 'ticket 12' s/*.seg) && sed -i 's/ticket 12/ticket 13/' "
      "$f");

  const Outcome outcome = Run("peat audit s");

  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.complaints, HasSubstr("DATA_LOSS"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("ticket")));
}

TEST_F(AuditCommandTest, FindsTheSameAfterCompaction) {
  SetMasks();
  MustRun("head -c 3000000 /dev/zero | peat put s large --value-file -");
  MustRun("peat disable s large --reason r && peat enable s large");
  MustRun("peat put s large small && peat forget s large --json >> receipts");
  MustRun("head -c 100000 /dev/zero | peat put s medium --value-file -");
  MustRun("peat disable s medium && peat enable s medium");
  MustRun("peat audit s > before && peat audit s --json --verify > whole");

  MustRun("for i in 1 2 3; do peat put s fill $i; done; peat compact s");

  // Superseded masks are cut down to what is listed.
  EXPECT_EQ(MustRun("peat audit s | sed -E 's/dropped|kept   /      /'"),
            MustRun("sed -E 's/dropped|kept   /      /' before"));
  EXPECT_EQ(MustRun("peat audit s --json --kind forget --verify"),
            MustRun("grep '\"forget\"' whole"));
  EXPECT_THAT(MustRun("peat audit s --receipts receipts"),
              StartsWith("checked 3 receipts, 0 missing, 0 different, 0 dam"));
  EXPECT_EQ(Audit("--key large --reveal").back()["value"], "small");
  const nlohmann::json superseded = Audit("--key medium --reveal")[0];
  EXPECT_EQ(superseded["is_whole"], false);
  EXPECT_FALSE(superseded.contains("value"));
}

TEST_F(AuditCommandTest, ReadsBesideAProcessThatWrites) {
  SetMasks();

  const Outcome outcome =
      Run("mkfifo in; '" PEAT_COMMAND
          "' load s in --acknowledge 1 > out & pid=$!; exec 3> in; "
          "printf 'z\\t1\\n' >&3; until grep -q acknowledged out; do :; done; "
          "peat audit s --count; peat disable s a/1; kill $pid; wait $pid");

  EXPECT_THAT(outcome.output, StartsWith("disables  2\n"))
      << outcome.complaints;
  EXPECT_THAT(outcome.complaints, HasSubstr("UNAVAILABLE"));
}

TEST_F(AuditCommandTest, ExitsWithTwoOnABadCommandLineOrInput) {
  SetMasks();
  Write("bad", "{}\n");
  for (const char* script :
       {"peat audit", "peat audit s extra", "peat audit s --kind put",
        "peat audit s --kind disable,", "peat audit s --lsn 1..x",
        "peat audit s --lsn ..-1", "peat audit s --lsn ''",
        "peat audit s --kind ''", "peat audit s --since ''",
        "peat audit s --since yesterday", "peat audit s --until 2026-11",
        "peat audit s --key a --prefix a", "peat audit s -e --key '\\q'",
        "peat audit s --limit -1", "peat audit s --count --reveal",
        "peat audit s --receipts receipts --json",
        "peat audit s --receipts bad"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.complaints, Not(IsEmpty()));
  }
}

TEST_F(AuditCommandTest, ExitsWithThreeWhereItCannotReadOrWrite) {
  SetMasks();
  for (const char* script :
       {"peat audit missing", "peat audit s --receipts missing",
        "peat audit s --receipts .", "peat audit s > /dev/full"}) {
    SCOPED_TRACE(script);
    const Outcome outcome = Run(script);
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_THAT(outcome.complaints, StartsWith("peat: "));
  }
}

}  // namespace
}  // namespace peat::tools
