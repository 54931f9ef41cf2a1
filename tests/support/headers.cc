// The headers that tests share, compiled once: see tests/CMakeLists.txt.
