#!/bin/sh
# bootstrap.sh [ci] -- installs what building and testing on Debian 12 need, and says what. With
# "ci" also the second compiler and npm, which only .ci/run needs. Quick when nothing is missing.
set -eu
. "$(dirname "$0")/lib.sh"

build='autoconf automake make gcc libc6-dev pkg-config libsqlite3-dev libmicrohttpd-dev
    libcurl4-openssl-dev libjansson-dev zlib1g-dev'
check='check universal-ctags clang-format mandoc shellcheck binutils curl jq python3
    python3-yaml python3-consul iproute2 valgrind'
ci='clang libclang-rt-14-dev xz-utils'
# The tests with the npm package; from wherever node is from, where it is there.
command -v npm >/dev/null || ci="$ci nodejs npm"

command -v dpkg-query >/dev/null || {
    echo "bootstrap.sh: not Debian; see README.md for what is needed" >&2
    exit 0
}
# shellcheck disable=SC2086 # lists of words
case ${1:-} in
'') missing=$(packages_missing $build $check) ;;
ci) missing=$(packages_missing $build $check $ci) ;;
*) die "usage: bootstrap.sh [ci]" ;;
esac
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    command -v sudo >/dev/null || die "run as root, or install: $missing"
fi
say "installing $missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
# shellcheck disable=SC2086
$sudo apt-get install -q -y --no-install-recommends $missing
