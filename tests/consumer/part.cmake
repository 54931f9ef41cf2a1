# Configures a project that has Peat (in SOURCES) as a part of it, without a
# build type, in WORK_DIR. Fails if it is not warned, if Peat's files are not
# optimised all the same, if the project's are, or if it would install Peat.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${WORK_DIR})
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/part
  -B ${WORK_DIR} -G Ninja -D PEAT_SOURCES=${SOURCES}
  -D CMAKE_CXX_COMPILER=${CXX_COMPILER} -D CMAKE_EXPORT_COMPILE_COMMANDS=ON
  ERROR_VARIABLE said OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[ \n]+" " " said "${said}")
if(NOT said MATCHES "CMAKE_BUILD_TYPE is not set")
  message(FATAL_ERROR "not warned: ${said}")
endif()

file(READ ${WORK_DIR}/compile_commands.json commands)
string(JSON count LENGTH "${commands}")
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON command GET "${commands}" ${i} command)
  string(JSON file GET "${commands}" ${i} file)
  if(file MATCHES "consumer/main.cc$")
    if(command MATCHES " -O")
      message(FATAL_ERROR "Peat chose for the project: ${command}")
    endif()
  elseif(NOT command MATCHES " -O2 ")
    message(FATAL_ERROR "not optimised: ${command}")
  endif()
endforeach()

# Nothing has been built, so this would fail if there were something to install.
execute_process(COMMAND ${CMAKE_COMMAND} --install ${WORK_DIR}
  --prefix ${WORK_DIR}/prefix OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
