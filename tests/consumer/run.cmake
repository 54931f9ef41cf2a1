# Installs BUILD_DIR (of configuration CONFIG) into WORK_DIR, builds the consumers
# in C++ and C against it with CXX_COMPILER and cc, by CMake and by pkg-config,
# and runs them. Fails if one of these fails, if the package exports anything but
# peat::peat and peat::c, if the man
# pages and the completion are not those of the installed command, or if anything
# is left when it is uninstalled.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG}
    --prefix ${WORK_DIR}/prefix)

file(GLOB_RECURSE exports ${WORK_DIR}/prefix/*/peatTargets.cmake)
file(STRINGS ${exports} targets REGEX "^add_library\\(")
if(NOT targets STREQUAL "add_library(peat::peat STATIC IMPORTED)")
  message(FATAL_ERROR "exported: ${targets}")
endif()

file(GLOB_RECURSE exports ${WORK_DIR}/prefix/*/peatCTargets.cmake)
file(STRINGS ${exports} targets REGEX "^add_library\\(")
if(NOT targets STREQUAL "add_library(peat::c SHARED IMPORTED)")
  message(FATAL_ERROR "exported for C: ${targets}")
endif()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/c -B ${WORK_DIR}/c_build
    -G Ninja -D CMAKE_PREFIX_PATH=${WORK_DIR}/prefix)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/c_build)
run(${WORK_DIR}/c_build/c_consumer ${WORK_DIR}/c_store)

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK_DIR}/build -G Ninja
    -D CMAKE_BUILD_TYPE=${CONFIG} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
    -D CMAKE_PREFIX_PATH=${WORK_DIR}/prefix)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WORK_DIR}/build/consumer ${WORK_DIR}/store)
run(${WORK_DIR}/prefix/bin/peat get ${WORK_DIR}/store key)

find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  file(GLOB_RECURSE package ${WORK_DIR}/prefix/*/peat.pc)
  cmake_path(GET package PARENT_PATH package_dir)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${package_dir}
      ${PKG_CONFIG} --cflags --libs peat
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(${CXX_COMPILER} -std=c++20 ${CMAKE_CURRENT_LIST_DIR}/main.cc
      -o ${WORK_DIR}/by_pkg_config ${flags})
  run(${WORK_DIR}/by_pkg_config ${WORK_DIR}/store_by_pkg_config)

  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${package_dir}
      ${PKG_CONFIG} --cflags --libs peat-c
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  cmake_path(GET package_dir PARENT_PATH library_dir)
  run(cc -std=c99 -pedantic -Wall -Werror
      ${CMAKE_CURRENT_LIST_DIR}/c/main.c -o ${WORK_DIR}/c_by_pkg_config
      ${flags} -Wl,-rpath,${library_dir})
  run(${WORK_DIR}/c_by_pkg_config ${WORK_DIR}/c_store_by_pkg_config)
endif()

# What the completion offers, and what the command itself lists.
execute_process(
  COMMAND bash -c "
    . '${WORK_DIR}/prefix/share/bash-completion/completions/peat' || exit
    [[ $(complete -p peat) == *' -F _peat '* ]] || exit
    COMP_WORDS=(peat ''); COMP_CWORD=1; _peat
    printf '%s\n' \"\${COMPREPLY[@]}\" | grep -v '^--'"
  OUTPUT_VARIABLE commands OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" commands "${commands}")
list(LENGTH commands command_count)
if(command_count LESS 10)
  message(FATAL_ERROR "completed: ${commands}")
endif()
set(expected_pages peat.1)
foreach(command IN LISTS commands)
  run(${WORK_DIR}/prefix/bin/peat ${command} --help OUTPUT_QUIET)
  list(APPEND expected_pages peat-${command}.1)
endforeach()

# A page for the command and for each of its commands, no other and none empty,
# where man finds them.
set(man_dir ${WORK_DIR}/prefix/share/man)
file(GLOB pages RELATIVE ${man_dir}/man1 ${man_dir}/man1/*)
list(SORT pages)
list(SORT expected_pages)
if(NOT pages STREQUAL expected_pages)
  message(FATAL_ERROR "man pages: ${pages}, expected ${expected_pages}")
endif()
find_program(MAN man)
foreach(page IN LISTS pages)
  file(STRINGS ${man_dir}/man1/${page} head REGEX "^\\.(TH|SH NAME)")
  list(LENGTH head head_size)
  if(NOT head_size EQUAL 2)
    message(FATAL_ERROR "${page} has neither title nor name: ${head}")
  endif()
  if(MAN)
    string(REGEX REPLACE "\\.1$" "" name ${page})
    execute_process(COMMAND ${MAN} -M ${man_dir} -w ${name}
      OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE
      COMMAND_ERROR_IS_FATAL ANY)
    if(NOT found STREQUAL ${man_dir}/man1/${page})
      message(FATAL_ERROR "man finds ${found} for ${name}")
    endif()
  endif()
endforeach()

run(${CMAKE_COMMAND} --build ${BUILD_DIR} --target uninstall)
file(GLOB_RECURSE left LIST_DIRECTORIES FALSE ${WORK_DIR}/prefix/*)
if(left)
  message(FATAL_ERROR "left behind: ${left}")
endif()
