#!/bin/sh
# usage: scripts/kernel-checks.sh asan | miri | aarch64
#
# Runs the tests of src/native/kernels, the only unsafe code of the native engine, in a small crate
# of their own: under AddressSanitizer (every instruction set of this machine; needs a nightly
# toolchain), under Miri (the portable kernels; needs a nightly toolchain with miri and rust-src), or
# for AArch64 under an emulator (needs `rustup target add aarch64-unknown-linux-gnu` and the Debian
# packages gcc-aarch64-linux-gnu and qemu-user).
set -eu
cd "$(dirname "$0")/.."
crate=target/kernel-checks
mkdir -p "$crate/src"
cat > "$crate/Cargo.toml" <<EOF
[package]
name = "kernel-checks"
version = "0.0.0"
edition = "2024"
[workspace]
[profile.dev]
opt-level = 1
EOF
cat > "$crate/src/lib.rs" <<EOF
#![allow(dead_code, unused_imports)]
mod native {
    #[path = "$PWD/src/native/kernels/mod.rs"]
    pub(crate) mod kernels;
}
EOF
cd "$crate"
case "${1:-}" in
asan) RUSTFLAGS=-Zsanitizer=address cargo +nightly test --lib --target x86_64-unknown-linux-gnu ;;
miri) cargo +nightly miri test --lib ;;
aarch64)
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
		cargo test --lib --target aarch64-unknown-linux-gnu
	;;
*)
	echo "usage: $0 asan | miri | aarch64" >&2
	exit 2
	;;
esac
