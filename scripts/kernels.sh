#!/bin/sh
# Compiles kernels/upscale.ptx from the sources in the same directory, with the pinned NVRTC, and
# kernels/cubins.zip from that, with the pinned ptxas. Needs no GPU and no CUDA toolkit.
#
#   scripts/kernels.sh           writes both files
#   scripts/kernels.sh check     fails if they differ from what the sources compile to. If the
#                                compilers are not available, prints a note and succeeds
set -eu

cd "$(dirname "$0")/.."

say() { printf '%s\n' "kernels: $*" >&2; }

compile() {
    LD_LIBRARY_PATH=build/nvrtc python3 scripts/kernels.py build/nvrtc "$1/upscale.ptx"
    python3 scripts/cubins.py build/nvrtc/ptxas "$1/upscale.ptx" "$1/cubins.zip"
}

case "${1:-write}" in
write)
    scripts/setup.sh nvrtc
    compile kernels
    ;;
check)
    got=0
    if [ "$(uname -m)" = x86_64 ]; then scripts/setup.sh nvrtc || got=$?; else got=69; fi
    case $got in
    0) ;;
    69)
        say "not checked: NVRTC and ptxas are not available on this machine"
        exit 0
        ;;
    *) exit "$got" ;;
    esac
    compile build
    for file in upscale.ptx cubins.zip; do
        cmp "build/$file" "kernels/$file" || {
            say "kernels/$file differs from what the sources compile to; run \`make kernels\`"
            exit 1
        }
    done
    ;;
*)
    say "unknown task $1: expected write or check"
    exit 2
    ;;
esac
