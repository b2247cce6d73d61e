#!/bin/sh
# Runs TOOL with this directory's libraries and plugins, from any location.
here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gst-upscale
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# Uses this directory's ONNX Runtime, if it has one, unless the user sets another.
runtime="$here/lib/onnxruntime/libonnxruntime.so.1"
[ ! -e "$runtime" ] || export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$runtime}"
# Ignores the system's plugins and does not touch its plugin registry.
export GST_PLUGIN_SYSTEM_PATH_1_0="$here/lib/gstreamer-1.0:$here/plugin"
export GST_REGISTRY_1_0="$cache/registry.bin" GST_REGISTRY_FORK=no
export GIO_MODULE_DIR="$here/lib/gio-modules"
unset GST_PLUGIN_PATH GST_PLUGIN_PATH_1_0 GST_PLUGIN_SYSTEM_PATH GST_REGISTRY
exec "$here/bin/TOOL" "$@"
