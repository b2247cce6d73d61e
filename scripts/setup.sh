#!/bin/sh
# Installs what building, testing and running need. It can be repeated: what is already installed
# is kept, and then no network is needed.
#
#   scripts/setup.sh                all that the tests need: all of the following but nvrtc
#   scripts/setup.sh packages       Debian packages, which are all that building needs
#   scripts/setup.sh onnxruntime    ONNX Runtime, for models that the built-in engine does not run
#   scripts/setup.sh nextest        cargo-nextest
#   scripts/setup.sh webgpu         ONNX Runtime with WebGPU, and a Vulkan driver that runs on the
#                                   CPU, both only for tests (x86-64, Debian)
#   scripts/setup.sh nvrtc          the compilers of the GPU kernels (x86-64 only)
set -eu

cd "$(dirname "$0")/.."
pins=scripts/onnxruntime.txt
runtime=build/onnxruntime

packages='gcc g++ libc6-dev pkg-config python3 python3-pip fonts-dejavu-core
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev gstreamer1.0-tools
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-x gstreamer1.0-plugins-base-apps'

say() { printf '%s\n' "setup: $*" >&2; }

install_packages() {
    command -v dpkg-query >/dev/null || {
        say "dpkg-query was not found; install the equivalents of these Debian packages:" $packages
        return
    }
    missing=
    for package in $packages; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -q
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
}

# Downloads the wheels pinned in $1 into the directory $2; further arguments go to pip. Exits with 69
# (EX_UNAVAILABLE) if the index cannot be reached, which pip itself does not distinguish from a
# wrong hash.
download() {
    requirements=$1 wheels=$2
    shift 2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary :all: --dest "$wheels" --requirement "$requirements" "$@" \
        2>"$work/pip.txt" && return
    cat "$work/pip.txt" >&2
    if grep -q 'DO NOT MATCH THE HASHES' "$work/pip.txt"; then
        exit 1
    elif grep -Eq 'connection broken|Max retries|Connection(Error| refused)|Timeout' "$work/pip.txt"
    then
        say "the package index cannot be reached"
        exit 69
    fi
    exit 1
}

# Installs the library of the pinned wheel into $runtime, with a copy of the pins.
install_onnxruntime() {
    if cmp -s "$pins" "$runtime/pins.txt"; then
        return
    fi
    machine=$(uname -m)
    say "downloading ONNX Runtime for $machine"
    mkdir -p build
    work=$(mktemp -d build/onnxruntime.XXXXXX)
    trap 'rm -rf "$work"' EXIT INT TERM
    # Only the C library of the wheel is used, so the Python version that it is for does not matter.
    download "$pins" "$work/wheel" --implementation cp --python-version 311 --abi cp311 \
        --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine"
    [ -n "$(ls "$work/wheel" 2>/dev/null)" ] || {
        say "no ONNX Runtime is pinned for $machine: add it to $pins, or set ORT_DYLIB_PATH"
        exit 1
    }
    python3 -m zipfile -e "$work"/wheel/*.whl "$work/files"
    mkdir "$work/onnxruntime"
    rm -f "$work"/files/onnxruntime/capi/onnxruntime_pybind11_state*
    mv "$work"/files/onnxruntime/capi/*.so* "$work/files/onnxruntime/LICENSE" \
        "$work/files/onnxruntime/ThirdPartyNotices.txt" "$work/onnxruntime"
    (cd "$work/onnxruntime" && ln -sf libonnxruntime.so.1.* libonnxruntime.so.1)
    cp "$pins" "$work/onnxruntime/pins.txt"
    rm -rf "$runtime"
    mv "$work/onnxruntime" "$runtime"
    rm -rf "$work"
    trap - EXIT INT TERM
}

# Installs NVRTC and ptxas, which only `make kernels` and `make kernels-check` use.
install_nvrtc() {
    if cat scripts/nvrtc.txt scripts/ptxas.txt | cmp -s - build/nvrtc/pins.txt; then
        return
    fi
    say "downloading NVRTC and ptxas"
    mkdir -p build
    work=$(mktemp -d build/nvrtc.XXXXXX)
    trap 'rm -rf "$work"' EXIT INT TERM
    download scripts/nvrtc.txt "$work/wheel" --platform manylinux1_x86_64
    download scripts/ptxas.txt "$work/wheel" --platform manylinux2010_x86_64
    for wheel in "$work"/wheel/*.whl; do
        python3 -m zipfile -e "$wheel" "$work/files"
    done
    mv "$work/files/nvidia/cuda_nvrtc/lib" "$work/nvrtc"
    mv "$work/files/nvidia/cuda_nvcc/bin/ptxas" "$work/nvrtc/ptxas"
    chmod +x "$work/nvrtc/ptxas"
    cat scripts/nvrtc.txt scripts/ptxas.txt >"$work/nvrtc/pins.txt"
    rm -rf build/nvrtc
    mv "$work/nvrtc" build/nvrtc
    rm -rf "$work"
    trap - EXIT INT TERM
}

# Installs what the tests of backend=webgpu need into build/webgpu. Without it they are skipped.
install_webgpu() {
    if [ "$(uname -m)" != x86_64 ] || cmp -s scripts/webgpu.txt build/webgpu/pins.txt; then
        return 0
    fi
    say "downloading ONNX Runtime with WebGPU, and SwiftShader"
    mkdir -p build
    (
        work=$(mktemp -d build/webgpu.XXXXXX)
        trap 'rm -rf "$work"' EXIT INT TERM
        download scripts/webgpu.txt "$work/wheel" --implementation cp --python-version 311 \
            --abi cp311 --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64
        python3 -m zipfile -e "$work"/wheel/*.whl "$work/files"
        # Chromium's package contains SwiftShader, a Vulkan driver. It is unpacked, not installed.
        (cd "$work" && apt-get download -q chromium-common >/dev/null && dpkg-deb -x chromium-*.deb chromium)
        mkdir "$work/webgpu"
        mv "$work"/files/onnxruntime/capi/libonnxruntime.so.1.* "$work/webgpu/libonnxruntime.so.1"
        mv "$work"/chromium/usr/lib/chromium/*vk_swiftshader* "$work/webgpu"
        cp scripts/webgpu.txt "$work/webgpu/pins.txt"
        rm -rf build/webgpu
        mv "$work/webgpu" build/webgpu
    ) || say "the tests of backend=webgpu will be skipped: their parts are not available"
}

install_nextest() {
    cargo nextest --version >/dev/null 2>&1 || {
        say "installing cargo-nextest"
        cargo install --locked cargo-nextest
    }
}

case "${1:-all}" in
all)
    install_packages
    install_onnxruntime
    install_webgpu
    install_nextest
    ;;
packages) install_packages ;;
onnxruntime) install_onnxruntime ;;
nextest) install_nextest ;;
nvrtc) install_nvrtc ;;
webgpu) install_webgpu ;;
*)
    say "unknown part $1: expected all, packages, onnxruntime, nextest, webgpu or nvrtc"
    exit 2
    ;;
esac
