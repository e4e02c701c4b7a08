#!/bin/sh
# npm run pack [-- FOLDER]: the package that installs anywhere, for `npm install -g penstock-VERSION.tgz`.
set -eu
caller=${INIT_CWD:-$PWD}
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
build_plugins
cd "$caller"
exec "$NODE" --no-warnings "$OLDPWD/gateway/main/setup/pack.ts" "$@"
