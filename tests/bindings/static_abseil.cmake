# Makes peat_static_abseil: the archives of an Abseil of which find_package()
# gives the shared objects. Their order is left to the linker.
add_library(peat_static_abseil INTERFACE)
get_target_property(status_location absl::status LOCATION)
cmake_path(GET status_location PARENT_PATH abseil_dir)
file(GLOB abseil_archives ${abseil_dir}/libabsl_*.a)
list(FILTER abseil_archives EXCLUDE REGEX "_(test|mock|flags)")
target_link_libraries(peat_static_abseil INTERFACE
  -Wl,--start-group ${abseil_archives} -Wl,--end-group)
