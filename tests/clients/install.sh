#!/bin/sh
# install.sh DIRECTORY -- puts the npm package "consul", at the version of package.json, and what it needs
# into DIRECTORY/node_modules, unless it is there. Needs the registry that npm is configured for. Exit 0: it
# is there; 77: it cannot be had here, and why.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
into=$1

[ -d "$into/node_modules/consul" ] && cmp -s "$here/package.json" "$into/package.json" && exit 0
command -v node >/dev/null || { echo "node is not installed"; exit 77; }
command -v npm >/dev/null || { echo "npm is not installed"; exit 77; }
mkdir -p "$into"
rm -rf "$into/node_modules"
cp "$here/package.json" "$into/.package.json"
mv "$into/.package.json" "$into/package.json"
if ! (cd "$into" && timeout 90 npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock \
    --fetch-retries 1 --fetch-timeout 20000 </dev/null >npm.log 2>&1); then
    rm -f "$into/package.json"
    echo "npm does not reach its registry"
    exit 77
fi
