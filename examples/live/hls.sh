#!/usr/bin/env bash
# Enlarges a stream for HTTP Live Streaming: hls.sh rtsp://camera/stream public/
source "$(dirname "$0")/common.sh"
[ $# = 2 ] || { echo "usage: $0 FROM DIRECTORY" >&2; exit 2; }
mkdir -p "$2"
play uridecodebin "uri=$1" ! videoconvert ! "${upscale[@]}" \
  ! x264enc tune=zerolatency speed-preset=veryfast key-int-max=60 ! h264parse \
  ! hlssink2 target-duration=2 "location=$2/segment%05d.ts" "playlist-location=$2/playlist.m3u8"
