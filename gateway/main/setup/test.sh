#!/bin/sh
# npm test: whatever is missing, then every check and every test this machine can run.
# The last line is `N passed, N failed`, with `, N skipped` when there are any; the exit code is 0 only if none failed.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../../.."
. gateway/main/setup/lib.sh
install_node
install_packages
build_plugins
# Tests start the gateway a hundred times, three processes each.
warm_cache
# What is missing makes tests skip, with a reason; that it is missing has been said.
debian clang llvm libbpf-dev gcc libc6-dev curl iproute2 ethtool socat zsh fish || true
# Plugins in other languages, as their authors build them.
debian lld wasi-libc libc++-14-dev-wasm32 libc++abi-14-dev-wasm32 libclang-rt-14-dev-wasm32 rustc libstd-rust-dev-wasm32 || true
NODE_COMPILE_CACHE="$PWD/.node/compile-cache" exec "$NODE" --no-warnings gateway/main/setup/run-tests.ts "$@"
