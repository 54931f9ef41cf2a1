#include "tools/manual.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>

#include "absl/strings/str_format.h"

namespace peat::tools {
namespace {

// Text as troff takes it for text.
std::string Troff(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_line_begin = i == 0 || text[i - 1] == '\n';
    if (is_line_begin && (text[i] == '.' || text[i] == '\'')) out += "\\&";
    if (text[i] == '\\') {
      out += "\\e";
    } else if (text[i] == '-') {
      out += "\\-";
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string UpperCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::toupper(c));
  });
  return text;
}

std::string Title(const std::string& name) {
  return absl::StrFormat(".TH %s 1 \"\" \"Peat %s\" \"User Commands\"\n",
                         Troff(UpperCase(name)), PEAT_VERSION);
}

// A footer: paragraphs; lines that begin with two blanks are shown as they
// are; what follows "Examples:" is a section of its own.
std::string FooterText(const std::string& footer) {
  std::string out = ".PP\n";
  bool is_verbatim = false;
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    if (line == "Examples:") {
      if (is_verbatim) out += ".fi\n";
      is_verbatim = false;
      out += ".SH EXAMPLES\n";
      continue;
    }
    const bool is_indented = line.starts_with("  ");
    if (is_indented != is_verbatim) {
      out += is_indented ? ".PP\n.nf\n" : ".fi\n.PP\n";
      is_verbatim = is_indented;
    }
    out += line.empty() ? ".PP\n" : Troff(line) + "\n";
  }
  if (is_verbatim) out += ".fi\n";
  return out;
}

std::string OptionHead(const CLI::Option& option) {
  std::string head;
  for (const std::string& name : option.get_snames()) {
    head += (head.empty() ? "\\-" : ", \\-") + Troff(name);
  }
  for (const std::string& name : option.get_lnames()) {
    head += (head.empty() ? "\\-\\-" : ", \\-\\-") + Troff(name);
  }
  const bool takes_value = option.get_expected_max() > 0;
  if (!takes_value) return "\\fB" + head + "\\fR";
  const std::string& text = option.get_option_text();
  return "\\fB" + head + "\\fR \\fI" + Troff(text.empty() ? "VALUE" : text) +
         "\\fR";
}

std::string Synopsis(const CLI::App& command) {
  std::string out = absl::StrFormat(".B peat %s\n", Troff(command.get_name()));
  bool has_options = false;
  std::string positionals;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) {
      const std::string name = Troff(option->get_name(true));
      positionals += option->get_required() ? " " + name : " [" + name + "]";
    } else {
      has_options = true;
    }
  }
  return out + (has_options ? "[\\fIOPTIONS\\fR]" : "") + positionals + "\n";
}

// Names of the options, with their dashes.
std::vector<std::string> OptionNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) {
    joined += (joined.empty() ? "" : " ") + word;
  }
  return joined;
}

// A case for each option that takes one of a few words.
std::string ChoiceCases(const CLI::App& command) {
  std::string cases;
  for (const CLI::Option* option : command.get_options()) {
    std::string choices = option->get_option_text();
    if (choices.find('|') == choices.npos) continue;
    std::replace(choices.begin(), choices.end(), '|', ' ');
    for (const std::string& name : option->get_lnames()) {
      cases += absl::StrFormat("    %s:--%s) words=\"%s\" ;;\n",
                               command.get_name(), name, choices);
    }
  }
  return cases;
}

// Text within single quotes of a shell, with `escape` in place of one.
std::string Quoted(std::string_view text, std::string_view escape) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += escape;
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

// The words that an option takes one of; empty: it takes others, or none.
std::string Choices(const CLI::Option& option) {
  std::string choices = option.get_option_text();
  if (choices.find('|') == choices.npos) return "";
  std::replace(choices.begin(), choices.end(), '|', ' ');
  return choices;
}

// An option of _arguments: brackets and colons mean something there.
std::string ZshOption(const CLI::Option& option, const std::string& name) {
  std::string what;
  for (const char c : option.get_description()) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') what.push_back('\\');
    what.push_back(c);
  }
  std::string spec = name + "[" + what + "]";
  const std::string choices = Choices(option);
  if (!choices.empty()) {
    spec += ": :(" + choices + ")";
  } else if (option.get_expected_max() > 0) {
    spec += ": :_files";
  }
  return Quoted(spec, "'\\''");
}

}  // namespace

std::vector<const CLI::App*> ShownCommands(const CLI::App& root) {
  return root.get_subcommands(
      [](const CLI::App* command) { return !command->get_group().empty(); });
}

std::string ManPageOfRoot(const CLI::App& root) {
  std::string page = Title("peat");
  page +=
      absl::StrFormat(".SH NAME\npeat \\- %s\n", Troff(root.get_description()));
  page +=
      ".SH SYNOPSIS\n.B peat\n\\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n"
      ".SH COMMANDS\n";
  for (const CLI::App* command : ShownCommands(root)) {
    page += absl::StrFormat(".TP\n.BR peat\\-%s (1)\n%s\n",
                            Troff(command->get_name()),
                            Troff(command->get_description()));
  }
  return page + ".SH EXIT STATUS\n" + FooterText(root.get_footer());
}

std::string ManPageOf(const CLI::App& root, const CLI::App& command) {
  const std::string name = "peat-" + command.get_name();
  std::string page = Title(name);
  page += absl::StrFormat(".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n%s", Troff(name),
                          Troff(command.get_description()), Synopsis(command));
  page += ".SH OPTIONS\n";
  for (const CLI::Option* option : command.get_options()) {
    const std::string head =
        option->get_positional()
            ? "\\fI" + Troff(option->get_name(true)) + "\\fR"
            : OptionHead(*option);
    page += absl::StrFormat(".TP\n%s\n%s\n", head,
                            Troff(option->get_description()));
  }
  const std::string footer = command.get_footer();
  const size_t examples = footer.find("Examples:\n");
  const std::string text = footer.substr(0, examples);
  if (!text.empty()) page += ".SH DESCRIPTION\n" + FooterText(text);
  page += ".SH EXIT STATUS\n" + FooterText(root.get_footer());
  if (examples != footer.npos) page += FooterText(footer.substr(examples));
  return page + ".SH SEE ALSO\n.BR peat (1)\n";
}

std::string BashCompletion(const CLI::App& root) {
  std::vector<std::string> commands;
  std::string options;
  std::string choices;
  for (const CLI::App* command : ShownCommands(root)) {
    commands.push_back(command->get_name());
    options += absl::StrFormat("    %s) words=\"%s\" ;;\n", command->get_name(),
                               Join(OptionNames(*command)));
    choices += ChoiceCases(*command);
  }
  return absl::StrFormat(
      "# Completion of the command peat for bash.\n"
      "_peat() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} words=\n"
      "  local previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
      "  COMPREPLY=()\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    COMPREPLY=($(compgen -W \"%s --help --version\" -- \"$current\"))\n"
      "    return\n"
      "  fi\n"
      "  case $command:$previous in\n%s  esac\n"
      "  if [[ -z $words && $current == -* ]]; then\n"
      "    case $command in\n%s    esac\n"
      "  fi\n"
      "  # Without words the shell completes names of files.\n"
      "  [[ -z $words ]] || COMPREPLY=($(compgen -W \"$words\" -- "
      "\"$current\"))\n"
      "}\n"
      "complete -o default -F _peat peat\n",
      Join(commands), choices, options);
}

std::string ZshCompletion(const CLI::App& root) {
  std::string commands;
  std::string cases;
  for (const CLI::App* command : ShownCommands(root)) {
    commands += "    " +
                Quoted(command->get_name() + ":" + command->get_description(),
                       "'\\''") +
                "\n";
    cases += absl::StrFormat("    %s) _arguments", command->get_name());
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        cases += " \\\n      " + ZshOption(*option, "--" + name);
      }
    }
    cases += " \\\n      '*: :_files' ;;\n";
  }
  return absl::StrFormat(
      "#compdef peat\n"
      "# Completion of the command peat for zsh.\n"
      "_peat() {\n"
      "  local -a commands\n"
      "  commands=(\n%s  )\n"
      "  if ((CURRENT == 2)); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  ((CURRENT--))\n"
      "  case $command in\n%s  esac\n"
      "}\n"
      "_peat \"$@\"\n",
      commands, cases);
}

std::string FishCompletion(const CLI::App& root) {
  std::string text = "# Completion of the command peat for fish.\n";
  for (const CLI::App* command : ShownCommands(root)) {
    const std::string& name = command->get_name();
    text += absl::StrFormat(
        "complete -c peat -n __fish_use_subcommand -a %s -d %s\n", name,
        Quoted(command->get_description(), "\\'"));
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& one : option->get_lnames()) {
        text += absl::StrFormat(
            "complete -c peat -n '__fish_seen_subcommand_from %s' -l %s -d %s",
            name, one, Quoted(option->get_description(), "\\'"));
        const std::string choices = Choices(*option);
        if (!choices.empty()) text += " -x -a '" + choices + "'";
        if (choices.empty() && option->get_expected_max() > 0) text += " -r";
        text += "\n";
      }
    }
  }
  return text;
}

}  // namespace peat::tools
