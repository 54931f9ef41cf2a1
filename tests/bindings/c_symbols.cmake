# Fails unless LIBRARY shows just the functions that HEADER declares.
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${NM} -D --defined-only ${LIBRARY}
  OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " [A-Za-z] [^\n]+" symbols "${lines}")
list(TRANSFORM symbols REPLACE "^ [A-Za-z] " "")
list(SORT symbols)

file(READ ${HEADER} text)
string(REGEX REPLACE "//[^\n]*" "" text "${text}")
string(REGEX REPLACE "static inline [^)]*\\)" "" text "${text}")
string(REGEX MATCHALL "[\n *]peat_[a-z_]+\\(" declared "${text}")
list(TRANSFORM declared REPLACE "[\n *(]" "")
list(REMOVE_ITEM declared peat_text peat_data)
list(REMOVE_DUPLICATES declared)
list(SORT declared)

if(NOT symbols STREQUAL declared)
  message(FATAL_ERROR "shown: ${symbols}\ndeclared: ${declared}")
endif()
