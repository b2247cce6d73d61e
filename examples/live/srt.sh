#!/usr/bin/env bash
# Enlarges an SRT stream: srt.sh srt://host:7001 'srt://:7002?mode=listener'
source "$(dirname "$0")/common.sh"
[ $# = 2 ] || { echo "usage: $0 FROM TO" >&2; exit 2; }
play srtsrc "uri=$1" latency=120 ! tsdemux ! h264parse ! avdec_h264 ! videoconvert ! "${upscale[@]}" \
  ! x264enc tune=zerolatency speed-preset=veryfast key-int-max=60 ! h264parse ! mpegtsmux alignment=7 \
  ! srtsink "uri=$2" latency=120 wait-for-connection=false
