#!/bin/sh
# coverage.sh [--missing] -- builds src/raft for gcov in build-coverage/, runs the tests of the core
# (unit, scenarios, simulator, small worlds) and prints what they took of it. Fails below the floor,
# which only rises.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
branches_min=995 # of a thousand

[ -x configure ] || autoreconf -fi
mkdir -p build-coverage
cd build-coverage
srcdir=..
export srcdir
[ -f Makefile ] || "$srcdir/configure" -q --enable-coverage CFLAGS=-g
units=$(cd "$srcdir" && find tests/unit -name 'test_raft_*.c' | sort | sed 's/\.c$//')
find . -name '*.gcda' -exec rm -f {} +
# shellcheck disable=SC2086 # a list of programs
quietly build.log make -s -j"$(cores)" $units tests/scenarios/run tests/sim/raftkv-sim \
    tests/sim/raftkv-small-worlds
for unit in $units; do
    quietly run.log "$unit"
done
quietly run.log tests/scenarios/run
quietly run.log tests/sim/raftkv-sim
quietly run.log tests/sim/raftkv-small-worlds --terms 1 --entries 1 --crashes 1 --slow-disk
python3 "$srcdir/scripts/coverage.py" . $branches_min "$@"
