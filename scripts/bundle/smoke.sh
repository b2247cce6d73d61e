#!/bin/sh
# Runs in an otherwise empty root directory: self-test, enlarging a clip, finding the plugin.
set -eu
export HOME=/tmp PATH=/bin
cd /tmp
bundle=/opt/elsewhere
"$bundle/gst-upscale" selftest --frames 50
"$bundle/gst-launch-1.0" -q -e webmmux name=mux ! filesink location=clip.webm \
    videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48 ! vp9enc ! mux. \
    audiotestsrc num-buffers=20 ! audioconvert ! opusenc ! mux.
for output in large.mp4 large.mkv large.webm; do
    "$bundle/gst-upscale" upscale clip.webm "$output" --threads 2
done
# Audio without a decoder is copied.
if "$bundle/gst-inspect-1.0" voaacenc >/dev/null 2>&1; then
    "$bundle/gst-launch-1.0" -q -e mp4mux name=mux ! filesink location=aac.mp4 \
        videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48 ! openh264enc ! h264parse ! mux. \
        audiotestsrc num-buffers=20 ! audioconvert ! voaacenc ! mux.
    "$bundle/gst-upscale" upscale aac.mp4 aac.mkv --threads 2
    "$bundle/gst-launch-1.0" -q filesrc location=aac.mkv ! matroskademux ! audio/mpeg ! fakesink
fi
"$bundle/gst-inspect-1.0" upscale >/dev/null
"$bundle/gst-launch-1.0" -q filesrc location=large.mkv ! matroskademux ! h264parse ! openh264dec \
    ! video/x-raw,width=128,height=96 ! fakesink
