# What there is to do, and nothing of how: that is in scripts/ and in Cargo.toml. Every target
# sets up what it needs first, and needs no network once that has been done.
#
#   make setup                          Debian packages, ONNX Runtime, cargo-nextest
#   make build                          the plugin, target/release/libgstupscale.so
#   make test                           format, lints, all tests
#   make demo [INPUT=…] [MODEL=…] [SCALE=…]   a real video made larger
#   make bench                          the element against the bare runtime
#   make clean                          all that was built or fetched

CARGO ?= cargo

export INPUT MODEL SCALE

.PHONY: setup setup-openvino build test demo bench clean

setup:
	scripts/setup.sh

# The pinned library holds the OpenVINO provider already.
setup-openvino: setup

build: setup
	$(CARGO) build --release --locked

test: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) nextest run --locked
	$(CARGO) test --doc --locked

demo: build
	scripts/demo.sh

bench: setup
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
	rm -rf build
