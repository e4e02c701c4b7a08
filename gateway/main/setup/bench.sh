#!/bin/sh
# npm run bench -- NAME...: whatever is missing, the peers to compare with among it, then the benches.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
build_plugins
warm_cache
debian gcc libc6-dev curl ethtool iproute2 haproxy nginx-light libnginx-mod-http-js wrk || true
exec "$NODE" --no-warnings test/bench/main.ts "$@"
