# Installs BUILD_DIR (of configuration CONFIG) into WORK_DIR, builds the consumer
# against it with CXX_COMPILER, and runs it. Fails if one of these fails, or if
# the package exports anything but peat::peat.
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

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK_DIR}/build -G Ninja
    -D CMAKE_BUILD_TYPE=${CONFIG} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
    -D CMAKE_PREFIX_PATH=${WORK_DIR}/prefix)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WORK_DIR}/build/consumer ${WORK_DIR}/store)
run(${WORK_DIR}/prefix/bin/peat get ${WORK_DIR}/store key)
