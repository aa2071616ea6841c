#!/bin/sh
# The tests of the crates with unsafe code under valgrind: no invalid read or write, nothing used before it is set.
# Leaks are not looked for: FFmpeg and the test harness keep what ends with the process. Tests that start programs or
# wait for time-outs are left out; they look at other things, and valgrind is fifty times slower.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh valgrind

# The path of a test program of a package: $1 package, $2 what is tested.
program() {
	cargo test --release --locked -p "$1" "$2" ${3:+"$3"} --no-run --message-format=json 2>/dev/null |
		sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1
}

check() {
	echo "memcheck: $*"
	valgrind --quiet --error-exitcode=9 --leak-check=no --fair-sched=yes "$@" --test-threads 1
}

check "$(program kinora-kernels --lib)"
# valgrind's own allocator counts nothing.
check "$(program kinora-media --lib)" --skip heap::
check "$(program kinora-media --test media)" media::accounting media::broken media::damage media::formats \
	--skip standard_input --skip named_pipe --skip memory_does_not_grow
