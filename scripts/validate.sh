#!/bin/sh
# Runs the standard scenarios of gst-validate with the element upscale and prints what only upscale
# reports, compared with identity and videoscale in its place.
#
#   scripts/validate.sh                       all scenarios below
#   scripts/validate.sh seek_forward scrub_forward_seeking    these scenarios
#
# It uses the plugin of `make build`. GST_VALIDATE names the tool gst-validate-1.0 if it is not in
# PATH.
set -eu

cd "$(dirname "$0")/.."
say() { printf '%s\n' "validate: $*" >&2; }

validate=${GST_VALIDATE:-gst-validate-1.0}
command -v "$validate" >/dev/null || {
    version=$(pkg-config --modversion gstreamer-1.0 2>/dev/null || echo VERSION)
    say "$validate was not found. Install your distribution's package (Fedora and Arch:" \
        "gst-devtools), or build it; Debian has none:"
    say "  curl -O https://gstreamer.freedesktop.org/src/gst-devtools/gst-devtools-$version.tar.xz"
    say "  tar xf gst-devtools-$version.tar.xz && cd gst-devtools-$version"
    say "  meson setup build --prefix=/opt/gst-devtools && ninja -C build install"
    say "  GST_VALIDATE=/opt/gst-devtools/bin/gst-validate-1.0 scripts/validate.sh"
    exit 69
}
[ -f target/release/libgstupscale.so ] || { say "the plugin was not found; run make build"; exit 1; }

[ $# != 0 ] || set -- play_5s pause_resume seek_forward seek_backward seek_with_stop simple_seeks \
    fast_forward fast_backward reverse_playback seek_forward_backward \
    alternate_fast_backward_forward change_state_intensive scrub_forward_seeking \
    scrub_backward_seeking

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export GST_PLUGIN_PATH="$PWD/target/release" GST_REGISTRY="$work/registry.bin"
export XDG_CACHE_HOME="$work/cache" GST_VALIDATE_CONFIG=

# Ten seconds of video with a key frame every half second.
clip=$work/clip.mkv
gst-launch-1.0 -q -e videotestsrc num-buffers=250 pattern=ball \
    ! video/x-raw,width=160,height=120,framerate=25/1 ! x264enc key-int-max=12 ! h264parse \
    ! matroskamux ! filesink location="$clip"

# Writes what the tool reports about the element $2 in scenario $1 to the file $3: the end of the
# process, and issues without times, names of objects and numbers.
report() {
    scenario=$1 element=$2 to=$3
    for kind in playbin pipeline; do
        if [ $kind = playbin ]; then
            set -- playbin "uri=file://$clip" "video-filter=$element" video-sink=fakesink \
                audio-sink=fakesink
        else
            set -- filesrc "location=$clip" ! matroskademux ! h264parse ! avdec_h264 \
                ! $element ! fakesink sync=true
        fi
        end=0
        timeout 300 "$validate" --set-scenario "$scenario" "$@" >"$work/log" 2>&1 || end=$?
        echo "$kind: exit code $end"
        sed -n -e 's/<[^>]*>//g' -e 's/[0-9][0-9:.]*//g' \
            -e "/issue\|critical\|warning : /s/^ */$kind: /p" "$work/log" | sort -u
    done >"$to"
}

found=0 runs=0
for scenario; do
    report "$scenario" identity "$work/identity"
    report "$scenario" videoscale "$work/videoscale"
    sort -u "$work/identity" "$work/videoscale" >"$work/control"
    for element in upscale 'upscale reuse=tolerant pipeline-depth=3'; do
        report "$scenario" "$element" "$work/ours"
        runs=$((runs + 2))
        sort -u "$work/ours" | comm -23 - "$work/control" >"$work/only"
        if [ -s "$work/only" ]; then
            found=$((found + 1))
            echo "$scenario, $element:"
            sed 's/^/  /' "$work/only"
        fi
    done
done
say "$runs runs with upscale, $found with reports that neither identity nor videoscale has"
[ $found = 0 ]
