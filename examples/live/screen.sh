#!/usr/bin/env bash
# Enlarges an X11 screen: screen.sh :0. Unchanged areas cost nothing.
source "$(dirname "$0")/common.sh"
play ximagesrc "display-name=${1:-${DISPLAY:-:0}}" use-damage=false ! video/x-raw,framerate=15/1 \
  ! videoconvert ! "${upscale[@]}" ! "${SINK:-autovideosink}"
