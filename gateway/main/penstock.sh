#!/bin/sh
# The command line: in a checkout under the Node that `npm start` installs; as a package under the one that came with it; else
# under the one on the path.
set -eu
# How an upgrade of the running program calls this again: by the name that may lead to another version then.
case $0 in /*) export PENSTOCK_COMMAND="$0" ;; esac
root=$(dirname "$(readlink -f "$0")")/../..
if [ -d "$root/.node/compile-cache" ]; then
  NODE_COMPILE_CACHE="$root/.node/compile-cache"
  export NODE_COMPILE_CACHE
fi
# A package has its types stripped.
entry=$root/gateway/main/penstock.ts
[ -f "$entry" ] || entry=$root/gateway/main/penstock.js
for node in "$root"/.node/node_modules/node-linux-*/bin/node "$root"/node_modules/node-linux-*/bin/node "$root"/../node-linux-*/bin/node node; do
  if major=$("$node" -p 'process.versions.node.split(".")[0]' 2>/dev/null) && [ "$major" -ge 26 ]; then
    # The supervisor is this process, for months: small where a start is all that ever needs much.
    MALLOC_ARENA_MAX=2 exec "$node" --no-warnings --max-semi-space-size=2 "$entry" "$@"
  fi
done
echo "penstock: Node 26 is needed; in a checkout, \`npm start\` or \`npm test\` installs it" >&2
exit 1
