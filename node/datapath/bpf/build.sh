#!/bin/sh
# Builds ringwall.bpf.o from ringwall.c, or with --check compares the committed object with a fresh
# build, byte for byte: program, maps, relocations and BTF. The product includes the committed
# object, so nobody needs clang to build it.
#
# Needs Debian 12's clang and llvm (14.0.6): another compiler makes another program.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang-14}
strip=${LLVM_STRIP:-llvm-strip-14}

for tool in "$clang" "$strip"; do
    if ! command -v "$tool" >/dev/null; then
        echo "build.sh: $tool is missing: apt-get install clang llvm" >&2
        exit 2
    fi
done

# Compiles to $1. Directory names stay out of the object, debug sections too; BTF stays in.
build() {
    "$clang" -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror \
        -ffile-prefix-map="$PWD"=. -c ringwall.c -o "$1"
    "$strip" --strip-debug "$1"
}

case ${1:-} in
--check)
    fresh=$(mktemp)
    trap 'rm -f "$fresh"' EXIT
    build "$fresh"
    if ! cmp "$fresh" ringwall.bpf.o; then
        echo "build.sh: ringwall.bpf.o is not what ringwall.c gives; run bpf/build.sh" >&2
        exit 1
    fi
    ;;
'')
    build ringwall.bpf.o
    ;;
*)
    echo "usage: build.sh [--check]" >&2
    exit 2
    ;;
esac
