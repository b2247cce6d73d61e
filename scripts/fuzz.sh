#!/bin/sh
# Feeds damaged files to a reader. It uses the stable compiler: libFuzzer needs only coverage
# counters, and the readers contain no unsafe code that a sanitizer would check.
#
#   scripts/fuzz.sh onnx 300        fuzzes for 300 seconds with the corpus fuzz/corpus/onnx
#   scripts/fuzz.sh ncnn 300 FILE   runs one file only
set -eu

cd "$(dirname "$0")/../fuzz"
target=${1:?name a target of fuzz/fuzz_targets} seconds=${2:-60}
shift
[ $# = 0 ] || shift

host=$(rustc -vV | sed -n 's/^host: //p')
llvm=-Cllvm-args=-sanitizer-coverage
RUSTFLAGS="-Cpasses=sancov-module $llvm-level=4 $llvm-inline-8bit-counters $llvm-pc-table
    -Cdebug-assertions -Coverflow-checks" cargo build --release --target "$host"

mkdir -p "corpus/$target" artifacts
[ $# != 0 ] || set -- "corpus/$target"
exec "target/$host/release/$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
    -max_len=65536 -artifact_prefix="artifacts/$target-" "$@"
