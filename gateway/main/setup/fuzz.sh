#!/bin/sh
# npm run fuzz [-- FILTER... --minutes N]: the fuzzers for as long as wanted, after whatever set-up is missing.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
build_plugins
exec "$NODE" --no-warnings test/fuzz/main.ts "$@"
