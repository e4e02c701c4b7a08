#!/bin/sh
# npm start: whatever is missing, then a gateway with the embedded example. Needs npm and nothing of Debian's.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
build_plugins
warm_cache
NODE_COMPILE_CACHE="$PWD/.node/compile-cache" exec "$NODE" --no-warnings gateway/main/penstock.ts run --example "$@"
