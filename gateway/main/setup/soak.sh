#!/bin/sh
# npm run soak [-- NAME... --small]: what takes minutes to show, after whatever set-up is missing. See test/soak/README.md.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
build_plugins
warm_cache
NODE_COMPILE_CACHE="$PWD/.node/compile-cache" exec "$NODE" --no-warnings test/soak/main.ts "$@"
