// What a fuzz target is: one function that takes any bytes and aborts if a
// decoder breaks a promise. Linked with libFuzzer to search for such bytes, or
// with corpus_main.cc to try those that are committed.

#ifndef PEAT_TESTS_FUZZ_FUZZ_TARGET_H_
#define PEAT_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // PEAT_TESTS_FUZZ_FUZZ_TARGET_H_
