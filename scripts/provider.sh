#!/bin/sh
# Runs ONNX Runtime's real CUDA provider without a GPU: over libraries that only write down what it
# calls (tests/provider/runtime.c), and the emulated driver. Checks its options, that it works on
# our stream, and that it plans, waits and allocates nothing once a stream runs. Downloads 300 MB
# the first time; run it when src/onnxruntime/gpu or the pinned version changes.
#
#   scripts/provider.sh           the check
#   scripts/provider.sh planted   fails unless the check finds that fp16 loses its tensor cores
set -eu

cd "$(dirname "$0")/.."
folder=$PWD/build/provider
capi=$folder/files/onnxruntime/capi

if ! cmp -s scripts/provider.txt "$folder/pins.txt"; then
    echo "provider: downloading ONNX Runtime with CUDA" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: \
        --implementation cp --python-version 311 --abi cp311 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
        --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
        --dest "$folder/wheels" --requirement scripts/provider.txt
    for wheel in "$folder"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$folder/files"
    done
    rm -rf "$folder/wheels"
    cp scripts/provider.txt "$folder/pins.txt"
fi

libraries=$folder/libraries
mkdir -p "$libraries"
names=$(python3 scripts/provider.py "$capi/libonnxruntime_providers_cuda.so" "$libraries")
if [ "${1:-check}" = planted ]; then
    # An engine that claims tensor cores and one that does not, exchanged.
    sed -i 's/return it->engine == 0 ? /return it->engine == 1 ? /' "$libraries/runtime.c"
fi
for name in $names; do
    gcc -O1 -shared -fPIC -w -I"$folder/files/nvidia/cuda_runtime/include" \
        -I"$folder/files/nvidia/cuda_nvcc/include" "$libraries/runtime.c" \
        -Wl,--version-script="$libraries/versions.txt" -Wl,-soname,"$name" -o "$libraries/$name"
done
g++ -std=c++17 -O1 -ffp-contract=off -fno-strict-aliasing -w -fPIC -shared -pthread \
    -I kernels -I tests/kernels -Wl,-soname,libcuda.so.1 tests/common/emulator.cpp \
    -o "$libraries/libcuda.so.1"

export STUB_LOG=$libraries/calls.log
: >"$STUB_LOG"
check() {
    LD_LIBRARY_PATH=$libraries:${LD_LIBRARY_PATH:-} \
        ORT_DYLIB_PATH=$(ls "$capi"/libonnxruntime.so.1.*) \
        cargo nextest run --locked --lib --run-ignored only --success-output=final \
        -E 'test(the_cuda_provider_plans_and_waits_only)'
}
case "${1:-check}" in
check)
    check
    date >"$folder/passed"
    ;;
planted)
    if check >"$folder/planted.log" 2>&1; then
        echo "provider: the planted fault was not found" >&2
        exit 1
    fi
    grep -q 'FAIL' "$folder/planted.log"
    ;;
*)
    echo "provider: unknown task $1: expected check or planted" >&2
    exit 2
    ;;
esac
