// The rules of the style guide that neither compiler nor clang-tidy can see:
// each is a function from a file to findings. Rules about code look at it
// without its comments and strings.

#ifndef PEAT_TESTS_TIDY_RULES_H_
#define PEAT_TESTS_TIDY_RULES_H_

#include <string>
#include <vector>

namespace peat::tidy {

struct SourceFile {
  std::string path;  // from the project's root
  std::string text;
};
using Findings = std::vector<std::string>;

// Whether a path is that of C++ code.
bool IsCode(const std::string& path);

Findings FindWrongIncludes(const SourceFile& file);
Findings FindForbiddenCode(const SourceFile& file);
Findings FindWrongShape(const SourceFile& file);

// For files of every kind. The patterns are written so that they do not match
// themselves.
Findings FindForbiddenWords(const SourceFile& file);

// `files` must include the CMakeLists.txt files: a source must be named in the
// one of its folder or of a folder above it.
Findings FindUnregistered(const std::vector<SourceFile>& files);

// The contents of the ```cpp blocks of a page.
std::vector<std::string> Snippets(const std::string& page);

}  // namespace peat::tidy

#endif  // PEAT_TESTS_TIDY_RULES_H_
