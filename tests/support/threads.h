// What tests of many threads share.

#ifndef PEAT_TESTS_SUPPORT_THREADS_H_
#define PEAT_TESTS_SUPPORT_THREADS_H_

#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

namespace peat::testing {

// `count` times PEAT_RACE_ROUNDS of the environment, if that is set.
inline int Rounds(int count) {
  const char* const text =
      std::getenv("PEAT_RACE_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? count : count * std::atoi(text);
}

// Calls `body(i)` for each i below `count`, each in a thread of its own.
inline void RunThreads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace peat::testing

#endif  // PEAT_TESTS_SUPPORT_THREADS_H_
