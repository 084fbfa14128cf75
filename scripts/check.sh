#!/bin/sh
# check.sh -- from a bare Debian 12 to a tested build: installs what is missing, builds in build/,
# runs the unit tests, the fuzz corpora, the repository's own checks and the integration tests.
# Ends with "N passed, N failed, N skipped"; run it again as often as you like.
#
# CONFIGURE_FLAGS are added for configure; SKIP_INTEGRATION=1 leaves the integration tests out.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

started=$(date +%s)
scripts/bootstrap.sh
tree_build
cd build
jobs=$(cores)

failed_stage=0
tests_forget .
say "make check"
quietly check.log make -s -j"$jobs" -k check || failed_stage=1
counts=$(tests_count .)
if [ -z "${SKIP_INTEGRATION:-}" ] && make -n check-integration >/dev/null 2>&1; then
    tests_forget .
    say "make check-integration"
    quietly integration.log make -s check-integration || failed_stage=1
    counts="$counts $(tests_count .)"
fi
say "$(($(date +%s) - started)) s"
# shellcheck disable=SC2086 # three numbers each
set -- $counts 0 0 0
passed=$(($1 + $4)) failed=$(($2 + $5)) skipped=$(($3 + $6))
if [ $failed_stage -ne 0 ] && [ $failed -eq 0 ]; then
    failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
