# Runs the comparison's scripts on a few pairs, and looks at what they wrote.

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
set(run ${PYTHON} ${SOURCE_DIR}/run.py --bench ${BENCH} --preset smoke
  --csv ${WORK_DIR}/smoke.csv --directory ${WORK_DIR}/stores
  --engines Peat "hash map" nothing floor)

# Stops at once, and goes on with the second call.
execute_process(COMMAND ${run} --stop-after 0.001 COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${run} OUTPUT_VARIABLE output
  COMMAND_ERROR_IS_FATAL ANY)
if(output MATCHES "FAILED")
  message(FATAL_ERROR "a run failed:\n${output}")
endif()

# Nothing is left to do.
execute_process(COMMAND ${run} OUTPUT_VARIABLE output
  COMMAND_ERROR_IS_FATAL ANY)
if(output)
  message(FATAL_ERROR "ran again:\n${output}")
endif()

# The slower of two runs had more calls, so it alone knows the last fraction.
execute_process(COMMAND ${PYTHON} -c "
import report
runs = [{'calls': '100', 'latency_ns': '0.5:1000 0.99:9000'},
        {'calls': '1000', 'latency_ns': '0.5:2000 0.99:3000 0.999:4000'}]
seconds = [v for _, v in report.median_latencies(runs)]
assert seconds == sorted(seconds) and len(seconds) == 2, seconds"
  WORKING_DIRECTORY ${SOURCE_DIR} COMMAND_ERROR_IS_FATAL ANY)

# The same figures, as if they were of fewer and larger pairs.
file(READ ${WORK_DIR}/smoke.csv figures)
string(REPLACE ",2000,100," ",1000,1024," figures "${figures}")
file(WRITE ${WORK_DIR}/other.csv "${figures}")
configure_file(${WORK_DIR}/smoke.json ${WORK_DIR}/other.json COPYONLY)

# And as if they were of two threads.
file(READ ${WORK_DIR}/smoke.csv figures)
string(REPLACE ",2000,100,1," ",2000,100,2," figures "${figures}")
file(WRITE ${WORK_DIR}/threads.csv "${figures}")
configure_file(${WORK_DIR}/smoke.json ${WORK_DIR}/threads.json COPYONLY)

execute_process(COMMAND ${PYTHON} ${SOURCE_DIR}/report.py
  ${WORK_DIR}/smoke.csv ${WORK_DIR}/other.csv ${WORK_DIR}/threads.csv
  --html ${WORK_DIR}/report.html --markdown ${WORK_DIR}/report.md COMMAND_ERROR_IS_FATAL ANY)
file(READ ${WORK_DIR}/report.html page)
file(READ ${WORK_DIR}/report.md tables)
foreach(title "Fill, one put at a time" "YCSB E" "Durable put" "Open after kill")
  if(NOT page MATCHES "${title}")
    message(FATAL_ERROR "the page does not show ${title}")
  endif()
endforeach()
if(page MATCHES "{{|https?://")
  message(FATAL_ERROR "the page has a gap, or refers to the network")
endif()
string(REGEX MATCHALL "keys of 16 bytes, values of [0-9,]+(, 2 threads)?\n"
  chapters "${tables}")
string(REGEX MATCHALL
  "\\| Fill, one put at a time(, 2 threads)? \\| [0-9.]+[kM] \\|" rates
  "${tables}")
list(LENGTH chapters chapter_count)
list(LENGTH rates rate_count)
if(NOT chapter_count EQUAL 3 OR NOT rate_count EQUAL 3
    OR NOT tables MATCHES "values of 100, 2 threads\n")
  message(FATAL_ERROR "not three chapters with figures:\n${tables}")
endif()
if(NOT tables MATCHES "\\| Peat \\| yes \\| yes \\| 0 of [0-9]+, 1 \\|")
  message(FATAL_ERROR "no figures of a kill:\n${tables}")
endif()
