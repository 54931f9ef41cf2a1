// The style guide, executed: reads the project's files and fails on what
// neither compiler nor clang-tidy can see.
//
// Each rule is a function from a file to findings; a test shows that it finds
// what it should in a bad snippet, and ProjectTest applies all of them to the
// tree. Rules about code look at it without its comments and strings.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct SourceFile {
  std::string path;  // from the project's root
  std::string text;
};
using Findings = std::vector<std::string>;

constexpr size_t kLinesMax = 500;

// Rooms, and which of the others each may include. Outside them: tools, bench
// and tests, which the house does not know.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"format", {"format"}},
    {"index", {"index", "format"}},
    {"engine", {"engine", "index", "format", "peat"}},
    {"api", {"api", "peat", "engine", "index", "format"}},
    {"tools", {"tools", "peat", "format"}},
    // Reads a store's files without opening the store.
    {"tools/offline", {"tools", "peat", "engine", "index", "format"}},
};
const std::set<std::string> kFolders = {"format", "index", "engine", "api",
                                        "peat",   "tools", "bench",  "tests"};

// The system's interface to files, processes and memory.
const std::regex kSystemHeader(
    "(fcntl|unistd|dirent|poll|sched|signal|pthread)\\.h|(sys|linux)/.*");

// What the rooms and tools may include in one place only, and where. A
// benchmark or test may measure it bare.
const std::map<std::string, std::set<std::string>> kOnlyIn = {
    {"xxhash.h", {"format/checksum.cc", "index/key_hash.cc"}},
    {"sodium.h", {"engine/digest.cc"}},
    {"zstd.h", {"format/compression.cc"}},
};

// Where a room needs the system for something other than files.
const std::set<std::pair<std::string, std::string>> kSystemExceptions = {
    {"engine/worker.cc", "pthread.h"},  // threads that may fail to start
    {"index/arena.cc", "sys/mman.h"},   // anonymous memory
    {"index/epoch.cc", "linux/membarrier.h"},
    {"index/epoch.cc", "pthread.h"},      // pthread_atfork
    {"index/epoch.cc", "sys/syscall.h"},  // of membarrier
    {"index/epoch.cc", "unistd.h"},
};

std::string FirstFolder(const std::string& path) {
  return path.substr(0, path.find('/'));
}

// The key of kMayInclude that applies to a file.
std::string RoomOf(const std::string& path) {
  return path.starts_with("tools/offline/") ? "tools/offline"
                                            : FirstFolder(path);
}

bool IsRoom(const std::string& path) {
  return FirstFolder(path) != "tools" &&
         kMayInclude.contains(FirstFolder(path));
}

bool IsCode(const std::string& path) {
  return path.ends_with(".cc") || path.ends_with(".h");
}

// Code without comments and the content of literals; lines stay lines.
std::string StripCommentsAndLiterals(const std::string& text) {
  static const std::regex kPattern(
      R"re(//[^\n]*|/\*[^]*?\*/|R"(\w*)\([^]*?\)\1"|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])+')re");
  static const std::regex kDigitSeparator("([0-9a-fA-F])'(?=[0-9a-fA-F])");
  const std::string code = std::regex_replace(text, kDigitSeparator, "$1");
  std::string stripped;
  auto end = code.cbegin();
  for (std::sregex_iterator it(code.begin(), code.end(), kPattern), last;
       it != last; ++it) {
    stripped.append(end, (*it)[0].first);
    stripped.append("\"\"");
    stripped.append(
        static_cast<size_t>(std::count((*it)[0].first, (*it)[0].second, '\n')),
        '\n');
    end = (*it)[0].second;
  }
  return stripped.append(end, code.cend());
}

std::vector<std::string> IncludesOf(const std::string& text) {
  static const std::regex kInclude(
      R"re((^|\n)[ \t]*#\s*include\s*[<"]([^>"]+)[>"])re");
  std::vector<std::string> includes;
  for (std::sregex_iterator it(text.begin(), text.end(), kInclude), last;
       it != last; ++it) {
    includes.push_back((*it)[2]);
  }
  return includes;
}

Findings FindWrongIncludes(const SourceFile& file) {
  Findings findings;
  const std::string folder = RoomOf(file.path);
  const bool is_ground = file.path.starts_with("engine/fs/");
  for (const std::string& header : IncludesOf(file.text)) {
    if (kMayInclude.contains(folder) &&
        kFolders.contains(FirstFolder(header)) &&
        header.find('/') != header.npos &&
        !kMayInclude.at(folder).contains(FirstFolder(header))) {
      findings.push_back("includes upward: " + header);
    }
    if (IsRoom(file.path) && !is_ground &&
        std::regex_match(header, kSystemHeader) &&
        !kSystemExceptions.contains({file.path, header})) {
      findings.push_back("system header outside engine/fs/: " + header);
    }
    if (kMayInclude.contains(folder) && kOnlyIn.contains(header) &&
        !kOnlyIn.at(header).contains(file.path)) {
      findings.push_back("not its one includer: " + header);
    }
    if (file.path.starts_with("api/peat/") && header.find('/') != header.npos &&
        !header.starts_with("peat/") && !header.starts_with("absl/status/")) {
      findings.push_back("a public header includes " + header);
    }
  }
  return findings;
}

Findings FindForbiddenCode(const SourceFile& file) {
  struct Rule {
    const char* pattern;
    const char* finding;
    bool rooms_only;
  };
  static const std::vector<Rule> kRules = {
      {R"re(\babsl::(string_view|optional|Span|variant)\b)re",
       "absl's stand-in for a std type", false},
      {R"re(\babsl::(Mutex|MutexLock|StrCat)\b)re", "see docs/decisions/",
       false},
      {R"re(\bnew\s+[A-Za-z_:(])re", "naked new", true},
      {R"re(\bdelete(\s*\[\s*\])?\s*[A-Za-z_*(])re", "naked delete", true},
      {R"re(\b(malloc|calloc|realloc|free)\s*\()re", "naked malloc", true},
      {R"re(\b(throw|try)\b)re", "exceptions", true},
      {R"re(\b(dynamic_cast|typeid)\b)re", "RTTI", true},
  };
  // A private constructor's only caller wraps what it makes on the spot.
  static const std::regex kWrapped(
      R"re((unique_ptr<[^;{}]*>\s*\w*\s*[({]|WrapUnique\()\s*new\b)re");
  static const std::regex kThread(R"re(\bstd::j?thread\b(?!::))re");
  const bool is_room = IsRoom(file.path);
  const std::string code = std::regex_replace(
      StripCommentsAndLiterals(file.text), kWrapped, "wrapped");
  Findings findings;
  for (const Rule& rule : kRules) {
    if ((is_room || !rule.rooms_only) &&
        std::regex_search(code, std::regex(rule.pattern))) {
      findings.push_back(rule.finding);
    }
  }
  if (is_room && !file.path.starts_with("engine/worker.") &&
      std::regex_search(code, kThread)) {
    findings.push_back("std::thread outside engine/worker.cc");
  }
  return findings;
}

Findings FindWrongShape(const SourceFile& file) {
  Findings findings;
  const auto lines = std::count(file.text.begin(), file.text.end(), '\n');
  if (static_cast<size_t>(lines) > kLinesMax) {
    findings.push_back("longer than 500 lines: " + std::to_string(lines));
  }
  // A .cc may leave the opening to the header it implements.
  const std::string own_header = fs::path(file.path).stem().string() + ".h";
  const std::vector<std::string> includes = IncludesOf(file.text);
  const bool opens_with_header =
      file.path.ends_with(".cc") && file.text.starts_with("#include \"") &&
      fs::path(includes.front()).filename() == own_header;
  if (!file.text.starts_with("// ") && !opens_with_header) {
    findings.push_back("does not open with what it is");
  }
  if (file.path.ends_with(".h")) {
    std::string guard = "PEAT_" + file.path + "_";
    for (char& c : guard) {
      c = std::isalnum(static_cast<unsigned char>(c)) != 0
              ? static_cast<char>(std::toupper(static_cast<unsigned char>(c)))
              : '_';
    }
    if (file.text.find("#ifndef " + guard + "\n") == std::string::npos) {
      findings.push_back("include guard is not " + guard);
    }
  }
  return findings;
}

// For files of every kind. The patterns are written so that they do not match
// themselves.
Findings FindForbiddenWords(const SourceFile& file) {
  static const std::regex kUnfinished(
      R"re(\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b)re");
  static const std::regex kSomewhere(
      R"re((^|[^\w.])/(home|root|work|Users)/\w)re");
  static const std::regex kElsewhere(
      R"re(\b(desig[n]|styl[e]|reliabilit[y]|anchor[s])\.md\b|\bsub[a]gents?\b)re");
  Findings findings;
  if (std::regex_search(file.text, kUnfinished)) {
    findings.push_back("mark of unfinished work");
  }
  if (std::regex_search(file.text, kSomewhere)) {
    findings.push_back("path of somebody's machine");
  }
  if (std::regex_search(file.text, kElsewhere)) {
    findings.push_back("mentions what is not part of the project");
  }
  return findings;
}

// How the CMakeLists.txt of `folder` names `path`: from there, and a fuzz
// target by its subject.
std::string NameIn(const fs::path& folder, const std::string& path) {
  const std::string name =
      fs::path(path)
          .lexically_relative(folder.empty() ? fs::path(".") : folder)
          .string();
  return name.substr(0, name.rfind("_fuzz.cc"));
}

// `files` must include the CMakeLists.txt files: a source must be named in the
// one of its folder or of a folder above it.
Findings FindUnregistered(const std::vector<SourceFile>& files) {
  std::map<std::string, std::string> lists;  // folder -> text
  for (const SourceFile& file : files) {
    const fs::path path(file.path);
    if (path.filename() == "CMakeLists.txt") {
      lists[path.parent_path().string()] = file.text;
    }
  }
  Findings findings;
  for (const SourceFile& file : files) {
    const bool is_public = file.path.starts_with("api/peat/");
    if (!file.path.ends_with(".cc") && !is_public) continue;
    bool registered = false;
    for (fs::path folder = fs::path(file.path).parent_path();;
         folder = folder.parent_path()) {
      const std::regex whole(R"re((^|[\s(]))re" + NameIn(folder, file.path) +
                             R"re(($|[\s)]))re");
      registered |= lists.contains(folder.string()) &&
                    std::regex_search(lists[folder.string()], whole);
      if (folder.empty()) break;
    }
    if (!registered) findings.push_back(file.path + " is in no CMakeLists.txt");
  }
  return findings;
}

// The content of the first ```cpp block of a page.
std::string FirstSnippet(const std::string& page) {
  const std::string opening = "```cpp\n";
  const size_t begin = page.find(opening);
  if (begin == page.npos) return "";
  const size_t code = begin + opening.size();
  return page.substr(code, page.find("```", code) - code);
}

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
      R"(\..*|\w+\.(md|txt|json)|LICENSE|api|bench|build|docs|engine|format)"
      "|index|tests|tools");
  for (const auto& entry : fs::directory_iterator(PEAT_SOURCE_DIR)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(std::regex_match(name, kKnown)) << name;
  }
}

TEST_F(ProjectTest, ShowsTheExampleInTheReadme) {
  const fs::path root(PEAT_SOURCE_DIR);
  const std::string example = ReadFile(root / "api/examples/hello.cc");

  EXPECT_THAT(example, Not(IsEmpty()));
  EXPECT_EQ(FirstSnippet(ReadFile(root / "README.md")), example);
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

TEST(TidyTest, FindsSystemHeadersOutsideTheGround) {
  const std::string text = "// A.\n  # include <sys/mman.h>\n";
  EXPECT_THAT(FindWrongIncludes({"engine/a.cc", text}),
              ElementsAre(HasSubstr("sys/mman.h")));
  EXPECT_THAT(FindWrongIncludes({"engine/fs/a.cc", text}), IsEmpty());
  EXPECT_THAT(FindWrongIncludes({"tests/a.cc", text}), IsEmpty());
}

TEST(TidyTest, FindsLibrariesOutsideTheirOneFile) {
  const std::string text =
      "#include <xxhash.h>\n#include <sodium.h>\n#include <zstd.h>\n";
  EXPECT_EQ(FindWrongIncludes({"engine/a.cc", text}).size(), 3U);
  EXPECT_EQ(FindWrongIncludes({"engine/digest.cc", text}).size(), 2U);
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
        "int n = 1'000; auto* a = new A; char c = 'x';"}) {
    EXPECT_EQ(FindForbiddenCode({"engine/a.cc", code}).size(), 1U) << code;
  }
}

TEST(TidyTest, AllowsWhatOnlyLooksForbidden) {
  for (const char* code :
       {"// a new A\nint a;", "const char* s = \"new A\";", "A(A&&) = delete;",
        "/* delete a; */", "#include <new>\n", "std::thread::id id;",
        "std::this_thread::yield();", "int renew = new_size;",
        "R\"(throw 1;)\"", "std::unique_ptr<A>(new A(b));",
        "std::unique_ptr<A> a(\n    new A(b));"}) {
    EXPECT_THAT(FindForbiddenCode({"engine/a.cc", code}), IsEmpty()) << code;
  }
  EXPECT_THAT(FindForbiddenCode({"engine/worker.cc", "std::thread t;"}),
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

TEST(TidyTest, TakesTheFirstSnippetOfAPage) {
  EXPECT_EQ(FirstSnippet("# A\n```sh\nx\n```\n```cpp\ncode\n```\n"), "code\n");
  EXPECT_EQ(FirstSnippet("no code"), "");
}

}  // namespace
