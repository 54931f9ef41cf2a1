# Makes the Debian packages of BUILD_DIR (of configuration CONFIG) in WORK_DIR
# and unpacks them there. Fails if one lacks its terms, its history or what it
# is for, or if the command that came out of it does not run.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_CPACK_COMMAND} -G DEB -C ${CONFIG} -B ${WORK_DIR}
  --config ${BUILD_DIR}/CPackConfig.cmake)

file(GLOB packages RELATIVE ${WORK_DIR} ${WORK_DIR}/*.deb)
list(TRANSFORM packages REPLACE "_.*" "")
if(NOT packages STREQUAL "libpeat-dev;libpeat0;peat")
  message(FATAL_ERROR "packages: ${packages}")
endif()
foreach(package IN LISTS packages)
  file(GLOB file ${WORK_DIR}/${package}_*.deb)
  run(dpkg-deb --extract ${file} ${WORK_DIR}/tree)
  foreach(document copyright changelog.gz changelog.Debian.gz)
    if(NOT EXISTS ${WORK_DIR}/tree/usr/share/doc/${package}/${document})
      message(FATAL_ERROR "${package} has no ${document}")
    endif()
  endforeach()
endforeach()
file(GLOB libraries ${WORK_DIR}/tree/usr/lib/libpeat.so*
  ${WORK_DIR}/tree/usr/lib/*/libpeat.so*)
list(LENGTH libraries library_count)
if(NOT library_count EQUAL 3)
  message(FATAL_ERROR "shared libraries: ${libraries}")
endif()
foreach(file include/peat/store.h share/man/man1/peat.1.gz)
  if(NOT EXISTS ${WORK_DIR}/tree/usr/${file})
    message(FATAL_ERROR "no package has ${file}")
  endif()
endforeach()

run(${WORK_DIR}/tree/usr/bin/peat put ${WORK_DIR}/store key value)
run(${WORK_DIR}/tree/usr/bin/peat verify ${WORK_DIR}/store)
