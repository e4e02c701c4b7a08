#!/bin/sh
# Builds BPF objects so that the same sources give the same bytes on any machine with clang 14.
#
#   bpf/build.sh                   bpf/src/*.bpf.c -> bpf/obj/*.o, and bpf/obj/SOURCES.sha256
#   bpf/build.sh SOURCES OBJECTS   the same for other folders (tests' fixtures; a rebuild to compare)
#
# SOURCES.sha256 holds the digest of every source, so that a test can tell stale objects where no clang is.
set -eu
root=$(cd "$(dirname "$0")" && pwd)
case $# in
  0) sources=$root/src; objects=$root/obj ;;
  2) sources=$(cd "$1" && pwd); mkdir -p "$2"; objects=$(cd "$2" && pwd) ;;
  *) echo "usage: bpf/build.sh [SOURCES OBJECTS]" >&2; exit 2 ;;
esac
clang=${CLANG:-clang}
strip=${LLVM_STRIP:-llvm-strip}

# asm/types.h is in the architecture's own folder on Debian.
include=/usr/include/$(uname -m)-linux-gnu

cd "$sources"
for source in *.bpf.c; do
  object=$objects/${source%.bpf.c}.o
  "$clang" -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -I"$include" -I"$root/src" \
    "-ffile-prefix-map=$sources=." "-ffile-prefix-map=$root/src=." -fdebug-compilation-dir=. -c "$source" -o "$object"
  # Drops DWARF and the compiler's labels, which are nine tenths of all symbols; keeps .BTF and .BTF.ext.
  "$strip" -g --wildcard --strip-symbol='LBB*' "$object"
done
LC_ALL=C sha256sum *.c $(ls *.h 2>/dev/null || true) >"$objects/SOURCES.sha256"
