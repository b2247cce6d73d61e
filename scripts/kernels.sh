#!/bin/sh
# kernels/upscale.ptx from the sources beside it, by the pinned NVRTC: no GPU, no CUDA toolkit.
#
#   scripts/kernels.sh           writes it
#   scripts/kernels.sh check     fails where it is not what the sources give; says so and
#                                succeeds where the network or the machine gives no NVRTC
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
        say "not checked: NVRTC is not to be had here"
        exit 0
        ;;
    *) exit "$got" ;;
    esac
    compile build/upscale.ptx
    cmp build/upscale.ptx kernels/upscale.ptx || {
        say "kernels/upscale.ptx is not what the sources give: run \`make kernels\`"
        exit 1
    }
    ;;
*)
    say "unknown task $1: write or check"
    exit 2
    ;;
esac
