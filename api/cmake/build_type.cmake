# A build without a type is not optimised at all, and puts then take six times
# as long. Alone, Peat takes Release. As a part of another project it leaves the
# choice to that project, says so, and has its own files optimised.
get_property(peat_is_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT peat_is_multi_config AND NOT CMAKE_BUILD_TYPE)
  if(PROJECT_IS_TOP_LEVEL)
    message(STATUS "Peat: no CMAKE_BUILD_TYPE was given; it is Release")
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  elseif(NOT CMAKE_CXX_FLAGS MATCHES "(^| )-O")
    message(WARNING "Peat: CMAKE_BUILD_TYPE is not set, so your program is not "
      "optimised. Peat's own files are compiled with -O2.")
    add_compile_options(-O2)
  endif()
endif()
