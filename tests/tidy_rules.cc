#include "tests/tidy_rules.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace peat::tidy {

namespace fs = std::filesystem;

namespace {

constexpr size_t kLinesMax = 500;
// C programs expect one header.
constexpr char kCHeader[] = "api/c/peat.h";
// Where exceptions stop: no caller of C catches them.
constexpr char kCRoom[] = "api/c/";

const std::set<std::string> kEngineRooms = {
    "engine",         "engine/os",      "engine/segment", "engine/log",
    "engine/read",    "engine/recover", "engine/query",   "engine/write",
    "engine/compact", "engine/save",    "engine/changes"};

// What the rooms of the engine named may include: themselves, and the floors
// below the engine.
std::set<std::string> Below(std::set<std::string> rooms) {
  rooms.insert({"index", "format", "peat"});
  return rooms;
}

// All rooms of the engine together with `others`.
std::set<std::string> Engine(std::set<std::string> others) {
  others.insert(kEngineRooms.begin(), kEngineRooms.end());
  return others;
}

// Rooms, and which of the others each may include. Outside them: tools, bench
// and tests, which the house does not know.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"format", {"format"}},
    {"index", {"index", "format"}},
    {"engine/os", Below({"engine/os"})},
    {"engine/segment", Below({"engine/segment", "engine/os"})},
    {"engine/log", Below({"engine/log", "engine/segment", "engine/os"})},
    {"engine/read",
     Below({"engine/read", "engine/log", "engine/segment", "engine/os"})},
    {"engine/recover",
     Below({"engine/recover", "engine/log", "engine/segment", "engine/os"})},
    {"engine/query", Below({"engine/query", "engine/read", "engine/log",
                            "engine/segment", "engine/os"})},
    {"engine/changes", Below({"engine/changes", "engine/query", "engine/read",
                              "engine/log", "engine/segment", "engine/os"})},
    {"engine/write", Below({"engine/write", "engine/read", "engine/log",
                            "engine/segment", "engine/os"})},
    {"engine/compact", Below({"engine/compact", "engine/read", "engine/log",
                              "engine/segment", "engine/os"})},
    {"engine/save", Below({"engine/save", "engine/compact", "engine/recover",
                           "engine/log", "engine/segment", "engine/os"})},
    {"engine", Below(kEngineRooms)},
    {"api", Engine({"api", "peat", "index", "format"})},
    {"tools", {"tools", "peat", "format"}},
    // Reads a store's files without opening the store.
    {"tools/offline", Engine({"tools", "peat", "index", "format"})},
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
    {"sodium.h", {"engine/write/digest.cc"}},
    {"zstd.h", {"format/compression.cc"}},
};

// Where a room needs the system for something other than files.
const std::set<std::pair<std::string, std::string>> kSystemExceptions = {
    {"engine/os/worker.cc", "pthread.h"},  // threads that may fail to start
    {"index/arena.cc", "sys/mman.h"},      // anonymous memory
    {"index/epoch.cc", "linux/membarrier.h"},
    {"index/epoch.cc", "pthread.h"},      // pthread_atfork
    {"index/epoch.cc", "sys/syscall.h"},  // of membarrier
    {"index/epoch.cc", "unistd.h"},
};

std::string FirstFolder(const std::string& path) {
  return path.substr(0, path.find('/'));
}

// The key of kMayInclude that applies to a file: the rooms of the engine are
// its folders.
std::string RoomOf(const std::string& path) {
  if (path.starts_with("tools/offline/")) return "tools/offline";
  const size_t slash = path.rfind('/');
  if (path.starts_with("engine/")) return path.substr(0, slash);
  return FirstFolder(path);
}

bool IsRoom(const std::string& path) {
  return FirstFolder(path) != "tools" &&
         kMayInclude.contains(FirstFolder(path));
}

}  // namespace

bool IsCode(const std::string& path) {
  return path.ends_with(".cc") || path.ends_with(".h");
}

namespace {

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

}  // namespace

Findings FindWrongIncludes(const SourceFile& file) {
  Findings findings;
  const std::string folder = RoomOf(file.path);
  const bool is_ground = file.path.starts_with("engine/os/");
  for (const std::string& header : IncludesOf(file.text)) {
    if (kMayInclude.contains(folder) &&
        kFolders.contains(FirstFolder(header)) &&
        header.find('/') != header.npos &&
        !kMayInclude.at(folder).contains(header.starts_with("engine/")
                                             ? RoomOf(header)
                                             : FirstFolder(header))) {
      findings.push_back("includes upward: " + header);
    }
    if (IsRoom(file.path) && !is_ground &&
        std::regex_match(header, kSystemHeader) &&
        !kSystemExceptions.contains({file.path, header})) {
      findings.push_back("system header outside engine/os/: " + header);
    }
    if (kMayInclude.contains(folder) && kOnlyIn.contains(header) &&
        !kOnlyIn.at(header).contains(file.path)) {
      findings.push_back("not its one includer: " + header);
    }
    if (file.path.starts_with("api/peat/") && header.find('/') != header.npos &&
        !header.starts_with("peat/") && !header.starts_with("absl/status/") &&
        header != "absl/functional/function_ref.h") {
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
    const char* but_in = "-";
  };
  static const std::vector<Rule> kRules = {
      {R"re(\babsl::(string_view|optional|Span|variant)\b)re",
       "absl's stand-in for a std type", false},
      {R"re(\babsl::(Mutex|MutexLock|StrCat)\b)re", "see docs/decisions/",
       false},
      {R"re(\bnew\s+[A-Za-z_:(])re", "naked new", true},
      {R"re(\bdelete(\s*\[\s*\])?\s*[A-Za-z_*(])re", "naked delete", true},
      {R"re(\b(malloc|calloc|realloc|free)\s*\()re", "naked malloc", true},
      {R"re(\b(throw|try)\b)re", "exceptions", true, kCRoom},
      {R"re(\b(dynamic_cast|typeid)\b)re", "RTTI", true},
      {R"re(\bEpochGuard\s+\w*[A-Za-z0-9]\s*;)re",
       "an epoch guard without a domain, which other stores wait for", true},
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
    if ((is_room || !rule.rooms_only) && !file.path.starts_with(rule.but_in) &&
        std::regex_search(code, std::regex(rule.pattern))) {
      findings.push_back(rule.finding);
    }
  }
  if (is_room && !file.path.starts_with("engine/os/worker.") &&
      std::regex_search(code, kThread)) {
    findings.push_back("std::thread outside engine/os/worker.cc");
  }
  return findings;
}

Findings FindWrongShape(const SourceFile& file) {
  Findings findings;
  const auto lines = std::count(file.text.begin(), file.text.end(), '\n');
  if (file.path != kCHeader && static_cast<size_t>(lines) > kLinesMax) {
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

namespace {

// How the CMakeLists.txt of `folder` names `path`: from there, and a fuzz
// target by its subject.
std::string NameIn(const fs::path& folder, const std::string& path) {
  const std::string name =
      fs::path(path)
          .lexically_relative(folder.empty() ? fs::path(".") : folder)
          .string();
  return name.substr(0, name.rfind("_fuzz.cc"));
}

}  // namespace

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

std::vector<std::string> Snippets(const std::string& page) {
  const std::string opening = "```cpp\n";
  std::vector<std::string> snippets;
  size_t begin = page.find(opening);
  while (begin != page.npos) {
    const size_t code = begin + opening.size();
    const size_t end = page.find("```", code);
    snippets.push_back(page.substr(code, end - code));
    begin = page.find(opening, end);
  }
  return snippets;
}

}  // namespace peat::tidy
