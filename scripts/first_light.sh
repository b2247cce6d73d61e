#!/bin/sh
# The first checks on a real NVIDIA GPU, in about 15 minutes; a command takes at most three minutes.
# Each part writes PART.txt (what was printed) and PART.json (status, seconds, findings) into the
# directory $OUT, and results.json with all of them. It can be stopped at any time; parts that are
# done are kept, and can be repeated.
#
#   scripts/first_light.sh prepare      writes build/first_light.tar.xz: everything that the GPU's
#                                       machine needs, except ONNX Runtime with CUDA
#   first_light.sh [PART…]              runs parts, all by default:
#       machine    the GPU, the driver, free memory, Python packages
#       stages     the kernels compute what the CPU computes; start without and with caches
#       provider   inference by CUDA and TensorRT, their regions and memory (needs ONNX Runtime with
#                  CUDA in ORT_DYLIB_PATH, and its libraries in LD_LIBRARY_PATH: docs/CUDA.md)
#       speed      frames per second beside the bare session; time to the first frame
#       soak       2,000 frames: memory
#   scripts/first_light.sh --emulated   tries all parts on the emulated driver
set -u

here=$(dirname "$(readlink -f "$0")")
most_bytes=45000000
limit=180

say() { printf '%s\n' "first_light: $*" >&2; }

prepare() {
    cd "$here/.." || exit 1
    PROVIDERS= scripts/bundle.sh || exit 1
    cp scripts/first_light.sh build/bundle/gst-upscale/
    archive=build/first_light.tar.xz
    tar -C build/bundle -c gst-upscale | xz -9 -T0 >"$archive" || exit 1
    size=$(wc -c <"$archive")
    say "$archive: $((size / 1000000)) MB, sha256 $(sha256sum "$archive" | cut -d' ' -f1)"
    [ "$size" -le "$most_bytes" ] || { say "more than $((most_bytes / 1000000)) MB"; exit 1; }
}

# Runs a command within the time limit and appends what it prints to the part's text. Sets `took`,
# in milliseconds, and `code`.
run() {
    begun=$(date +%s%N)
    printf '\n$ %s\n' "$*" >>"$OUT/$part.txt"
    timeout "$limit" "$@" >>"$OUT/$part.txt" 2>&1
    code=$?
    took=$((($(date +%s%N) - begun) / 1000000))
    printf 'exit status %s after %s ms\n' "$code" "$took" >>"$OUT/$part.txt"
}

# Adds a finding, a name and a JSON value.
found() { findings="$findings${findings:+, }\"$1\": $2"; }

text() { printf '"%s"' "$(printf '%s' "$1" | tr -d '\000-\037' | sed 's/[\\"]/\\&/g')"; }

part_machine() {
    if command -v nvidia-smi >/dev/null; then
        run nvidia-smi
        fields=name,driver_version,compute_cap,memory.total,memory.free,pstate,clocks.max.sm
        found gpu "$(text "$(nvidia-smi --query-gpu=$fields --format=csv,noheader | head -n 1)")"
    elif [ "$emulated" = no ]; then
        status=failed
        found reason '"nvidia-smi is not installed"'
    fi
    run python3 -c 'import torch; print(torch.__version__, torch.version.cuda)'
    run "$command" --version
    found version "$(text "$("$command" --version | head -n 1)")"
}

# A row of the self-test in the part's text.
row() { grep -F "$1" "$OUT/$part.txt" | tail -n 1; }

part_stages() {
    caches=$(mktemp -d)
    # The first time nothing is cached.
    for start in cold warm; do
        run env CUDA_CACHE_PATH="$caches/driver" "$command" selftest --backend cuda --frames 20 \
            --cache-dir "$caches/own"
        found "${start}_ms" "$took"
    done
    rm -rf "$caches"
    stages=$(row 'stages: GPU equals CPU')
    found stages "$(text "$stages")"
    case $stages in *passed*) ;; *) status=failed ;; esac
}

# What follows a command that failed: the part is skipped where ONNX Runtime has no CUDA.
unless_passed() {
    [ "$code" = 0 ] && return
    if grep -q 'backend cuda is not in the ONNX Runtime' "$OUT/$part.txt"; then
        status=skipped
        reason='"ORT_DYLIB_PATH names no ONNX Runtime with CUDA"'
    else
        status=failed
    fi
}

part_provider() {
    run "$command" selftest --backend cuda --frames 50
    unless_passed
    found cuda "${reason:-"\"$status\""}"
    if [ "$status" != skipped ]; then
        # TensorRT may be missing.
        run "$command" selftest --backend tensorrt --frames 50
        found tensorrt "$([ "$code" = 0 ] && echo '"passed"' || echo '"failed"')"
    fi
}

part_speed() {
    model=${FIRST_LIGHT_MODEL:-builtin-quality}
    for precision in fp16 fp32; do
        run "$command" bench --backend cuda --precision "$precision" --models "$model" \
            --sizes 720p,1080p --seconds 10
        found "cuda_$precision" "$(text "$(tail -n 8 "$OUT/$part.txt" | tr '\n' ';')")"
        unless_passed
    done
    caches=$(mktemp -d)
    for start in cold warm; do
        run env CUDA_CACHE_PATH="$caches/driver" "$(dirname "$command")/gst-launch-1.0" -q \
            videotestsrc num-buffers=1 ! video/x-raw,format=NV12,width=1920,height=1080 \
            ! upscale backend=cuda "model=$model" "cache-dir=$caches/own" ! fakesink
        [ "$code" = 0 ] && found "first_frame_${start}_ms" "$took"
    done
    rm -rf "$caches"
}

part_soak() {
    run "$command" selftest --backend auto --frames "${FIRST_LIGHT_FRAMES:-2000}"
    found memory "$(text "$(row 'memory over')")"
    [ "$code" = 0 ] || status=failed
}

# All parts that are done, in one array.
write_results() {
    { printf '['; separator=; for file in "$OUT"/*.json; do
        [ "$file" = "$OUT/results.json" ] && continue
        printf '%s\n' "$separator"; cat "$file"; separator=,
    done; printf ']\n'; } >"$OUT/results.tmp"
    mv "$OUT/results.tmp" "$OUT/results.json"
}

run_part() {
    part=$1 status=passed findings= reason=
    say "$part"
    part_begun=$(date +%s)
    : >"$OUT/$part.txt"
    "part_$part"
    printf '{"part": "%s", "status": "%s", "seconds": %s, "findings": {%s}}\n' "$part" "$status" \
        $(($(date +%s) - part_begun)) "$findings" >"$OUT/$part.tmp"
    mv "$OUT/$part.tmp" "$OUT/$part.json"
    write_results
    say "$part $status"
    [ "$status" != failed ] || failed=yes
}

emulated=no failed=no
OUT=${OUT:-$PWD/first_light}
command=$here/gst-upscale
case "${1:-}" in
prepare)
    prepare
    exit
    ;;
--emulated)
    shift
    emulated=yes
    root=$(readlink -f "$here/..")
    command=$(ls -t "$root"/target/release/gst-upscale "$root"/target/debug/gst-upscale \
        2>/dev/null | head -n 1)
    [ -x "$command" ] || { say "no gst-upscale in target/: run \`cargo build --workspace\`"; exit 1; }
    OUT=$root/build/first_light
    mkdir -p "$OUT/driver"
    g++ -std=c++17 -O2 -ffp-contract=off -fno-strict-aliasing -w -fPIC -shared -pthread \
        -I "$root/kernels" -I "$root/tests/kernels" -Wl,-soname,libcuda.so.1 \
        "$root/tests/common/emulator.cpp" -o "$OUT/driver/libcuda.so.1" || exit 1
    LD_LIBRARY_PATH=$OUT/driver:${LD_LIBRARY_PATH:-}
    FIRST_LIGHT_FRAMES=50 FIRST_LIGHT_MODEL=builtin
    export LD_LIBRARY_PATH
    ;;
esac
mkdir -p "$OUT"
[ $# != 0 ] || set -- machine stages provider speed soak
for name; do
    case $name in
    machine | stages | provider | speed | soak) run_part "$name" ;;
    *)
        say "unknown part $name: expected machine, stages, provider, speed or soak"
        exit 2
        ;;
    esac
done
cat "$OUT/results.json"
[ "$failed" = no ]
