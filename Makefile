# The targets. Each installs what it needs first; after that it needs no network. The work itself is
# done by cargo and by the scripts in scripts/.
#
#   make setup                          all that the tests need: Debian packages, ONNX Runtime,
#                                       cargo-nextest
#   make setup-build                    Debian packages, which are all that building needs
#   make setup-onnxruntime              ONNX Runtime, for models that the built-in engine does not run
#   make build                          the plugin, target/release/libgstupscale.so, and the command
#   make test                           format, lints, all tests
#   make ci                             `make test` and the checks of scripts/ci.sh
#   make kernels                        compile the GPU's kernels, kernels/upscale.ptx and cubins.zip
#   make kernels-check                  check that they match their sources
#   make machine-code                   test the compiled kernels on the CPU, minutes
#   make provider                       check ONNX Runtime's CUDA provider, downloads 300 MB
#   make demo [INPUT=…] [MODEL=…] [SCALE=…]   enlarge a real video
#   make bundle [PARTS=1] [GPL=1]       a directory that runs where nothing is installed;
#                                       RUNTIME=build/onnxruntime includes ONNX Runtime
#   make bundle-check                   check that it runs
#   make bench                          compare the engines, other runtimes and the element
#   make quality                        compare the built-in models with classic scalers
#   make clean                          remove everything that was built or downloaded

CARGO ?= cargo

# PROVIDERS is not listed: unset and empty differ, and make passes it on unchanged if it is set.
export INPUT MODEL SCALE PARTS GPL RUNTIME

.PHONY: setup setup-build setup-onnxruntime build test ci kernels kernels-check machine-code provider demo bundle bundle-check bench \
	quality clean

setup:
	scripts/setup.sh

setup-build:
	scripts/setup.sh packages

setup-onnxruntime:
	scripts/setup.sh onnxruntime

build: setup-build
	$(CARGO) build --workspace --release --locked

test: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) nextest run --workspace --locked
	$(CARGO) test --workspace --doc --locked
	scripts/kernels.sh check
	scripts/skipped.sh

ci: test
	scripts/ci.sh

kernels:
	scripts/kernels.sh

kernels-check:
	scripts/kernels.sh check

machine-code: setup
	scripts/ci.sh machine-code

provider: setup
	scripts/ci.sh provider

demo: build
	scripts/demo.sh

bundle: build $(if $(filter build/onnxruntime,$(RUNTIME)),setup-onnxruntime)
	scripts/bundle.sh

bundle-check:
	scripts/bundle.sh check

# Other runtimes to compare with. The benchmark runs without those that are not available: vs-mlrt
# needs Python 3.12 or later.
PEERS_PYTHON ?= $(firstword $(foreach python,python3.14 python3.13 python3.12, \
	$(shell $(python) -c 'print("$(python)")' 2>/dev/null)) python3)

build/peers/pins.txt: benches/throughput/peers.txt
	-$(PEERS_PYTHON) -m venv --clear build/peers && \
	build/peers/bin/python -m pip install --quiet --no-deps --requirement $< && cp $< $@

bench: setup-build setup-onnxruntime build/peers/pins.txt
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
