# What there is to do, and nothing of how: that is in scripts/ and in Cargo.toml. Every target
# sets up what it needs first, and needs no network once that has been done.
#
#   make setup                          Debian packages, ONNX Runtime, cargo-nextest
#   make build                          the plugin, target/release/libgstupscale.so
#   make test                           format, lints, all tests
#   make kernels                        the GPU's kernels anew, kernels/upscale.ptx
#   make kernels-check                  whether they are what their sources give
#   make demo [INPUT=…] [MODEL=…] [SCALE=…]   a real video made larger
#   make bundle [PARTS=1] [GPL=1]       a folder that runs where nothing is installed
#   make bundle-check                   whether it does
#   make bench                          the element against the bare runtime and others
#   make quality                        the built-in models against classic scalers
#   make clean                          all that was built or fetched

CARGO ?= cargo

# PROVIDERS is not among them: unset and empty differ, and make hands on by itself what it is given.
export INPUT MODEL SCALE PARTS GPL RUNTIME

.PHONY: setup setup-openvino build test kernels kernels-check demo bundle bundle-check bench \
	quality clean

setup:
	scripts/setup.sh

# The pinned library holds the OpenVINO provider already.
setup-openvino: setup

build: setup
	$(CARGO) build --workspace --release --locked

test: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) nextest run --workspace --locked
	$(CARGO) test --workspace --doc --locked
	scripts/kernels.sh check

kernels:
	scripts/kernels.sh

kernels-check:
	scripts/kernels.sh check

demo: build
	scripts/demo.sh

bundle: build
	scripts/bundle.sh

bundle-check:
	scripts/bundle.sh check

# Other runtimes to race against: the benchmark does without them where they cannot be had.
build/peers/pins.txt: benches/throughput/peers.txt
	-python3 -m venv build/peers && \
	build/peers/bin/python -m pip install --quiet --no-deps --requirement $< && cp $< $@

bench: setup build/peers/pins.txt
	$(CARGO) bench --locked --bench throughput

# Python's packages stay until their pins change.
build/python/pins.txt: models/train/requirements.txt
	python3 -m venv build/python
	build/python/bin/python -m pip install --quiet --requirement $<
	cp $< $@

quality: build/python/pins.txt
	build/python/bin/python models/train/evaluate.py

clean:
	$(CARGO) clean
	rm -rf build
