// The style guide, executed: reads the project's files and fails on what
// neither compiler nor clang-tidy can see. ProjectTest applies each rule of
// tidy_rules.h to the tree; TidyTest shows that each finds what it should in a
// bad snippet.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "tests/tidy_rules.h"

namespace peat::tidy {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// --- The project.

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool IsProjectText(const std::string& path) {
  static const std::regex kText(
      R"re(.*\.(cc|h|c|md|txt|json|in|cmake|sh)|(tools|\.ci)/\w+|\.clang-\w+)re");
  return std::regex_match(path, kText);
}

// Every text file of the project, without what is built or hidden.
std::vector<SourceFile> ReadProject() {
  const fs::path root(PEAT_SOURCE_DIR);
  std::vector<SourceFile> files;
  for (fs::recursive_directory_iterator it(root), end; it != end; ++it) {
    const std::string path = it->path().lexically_relative(root).string();
    if (it->is_directory()) {
      const bool is_hidden = path.starts_with('.') && path != ".ci";
      if (is_hidden || path == "build") it.disable_recursion_pending();
    } else if (it->is_regular_file() && IsProjectText(path)) {
      files.push_back({path, ReadFile(it->path())});
    }
  }
  return files;
}

class ProjectTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { files_ = ReadProject(); }

  // Fails for each finding of `rule` in the files that `applies` takes.
  static void Expect(const std::function<Findings(const SourceFile&)>& rule,
                     const std::function<bool(const std::string&)>& applies) {
    for (const SourceFile& file : files_) {
      if (!applies(file.path)) continue;
      EXPECT_THAT(rule(file), IsEmpty()) << file.path;
    }
  }

  static std::vector<SourceFile> files_;
};
std::vector<SourceFile> ProjectTest::files_;

TEST_F(ProjectTest, IsRead) {
  // Guards the other tests against looking at nothing.
  EXPECT_GT(std::ranges::count_if(
                files_, [](const SourceFile& f) { return IsCode(f.path); }),
            40);
}

TEST_F(ProjectTest, IncludesDownwards) { Expect(FindWrongIncludes, IsCode); }

TEST_F(ProjectTest, UsesNothingForbidden) { Expect(FindForbiddenCode, IsCode); }

TEST_F(ProjectTest, HasFilesOfTheRightShape) { Expect(FindWrongShape, IsCode); }

TEST_F(ProjectTest, SpeaksOfItselfAlone) {
  Expect(FindForbiddenWords, [](const std::string&) { return true; });
}

TEST_F(ProjectTest, BuildsEveryFile) {
  EXPECT_THAT(FindUnregistered(files_), IsEmpty());
}

TEST_F(ProjectTest, HasNothingElseInItsRoot) {
  static const std::regex kKnown(
      R"(\..*|\w+\.(md|txt|json)|LICENSE|api|bench|build|docs|engine)"
      "|format|index|tests|tools");
  for (const auto& entry : fs::directory_iterator(PEAT_SOURCE_DIR)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(std::regex_match(name, kKnown)) << name;
  }
}

TEST_F(ProjectTest, ShowsTheExampleInTheReadme) {
  const fs::path root(PEAT_SOURCE_DIR);
  const std::string example = ReadFile(root / "api/examples/hello.cc");

  EXPECT_THAT(example, Not(IsEmpty()));
  EXPECT_THAT(Snippets(ReadFile(root / "README.md")), ElementsAre(example));
}

TEST_F(ProjectTest, ShowsRecipesInTheCookbookAsTheyAreCompiled) {
  const fs::path root(PEAT_SOURCE_DIR);
  const std::string compiled = ReadFile(root / "api/examples/cookbook.cc");
  const auto recipes = Snippets(ReadFile(root / "docs/cookbook.md"));

  EXPECT_GE(recipes.size(), 6U);
  for (const std::string& recipe : recipes) {
    EXPECT_THAT(compiled, HasSubstr(recipe));
  }
}

TEST_F(ProjectTest, ShowsHowStateEndsInTheGuideAsItIsCompiled) {
  const fs::path root(PEAT_SOURCE_DIR);
  const std::string compiled = ReadFile(root / "api/examples/cookbook.cc");
  const std::string guide = ReadFile(root / "docs/guide.md");
  const size_t begin = guide.find("\n## State that ends\n");
  ASSERT_NE(begin, std::string::npos);
  const auto snippets =
      Snippets(guide.substr(begin, guide.find("\n## ", begin + 1) - begin));

  EXPECT_GE(snippets.size(), 2U);
  for (const std::string& snippet : snippets) {
    EXPECT_THAT(compiled, HasSubstr(snippet));
  }
}

// --- The rules find what they should.

TEST(TidyTest, FindsIncludesThatPointUpward) {
  EXPECT_THAT(FindWrongIncludes({"format/a.cc", "#include \"index/b.h\"\n"}),
              ElementsAre(HasSubstr("upward: index/b.h")));
  EXPECT_THAT(FindWrongIncludes({"engine/a.cc", "#include \"tools/b.h\"\n"}),
              ElementsAre(HasSubstr("upward: tools/b.h")));
  EXPECT_THAT(FindWrongIncludes({"tools/a.cc", "#include \"engine/b.h\"\n"}),
              ElementsAre(HasSubstr("upward: engine/b.h")));
  EXPECT_THAT(FindWrongIncludes({"tools/offline/a.cc",
                                 "#include \"engine/b.h\"\n"
                                 "#include \"api/store_impl.h\"\n"}),
              ElementsAre(HasSubstr("upward: api/store_impl.h")));
  EXPECT_THAT(FindWrongIncludes({"engine/a.cc",
                                 "#include <index>\n#include \"format/b.h\"\n"
                                 "// #include \"api/c.h\" in words\n"}),
              IsEmpty());
}

TEST(TidyTest, FindsIncludesThatPointUpwardBetweenRoomsOfTheEngine) {
  EXPECT_THAT(
      FindWrongIncludes({"engine/log/a.cc",
                         "#include \"engine/read/b.h\"\n"
                         "#include \"engine/segment/c.h\"\n"
                         "#include \"engine/engine.h\"\n"}),
      ElementsAre(HasSubstr("engine/read/b.h"), HasSubstr("engine/engine.h")));
  EXPECT_THAT(
      FindWrongIncludes({"engine/a.cc", "#include \"engine/save/b.h\"\n"}),
      IsEmpty());
}

TEST(TidyTest, FindsSystemHeadersOutsideTheGround) {
  const std::string text = "// A.\n  # include <sys/mman.h>\n";
  EXPECT_THAT(FindWrongIncludes({"engine/a.cc", text}),
              ElementsAre(HasSubstr("sys/mman.h")));
  EXPECT_THAT(FindWrongIncludes({"engine/os/a.cc", text}), IsEmpty());
  EXPECT_THAT(FindWrongIncludes({"tests/a.cc", text}), IsEmpty());
}

TEST(TidyTest, FindsLibrariesOutsideTheirOneFile) {
  const std::string text =
      "#include <xxhash.h>\n#include <sodium.h>\n#include <zstd.h>\n";
  EXPECT_EQ(FindWrongIncludes({"engine/a.cc", text}).size(), 3U);
  EXPECT_EQ(FindWrongIncludes({"engine/write/digest.cc", text}).size(), 2U);
  EXPECT_EQ(FindWrongIncludes({"format/checksum.cc", text}).size(), 2U);
}

TEST(TidyTest, FindsPublicHeadersThatShowTheInside) {
  EXPECT_THAT(FindWrongIncludes({"api/peat/a.h",
                                 "#include \"engine/engine.h\"\n"
                                 "#include \"absl/status/status.h\"\n"
                                 "#include \"peat/b.h\"\n"}),
              ElementsAre(HasSubstr("engine/engine.h")));
}

TEST(TidyTest, FindsForbiddenCode) {
  for (const char* code :
       {"absl::string_view s;", "absl::optional<int> o;", "absl::Span<int> s;",
        "absl::Mutex m;", "auto* a = new A();", "p = new int[3];", "delete a;",
        "delete[] a;", "void* p = malloc(3);", "std::free(p);",
        "std::thread t(f);", "std::jthread t;", "throw 1;",
        "const index::EpochGuard guard;",
        "int n = 1'000; auto* a = new A; char c = 'x';"}) {
    EXPECT_EQ(FindForbiddenCode({"engine/a.cc", code}).size(), 1U) << code;
  }
}

TEST(TidyTest, AllowsWhatOnlyLooksForbidden) {
  for (const char* code :
       {"// a new A\nint a;", "const char* s = \"new A\";", "A(A&&) = delete;",
        "/* delete a; */", "#include <new>\n", "std::thread::id id;",
        "std::this_thread::yield();", "int renew = new_size;",
        "R\"(throw 1;)\"", "const EpochGuard guard(epochs_);",
        "const EpochGuard guard_;", "std::unique_ptr<A>(new A(b));",
        "std::unique_ptr<A> a(\n    new A(b));"}) {
    EXPECT_THAT(FindForbiddenCode({"engine/a.cc", code}), IsEmpty()) << code;
  }
  EXPECT_THAT(FindForbiddenCode({"engine/os/worker.cc", "std::thread t;"}),
              IsEmpty());
  EXPECT_THAT(FindForbiddenCode({"tests/a.cc", "std::thread t;"}), IsEmpty());
}

TEST(TidyTest, FindsFilesOfTheWrongShape) {
  EXPECT_THAT(FindWrongShape({"a/b.cc", "// A.\n" + std::string(500, '\n')}),
              ElementsAre(HasSubstr("501")));
  EXPECT_THAT(FindWrongShape({"a/b.cc", "#include \"a/c.h\"\n"}),
              ElementsAre(HasSubstr("open")));
  EXPECT_THAT(FindWrongShape({"a/b.cc", "#include \"a/b.h\"\n"}), IsEmpty());
  EXPECT_THAT(FindWrongShape({"a/b.h", "// B.\n#ifndef A_B_H_\n"}),
              ElementsAre(HasSubstr("PEAT_A_B_H_")));
  EXPECT_THAT(FindWrongShape({"a/b.h", "// B.\n#ifndef PEAT_A_B_H_\n"}),
              IsEmpty());
}

TEST(TidyTest, FindsForbiddenWords) {
  for (const char* text : {"// TO"
                           "DO: later",
                           "# FIX"
                           "ME",
                           "see styl"
                           "e.md",
                           "cd /ro"
                           "ot/x",
                           "a sub"
                           "agent"}) {
    EXPECT_EQ(FindForbiddenWords({"README.md", text}).size(), 1U) << text;
  }
  EXPECT_THAT(FindForbiddenWords({"README.md", "freestyle.md, net/work/x"}),
              IsEmpty());
}

TEST(TidyTest, FindsFilesThatAreNotBuilt) {
  EXPECT_THAT(
      FindUnregistered({{"tests/CMakeLists.txt", "(a_test.cc sub/b_test.cc)"},
                        {"tests/a_test.cc", ""},
                        {"tests/sub/b_test.cc", ""},
                        {"tests/sub/a_test.cc", ""},
                        {"tests/test.cc", ""},
                        {"api/CMakeLists.txt", "FILES peat/a.h)"},
                        {"api/peat/a.h", ""},
                        {"api/peat/b.h", ""}}),
      ElementsAre(HasSubstr("tests/sub/a_test.cc"), HasSubstr("tests/test.cc"),
                  HasSubstr("api/peat/b.h")));
}

TEST(TidyTest, TakesTheSnippetsOfAPage) {
  EXPECT_THAT(Snippets("# A\n```sh\nx\n```\n```cpp\na\n```\n```cpp\nb\n```\n"),
              ElementsAre("a\n", "b\n"));
  EXPECT_THAT(Snippets("no code"), IsEmpty());
}

}  // namespace
}  // namespace peat::tidy
