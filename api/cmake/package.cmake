# Debian packages, by `cpack --preset debian`: libpeat0 (the shared library of
# the C interface), libpeat-dev (headers, libraries, packages for CMake and
# pkg-config) and peat (the command). A part of the
# installation belongs to the package of its component.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME peat)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Peat <peat@packages.debian.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE
  OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# Lower than a revision of Debian's own would be.
set(CPACK_DEBIAN_PACKAGE_RELEASE 0peat1)
set(CPACK_COMPONENTS_ALL library development command)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)

set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
  "embedded, byte-keyed, log-structured storage engine")
set(PEAT_PACKAGE_TEXT
"Peat keeps key-value pairs, raw bytes both, in a directory. Acknowledged
writes survive kill -9 without a system call per write, and every byte is
verified when it is read. It is made for the state of stream processors.
")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libpeat0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "${PEAT_PACKAGE_TEXT}
This package has the shared library of the C interface.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libpeat-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libabsl-dev, libsodium-dev, libxxhash-dev, libpeat0 (= ${PROJECT_VERSION}-0peat1)")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "${PEAT_PACKAGE_TEXT}
This package has the static library for C++, the headers for C and C++, and
what CMake and pkg-config need to find them.")

set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME peat)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION database)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMMAND_DESCRIPTION "${PEAT_PACKAGE_TEXT}
This package has the command peat, which loads, scans, verifies, repairs,
dumps and draws stores, and its manual.")

# Debian wants the terms and the history with each package, and pages of the
# manual compressed.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian/finish.cmake)
set(CPACK_PEAT_COPYRIGHT ${CMAKE_CURRENT_LIST_DIR}/debian/copyright)
set(CPACK_PEAT_CHANGES ${PROJECT_SOURCE_DIR}/CHANGELOG.md)

include(CPack)
