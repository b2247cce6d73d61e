#!/bin/sh
# Feeds damaged files to a reader (models, settings, the catalogue, the cache), or hostile models to an
# engine. It uses the stable compiler: libFuzzer needs only coverage counters, and the readers contain
# no unsafe code that a sanitizer would check.
#
#   scripts/fuzz.sh onnx 300        fuzzes for 300 seconds with the corpus fuzz/corpus/onnx
#   scripts/fuzz.sh ncnn 300 FILE   runs one file only
#   scripts/fuzz.sh all 300         fuzzes every target for 300 seconds, one after the other
#
# Files to start from are in fuzz/seeds/NAME, those that were found to reach new code in
# fuzz/corpus/NAME. The models of the tests, hostile ones included, are written there by
#
#   UPSCALE_CORPUS=$PWD/fuzz/corpus/onnx cargo nextest run --lib -E 'test(/onnx::tests/)'
#
# Findings are written to fuzz/artifacts. The target engine runs the command gst-upscale (make build,
# or UPSCALE_COMMAND=PATH).
set -eu

cd "$(dirname "$0")/../fuzz"
target=${1:?name a target of fuzz/fuzz_targets, or all} seconds=${2:-60}
shift
[ $# = 0 ] || shift

host=$(rustc -vV | sed -n 's/^host: //p')
llvm=-Cllvm-args=-sanitizer-coverage
RUSTFLAGS="-Cpasses=sancov-module $llvm-level=4 $llvm-inline-8bit-counters $llvm-pc-table
    -Cdebug-assertions -Coverflow-checks" cargo build --release --target "$host"

# Some targets write a file for each execution.
[ ! -w /dev/shm ] || export TMPDIR="${TMPDIR:-/dev/shm}"

# Fuzzes the target $1; further arguments are files.
fuzz() {
    name=$1
    shift
    mkdir -p "corpus/$name" artifacts
    if [ $# = 0 ]; then
        set -- "corpus/$name"
        [ ! -d "seeds/$name" ] || set -- "$@" "seeds/$name"
    fi
    "target/$host/release/$name" -max_total_time="$seconds" -timeout=120 -rss_limit_mb=2048 \
        -max_len=65536 -artifact_prefix="artifacts/$name-" -print_final_stats=1 "$@"
}

if [ "$target" != all ]; then
    fuzz "$target" "$@"
    exit
fi
mkdir -p artifacts
failed=
for file in fuzz_targets/*.rs; do
    name=$(basename "$file" .rs)
    fuzz "$name" >"artifacts/$name.log" 2>&1 || failed="$failed $name"
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "artifacts/$name.log")
    echo "fuzz: $name: ${executions:-no} executions"
done
[ -z "$failed" ] || {
    echo "fuzz: findings of$failed are in fuzz/artifacts; the logs are fuzz/artifacts/NAME.log" >&2
    exit 1
}
