# Used by the scripts in this directory.
set -euo pipefail

upscale=(queue max-size-buffers=3 max-size-bytes=0 max-size-time=0
  ! upscale "model=${MODEL:-builtin}" ${UPSCALE:-} ! videoconvert ! queue)

# Prints and runs a pipeline.
play() {
  echo "gst-launch-1.0 -e $*" >&2
  exec gst-launch-1.0 -e "$@"
}
