#!/bin/sh
# Compiles kernels/upscale.ptx from the sources in the same directory, with the pinned NVRTC. Needs
# no GPU and no CUDA toolkit.
#
#   scripts/kernels.sh           writes the file
#   scripts/kernels.sh check     fails if the file differs from what the sources compile to. If
#                                NVRTC is not available, prints a note and succeeds
set -eu

cd "$(dirname "$0")/.."

say() { printf '%s\n' "kernels: $*" >&2; }

compile() {
    LD_LIBRARY_PATH=build/nvrtc python3 scripts/kernels.py build/nvrtc "$1"
}

case "${1:-write}" in
write)
    scripts/setup.sh nvrtc
    compile kernels/upscale.ptx
    ;;
check)
    got=0
    if [ "$(uname -m)" = x86_64 ]; then scripts/setup.sh nvrtc || got=$?; else got=69; fi
    case $got in
    0) ;;
    69)
        say "not checked: NVRTC is not available on this machine"
        exit 0
        ;;
    *) exit "$got" ;;
    esac
    compile build/upscale.ptx
    cmp build/upscale.ptx kernels/upscale.ptx || {
        say "kernels/upscale.ptx differs from what the sources compile to; run \`make kernels\`"
        exit 1
    }
    ;;
*)
    say "unknown task $1: expected write or check"
    exit 2
    ;;
esac
