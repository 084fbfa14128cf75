# lib.sh -- what the scripts share; sourced, POSIX sh.
# shellcheck shell=sh

say() {
    printf '== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# quietly LOG COMMAND...: what it says goes to LOG, and of that, should it fail, what matters.
quietly() {
    log=$1
    shift
    if "$@" >"$log" 2>&1; then
        return 0
    fi
    grep -E '^(FAIL|ERROR)|: error:|: [^ ]+:[FE]:' "$log" || tail -n 30 "$log"
    echo "(all of it: $(pwd)/$log)"
    return 1
}

cores() {
    nproc 2>/dev/null || echo 1
}

# Which of the Debian packages are not installed.
packages_missing() {
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        "install ok installed") ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# From the top of the tree: configures in build/ where that is needed, with CONFIGURE_FLAGS, and
# builds all there.
tree_build() {
    if [ ! -x configure ] || [ ! -f Makefile.in ] || [ -n "$(find configure.ac -newer configure)" ]; then
        say "autoreconf"
        autoreconf -fi
    fi
    mkdir -p build
    (
        cd build || exit 1
        if [ ! -f Makefile ] || [ "${CONFIGURE_FLAGS:-}" != "$(cat .configure-flags 2>/dev/null)" ]; then
            say "configure ${CONFIGURE_FLAGS:-}"
            # shellcheck disable=SC2086 # a list of flags
            ../configure -q ${CONFIGURE_FLAGS:-}
            printf '%s' "${CONFIGURE_FLAGS:-}" >.configure-flags
        fi
        say "build"
        quietly build.log make -s -j"$(cores)" all
    )
}

# make check leaves NAME.trs for each test, and NAME.log.tap for each Check program, and for a script with
# a line a case. Prints "PASSED FAILED SKIPPED": functions of Check programs, cases, and scripts as one each.
tests_count() {
    find "$1" -name '*.trs' -print | while read -r trs; do
        result=$(sed -n 's/^:global-test-result: //p' "$trs" | head -n 1)
        tap=${trs%.trs}.log.tap
        passed=0 failed=0 skipped=0
        if [ -s "$tap" ]; then
            skipped=$(grep -c '^ok.*# SKIP' "$tap" || true)
            passed=$(($(grep -c '^ok' "$tap" || true) - skipped))
            failed=$(grep -c '^not ok' "$tap" || true)
        fi
        case $result in
        PASS) [ $((passed + failed)) -gt 0 ] || passed=1 ;;
        SKIP) skipped=1 ;;
        *) [ "$failed" -gt 0 ] || failed=1 ;; # a crash leaves no line of its own
        esac
        echo "$passed $failed $skipped"
    done | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'
}

# Forgets what earlier runs left, so that tests_count sees this one.
tests_forget() {
    find "$1" \( -name '*.trs' -o -name '*.log.tap' \) -exec rm -f {} +
}
