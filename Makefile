# The targets. Each installs what it needs first; after that it needs no network. The work itself is
# done by cargo and by the scripts in scripts/.
#
#   make setup                          Debian packages, ONNX Runtime, cargo-nextest
#   make build                          the plugin, target/release/libgstupscale.so, and the command
#   make test                           format, lints, all tests
#   make ci                             `make test` and the checks of scripts/ci.sh
#   make kernels                        compile the GPU's kernels, kernels/upscale.ptx
#   make kernels-check                  check that they match their sources
#   make demo [INPUT=…] [MODEL=…] [SCALE=…]   enlarge a real video
#   make bundle [PARTS=1] [GPL=1]       a directory that runs where nothing is installed
#   make bundle-check                   check that it runs
#   make bench                          compare the element with the bare runtime and others
#   make quality                        compare the built-in models with classic scalers
#   make clean                          remove everything that was built or downloaded

CARGO ?= cargo

# PROVIDERS is not listed: unset and empty differ, and make passes it on unchanged if it is set.
export INPUT MODEL SCALE PARTS GPL RUNTIME

.PHONY: setup setup-openvino build test ci kernels kernels-check demo bundle bundle-check bench \
	quality clean

setup:
	scripts/setup.sh

# The pinned library already holds the OpenVINO provider.
setup-openvino: setup

build: setup
	$(CARGO) build --workspace --release --locked

test: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) nextest run --workspace --locked
	$(CARGO) test --workspace --doc --locked
	scripts/kernels.sh check

ci: test
	scripts/ci.sh

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

# Other runtimes to compare with. The benchmark runs without those that are not available.
build/peers/pins.txt: benches/throughput/peers.txt
	-python3 -m venv build/peers && \
	build/peers/bin/python -m pip install --quiet --no-deps --requirement $< && cp $< $@

bench: setup build/peers/pins.txt
	$(CARGO) bench --locked --bench throughput

# Python packages are installed again only if their pins change.
build/python/pins.txt: models/train/requirements.txt
	python3 -m venv build/python
	build/python/bin/python -m pip install --quiet --requirement $<
	cp $< $@

quality: build/python/pins.txt
	build/python/bin/python models/train/evaluate.py

clean:
	$(CARGO) clean
	rm -rf build
