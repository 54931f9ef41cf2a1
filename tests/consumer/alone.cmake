# Configures Peat (in SOURCES) alone in WORK_DIR, as `cmake -B` does without a
# preset. Fails if it is not optimised, or if a warning would be an error; and if
# what is missing is not said with the name of its Debian package.
cmake_minimum_required(VERSION 3.25)

set(configure ${CMAKE_COMMAND} -S ${SOURCES} -B ${WORK_DIR} -G Ninja
  -D CMAKE_CXX_COMPILER=${CXX_COMPILER} -D PEAT_BUILD_TESTS=OFF
  -D PEAT_BUILD_BENCHMARKS=OFF -D CMAKE_EXPORT_COMPILE_COMMANDS=ON)

file(REMOVE_RECURSE ${WORK_DIR})
execute_process(COMMAND ${configure} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(READ ${WORK_DIR}/compile_commands.json commands)
if(NOT commands MATCHES " -O3 " OR commands MATCHES "-Werror")
  message(FATAL_ERROR "compiled by ${commands}")
endif()

file(REMOVE_RECURSE ${WORK_DIR})
execute_process(COMMAND ${configure} -D PEAT_SODIUM_INCLUDE_DIR=NOTFOUND
  -D PEAT_XXHASH_INCLUDE_DIR=NOTFOUND -D CMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF
  -D CMAKE_PREFIX_PATH=/usr/lib/cmake
  RESULT_VARIABLE result ERROR_VARIABLE said OUTPUT_QUIET)
string(REGEX REPLACE "[ \n]+" " " said "${said}")
if(result EQUAL 0 OR
    NOT said MATCHES "apt-get install .*libsodium-dev libxxhash-dev")
  message(FATAL_ERROR "${result}: ${said}")
endif()
