#!/bin/sh
# build/bundle/gst-upscale: a directory that needs only a C library to run.
#
#   scripts/bundle.sh           creates it
#   scripts/bundle.sh check     runs it in an otherwise empty root directory without network
#
# Environment: RUNTIME    ONNX Runtime's directory (default: none, which leaves ONNX Runtime out)
#              PROVIDERS  its execution providers besides the CPU's (default: openvino if available)
#              GPL=1      includes GPL code: x264, x265, FFmpeg, MPEG-2, AAC decoding
#              PARTS=1    also writes an archive in parts of at most 60 MB
#              PROFILE    cargo's profile (default: release)
set -eu

cd "$(dirname "$0")/.."
bundle=build/bundle/gst-upscale
runtime=${RUNTIME:-}
profile=${PROFILE:-release}

say() { printf '%s\n' "bundle: $*" >&2; }

# The newest version of the C library that any file requires.
least_glibc() {
    find "$bundle" -type f \( -name '*.so*' -o -path '*/bin/*' \) -exec objdump -T {} + 2>/dev/null |
        grep -o 'GLIBC_2[.0-9]*' | sort -uV | tail -n 1 | cut -d_ -f2
}

make_bundle() {
    providers=${PROVIDERS-$(ls "$runtime"/libonnxruntime_providers_openvino.so 2>/dev/null |
        sed 's/.*_//; s/\.so//')}
    rm -rf build/bundle
    mkdir -p "$bundle"
    python3 scripts/bundle/collect.py "$bundle" "target/$profile" "$runtime" "$providers" \
        "${GPL:-0}" >build/bundle/files.txt
    # Debug symbols would double the size.
    find "$bundle/bin/gst-upscale" "$bundle/plugin" -type f -exec strip --strip-debug {} +
    python3 scripts/bundle/licences.py "$runtime" "${GPL:-0}" <build/bundle/files.txt \
        >"$bundle/THIRD-PARTY.txt"
    for tool in gst-upscale gst-launch-1.0 gst-inspect-1.0; do
        sed "s/TOOL/$tool/" scripts/bundle/launcher.sh >"$bundle/$tool"
        chmod 755 "$bundle/$tool"
    done
    sed "s/GLIBC/$(least_glibc)/" scripts/bundle/README.txt >"$bundle/README.txt"
    cp LICENSE-MIT LICENSE-APACHE "$bundle"
    say "$bundle: $(du -sh "$bundle" | cut -f1), for glibc $(least_glibc) or later"
    [ -n "$runtime" ] || say "without ONNX Runtime (RUNTIME=build/onnxruntime includes it)"
    [ "${GPL:-0}" = 1 ] || say "without x264, x265, FFmpeg and other GPL code (GPL=1 includes it)"
    [ "${PARTS:-0}" = 0 ] || make_parts
}

make_parts() {
    tar -C build/bundle -cz gst-upscale |
        split --numeric-suffixes --suffix-length 2 --bytes 60000000 - \
            build/bundle/gst-upscale.tar.gz.part-
    (cd build/bundle && sha256sum gst-upscale.tar.gz.part-* >SHA256SUMS)
    cat >build/bundle/join.sh <<'JOIN'
#!/bin/sh
# Joins the parts and unpacks them here.
set -eu
cd "$(dirname "$0")"
sha256sum --check SHA256SUMS
cat gst-upscale.tar.gz.part-* | tar -xz
JOIN
    chmod 755 build/bundle/join.sh
    say "$(ls build/bundle/*.part-* | wc -l) parts; join.sh joins them"
}

# Runs in a root directory with only the C library, a shell, the bundle, /proc and /dev.
check() {
    [ -d "$bundle" ] || { say "$bundle does not exist: run \`make bundle\`" && exit 1; }
    root=$(mktemp -d build/bundle/root.XXXXXX)
    trap 'rm -rf "$root"' EXIT INT TERM
    mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/tmp" "$root/opt"
    cp -al "$bundle" "$root/opt/elsewhere"
    for tool in sh readlink dirname; do
        cp -L "$(command -v $tool)" "$root/bin"
    done
    # The libraries of these tools and the rest of the C library, at the same paths.
    folder=$(dirname "$(ldd /bin/sh | sed -n 's/.*=> \(.*libc\.so\.6\).*/\1/p')")
    for name in c m dl rt pthread resolv; do
        cp -L --parents "$folder/lib$name".so.[0-9] "$root"
    done
    cp -L --parents "$(ldd /bin/sh | grep -o '/[^ ]*/ld-linux[^ ]*')" "$root"
    cp scripts/bundle/smoke.sh "$root/opt"
    user=
    [ "$(id -u)" = 0 ] || user=--map-root-user
    unshare $user --net --mount --pid --fork env -i root="$root" PATH="$PATH" sh -euc '
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" /bin/sh /opt/smoke.sh'
    say "the bundle runs without anything else installed"
}

case "${1:-make}" in
make) make_bundle ;;
check) check ;;
*)
    say "unknown task $1: expected make or check"
    exit 2
    ;;
esac
