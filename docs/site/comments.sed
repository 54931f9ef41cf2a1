# Makes documentation comments, as doxygen wants them, of plain ones.
#
# What a program has no use for is not shown.
/^ *static_assert/d
# A comment behind a declaration belongs to it.
s#^\([^/"]*[;,{}][[:space:]]*\)// #\1///< #
# A comment on lines of its own belongs to what follows.
s#^\([[:space:]]*\)//\( \|$\)#\1///\2#
# The first comment of a file is the file's: the rule above must not have it.
1s#^///#/// \\file\n///#
# A rule between groups of declarations, and a group's own comment.
s#^\([[:space:]]*\)/// --- #\1// #
