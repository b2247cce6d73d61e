#!/bin/sh
# Checks beyond `make test`. Each can run alone; without arguments all run.
#
#   scripts/ci.sh docs        documentation builds without warnings
#   scripts/ci.sh deny        licences, advisories and sources of dependencies (cargo-deny)
#   scripts/ci.sh msrv        the sources compile with the oldest supported Rust
#   scripts/ci.sh features    the library compiles with each set of features, and the command works
#                             without any
#   scripts/ci.sh fuzz        the targets of fuzz/ compile
#   scripts/ci.sh package     the published package builds and stays small
#   scripts/ci.sh machine-code   the tests of the GPU's stages run on the machine code that ships
#   scripts/ci.sh provider    ONNX Runtime's CUDA provider runs over libraries that compute nothing;
#                             not by default, since it downloads 300 MB
#   scripts/ci.sh cinstall    `cargo cinstall` installs a plugin that GStreamer finds (cargo-c)
#
# A check whose tool is not installed is skipped with a message; CI=true makes that an error.
set -eu

cd "$(dirname "$0")/.."
max_package_kib=4352

say() { printf '%s\n' "ci: $*" >&2; }

# Skips the check $1, since $2 is missing.
skip() {
    say "$1 skipped: $2"
    [ "${CI:-}" != true ] || exit 1
}

docs() {
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items
}

deny() {
    cargo deny --version >/dev/null 2>&1 || { skip deny "install cargo-deny"; return; }
    cargo deny check
}

msrv() {
    version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    rustup run "$version" rustc --version >/dev/null 2>&1 || {
        skip msrv "install Rust $version: rustup toolchain install $version"
        return
    }
    CARGO_TARGET_DIR=target/msrv rustup run "$version" cargo check --workspace --locked
}

features() {
    for features in onnxruntime onnxruntime,openvino onnxruntime,cuda onnxruntime,webgpu; do
        cargo check --package gst-plugin-upscale --lib --locked --no-default-features \
            --features "$features"
    done
    cargo clippy --package gst-plugin-upscale --lib --locked --features doc -- -D warnings
    cargo clippy --workspace --lib --bins --locked --no-default-features -- -D warnings
    cargo test --package gst-upscale --test command --locked --no-default-features without_onnx_runtime
}

fuzz() {
    CARGO_TARGET_DIR=target cargo check --manifest-path fuzz/Cargo.toml --locked
}

package() {
    cargo package --package gst-plugin-upscale --locked --no-verify --allow-dirty
    archive=$(ls -t target/package/gst-plugin-upscale-*.crate | head -n 1)
    size=$(($(wc -c <"$archive") / 1024))
    say "$archive: $size KiB, $(tar -tzf "$archive" | wc -l) files"
    [ "$size" -le "$max_package_kib" ] || { say "more than $max_package_kib KiB"; exit 1; }
}

machine_code() {
    scripts/machine_code.sh
    scripts/machine_code.sh planted
}

provider() {
    scripts/provider.sh
    scripts/provider.sh planted
}

# When the checks that do not always run last passed.
last_runs() {
    for check in machine_code provider; do
        say "$check last passed: $(cat "build/$check/passed" 2>/dev/null || echo never, on this machine)"
    done
}

cinstall() {
    cargo cinstall --version >/dev/null 2>&1 || { skip cinstall "install cargo-c"; return; }
    prefix=$(mktemp -d)
    trap 'rm -rf "$prefix"' EXIT INT TERM
    cargo cinstall --package gst-plugin-upscale --release --locked --prefix "$prefix" --libdir lib
    GST_PLUGIN_PATH="$prefix/lib/gstreamer-1.0" GST_REGISTRY="$prefix/registry.bin" \
        gst-inspect-1.0 upscale | grep "$prefix"
}

[ $# != 0 ] || set -- docs deny msrv features fuzz package machine-code cinstall
for check; do
    case $check in
    docs | deny | msrv | features | fuzz | package | provider | cinstall) "$check" ;;
    machine-code) machine_code ;;
    *)
        say "unknown check $check: expected docs, deny, msrv, features, fuzz, package,"
        say "machine-code, provider or cinstall"
        exit 2
        ;;
    esac
done
last_runs
