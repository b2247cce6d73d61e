#!/usr/bin/env bash
# Enlarges INPUT (by default a generated clip) into build/demo/ and prints the time it took.
# Environment: INPUT, MODEL, SCALE.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/demo
mkdir -p "$out"
export GST_PLUGIN_PATH="$PWD/target/release${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}"
export GST_REGISTRY="$PWD/$out/registry.bin"

make_clip() {
  # A static drawing with fine text, a bouncing ball and a running clock over it, and sound.
  gst-launch-1.0 -q -e \
    compositor name=mix sink_1::xpos=230 sink_1::ypos=150 sink_1::alpha=0.9 \
      ! video/x-raw,width=640,height=360,framerate=25/1 \
      ! timeoverlay halignment=right valignment=bottom font-desc="DejaVu Sans 10" \
      ! videoconvert ! video/x-raw,format=I420 ! x264enc bitrate=700 ! h264parse ! queue ! mux. \
    videotestsrc num-buffers=150 pattern=black ! video/x-raw,width=640,height=360,framerate=25/1 \
      ! rsvgoverlay location=examples/demo.svg ! mix.sink_0 \
    videotestsrc num-buffers=150 pattern=ball ! video/x-raw,width=150,height=110,framerate=25/1 ! mix.sink_1 \
    audiotestsrc num-buffers=258 samplesperbuffer=1024 freq=330 volume=0.2 \
      ! audio/x-raw,rate=44100,channels=2 ! audioconvert ! avenc_aac ! queue ! mux. \
    mp4mux name=mux ! filesink location="$1.part"
  mv "$1.part" "$1"
}

frames() {
  gst-launch-1.0 -v filesrc location="$1" ! decodebin ! video/x-raw ! fakesink silent=false sync=false \
    | grep -c 'last-message = chain'
}

input=${INPUT:-$out/clip.mp4}
if [ -z "${INPUT:-}" ]; then make_clip "$input"; fi
[ -r "$input" ] || { echo "demo: cannot read $input" >&2; exit 1; }

name=$(basename "$input")
result="$out/${name%.*}-upscaled.mp4"
upscale="upscale model=${MODEL:-builtin} scale=${SCALE:-0}"
line=(filesrc "location=$input" ! decodebin name=in
      in. ! video/x-raw ! queue ! deinterlace ! videoconvert ! $upscale
      ! videoconvert ! video/x-raw,format=I420 ! x264enc speed-preset=veryfast pass=quant quantizer=18
      ! h264parse ! queue ! mux.)
# Not a pipe: grep would exit first, and pipefail would turn that into a failure.
if grep -q '^ *audio' <<<"$(gst-discoverer-1.0 "$input")"; then
  line+=(in. ! audio/x-raw ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0
         ! audioconvert ! audioresample ! avenc_aac ! queue ! mux.)
fi
line+=(mp4mux name=mux ! filesink "location=$result")

echo "gst-launch-1.0 -e ${line[*]}" | sed 's/(/\\(/g; s/)/\\)/g'
start=$(date +%s.%N)
gst-launch-1.0 -q -e "${line[@]}"
end=$(date +%s.%N)
count=$(frames "$result")

# Left half: the input enlarged by bilinear interpolation; right half: the result.
# Each second overwrites the picture of the second before, up to the middle of the clip.
size=$(gst-discoverer-1.0 -v "$result" | awk '/Width:/{w=$2} /Height:/{h=$2} END{print w, h}')
read -r width height <<<"$size"
half=$((width / 2))
gst-launch-1.0 -q -e \
  compositor name=mix sink_1::xpos=$half ! videorate ! video/x-raw,framerate=1/1 \
    ! identity eos-after=$((count / 50 + 2)) ! videoconvert ! pngenc snapshot=false \
    ! multifilesink location="$out/before-after.png" \
  filesrc location="$input" ! decodebin ! video/x-raw ! deinterlace ! videoconvert ! videoscale method=bilinear \
    ! "video/x-raw,width=$width,height=$height,pixel-aspect-ratio=1/1" ! videocrop right=$((width - half)) ! mix.sink_0 \
  filesrc location="$result" ! decodebin ! video/x-raw ! videoconvert ! videocrop left=$half ! mix.sink_1

awk -v n="$count" -v s="$start" -v e="$end" \
  'BEGIN { printf "%d frames in %.1f s: %.1f frames per second (decoding and encoding included)\n", n, e - s, n / (e - s) }'
echo "result:       $result"
echo "before/after: $out/before-after.png"
