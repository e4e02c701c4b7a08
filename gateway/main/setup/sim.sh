#!/bin/sh
# npm run sim: simulations by the thousand, after whatever set-up is missing. See test/sim/README.md.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
exec "$NODE" --no-warnings test/sim/main.ts "$@"
