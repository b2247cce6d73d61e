#!/bin/sh
# Runs the tests of the GPU's stages on the machine code that ships, translated for the CPU
# (scripts/machine_code.py), in place of its sources. Takes some minutes, most of them of the C++
# compiler.
#
#   scripts/machine_code.sh           all tests of kernels/ and of the GPU pipeline, and the
#                                     transactions with memory per output pixel
#   scripts/machine_code.sh planted   fails unless the tests find a fault planted in the code
set -eu

cd "$(dirname "$0")/.."
folder=$PWD/build/machine_code
mkdir -p "$folder"

test_kernels() {
    UPSCALE_MACHINE_CODE=$folder cargo nextest run --locked --no-fail-fast "$@"
}

case "${1:-all}" in
all)
    python3 scripts/machine_code.py kernels/upscale.ptx "$folder/upscale.cu"
    test_kernels --test kernels --test cuda --success-output=final
    date >"$folder/passed"
    ;;
planted)
    # The first subtraction of a resampler's row becomes an addition.
    sed '0,/sub\.rn\.f32/s//add.rn.f32/' kernels/upscale.ptx >"$folder/planted.ptx"
    python3 scripts/machine_code.py "$folder/planted.ptx" "$folder/upscale.cu"
    if test_kernels --test kernels -E 'test(unpack::every_format)' >"$folder/planted.log" 2>&1; then
        echo "machine_code: the planted fault was not found" >&2
        exit 1
    fi
    grep -q 'FAIL .*unpack' "$folder/planted.log"
    ;;
*)
    echo "machine_code: unknown task $1: expected all or planted" >&2
    exit 2
    ;;
esac
