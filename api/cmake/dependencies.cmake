# Finds what Peat needs, and says which Debian packages have what is missing.
# All that is missing is collected; peat_check_dependencies() then fails once,
# with the whole command to install it.

# peat_miss(WHAT PACKAGE): notes that WHAT was not found.
function(peat_miss what package)
  set_property(GLOBAL APPEND PROPERTY PEAT_MISSING "${what}")
  set_property(GLOBAL APPEND PROPERTY PEAT_MISSING_PACKAGES ${package})
endfunction()

# peat_find_package(NAME TARGET PACKAGE): find_package(NAME), unless the project
# that Peat is a part of has made TARGET already.
macro(peat_find_package name target package)
  if(NOT TARGET ${target})
    find_package(${name} QUIET)
    if(NOT ${name}_FOUND)
      peat_miss(${name} ${package})
    endif()
  endif()
endmacro()

# peat_find_library(NAME HEADER LIBRARY PACKAGE): sets PEAT_<NAME>_INCLUDE_DIR,
# and PEAT_<NAME>_LIBRARY unless LIBRARY is empty.
function(peat_find_library name header library package)
  find_path(PEAT_${name}_INCLUDE_DIR ${header})
  mark_as_advanced(PEAT_${name}_INCLUDE_DIR)
  if(NOT PEAT_${name}_INCLUDE_DIR)
    peat_miss(${header} ${package})
  endif()
  if(library)
    find_library(PEAT_${name}_LIBRARY ${library})
    mark_as_advanced(PEAT_${name}_LIBRARY)
    if(NOT PEAT_${name}_LIBRARY)
      peat_miss(lib${library} ${package})
    endif()
  endif()
endfunction()

function(peat_check_dependencies)
  get_property(missing GLOBAL PROPERTY PEAT_MISSING)
  if(NOT missing)
    return()
  endif()
  get_property(packages GLOBAL PROPERTY PEAT_MISSING_PACKAGES)
  list(REMOVE_DUPLICATES packages)
  list(JOIN missing ", " missing)
  list(JOIN packages " " packages)
  message(FATAL_ERROR "Peat needs what was not found: ${missing}.\n"
    "On Debian: apt-get install ${packages}")
endfunction()
