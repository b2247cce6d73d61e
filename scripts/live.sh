#!/bin/sh
# Prints the table of live streams of docs/BENCHMARKS.md: each model for so many seconds, without and
# with two busy threads, and changes of the model in the middle. Nothing else should run meanwhile.
#
#   scripts/live.sh [SECONDS [MODEL…]]
set -eu

cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- builtin builtin-quality ../shared/data/weights/realesr-animevideov3.pth
clip=bbb_720p.mp4

# LIVE_BENCH is the benchmark if it has been built already. It must be compiled at opt-level 3.
live=${LIVE_BENCH:-}
if [ -z "$live" ]; then
	cargo bench --bench live --no-run
	# Not `cargo bench`, which would run beside it.
	live=$(cargo bench --bench live --no-run --message-format json 2>/dev/null |
		sed -n 's/.*"executable":"\([^"]*live-[^"]*\)".*/\1/p' | tail -n 1)
fi
run() { "$live" "$clip"; }

models=$(IFS=,; echo "$*")
uptime
UPSCALE_LIVE=$models UPSCALE_SECONDS=$seconds UPSCALE_FLICKER=8 run
UPSCALE_LIVE=$models UPSCALE_SECONDS=$seconds UPSCALE_FLICKER=0 UPSCALE_BUSY=2 run
# Changes of the model in mid-play.
for pair in "builtin builtin-quality" "builtin-quality builtin"; do
	set -- $pair
	UPSCALE_LIVE=$1 UPSCALE_SWAP=$2 UPSCALE_SECONDS=10 UPSCALE_FLICKER=0 run
done
uptime
