# `make help` lists the targets. Set-up happens by itself, once; with nothing changed, nothing is done again.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Cargo and DVC take every core by themselves; two targets at once would swap binaries under each other.
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
CARGO ?= cargo
# In CI the lock file is the truth; at a desk an added dependency may still update it.
LOCKED := $(if $(CI),--locked)
RELEASE := $(abspath $(or $(CARGO_TARGET_DIR),target)/release)

UV_VERSION := 0.13.8
MACHETE_VERSION := 0.9.2
MUTANTS_VERSION := 27.1.0
MDBOOK_VERSION := 0.5.4

venv := .venv
run_python := $(venv)/.run.stamp
dev_python := $(venv)/.dev.stamp
tensorrt := $(venv)/.tensorrt.stamp
cuda := $(venv)/.cuda.stamp
deny_python := .tools/deny/.stamp
dist_python := .tools/dist/.stamp
bench_python := .tools/bench/.stamp
bench_serve_python := .tools/bench-serve/.stamp
scale_python := .tools/scale/.stamp
book_python := .tools/book/.stamp
nvrtc := .tools/nvrtc/.stamp
prettier := node_modules/.package-lock.json
machete := .tools/cargo-machete-$(MACHETE_VERSION).stamp
cargo_mutants := .tools/cargo-mutants-$(MUTANTS_VERSION).stamp
mdbook := .tools/mdbook-$(MDBOOK_VERSION).stamp

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# After an experiment params.yaml holds its overrides, and `dvc repro` alone would keep to them.
job := dvc repro --single-item --force compose && dvc repro

.PHONY: repro
repro: $(run_python) build ## Run the main job, from seed to scored model, with DVC
	. ./env.sh && $(job)

.PHONY: exp
exp: $(run_python) build ## Run a DVC experiment: make exp SET="data=softmax optimizer.learning_rate=0.01"
	. ./env.sh && dvc exp run $(foreach override,$(SET),-S '$(override)')

.PHONY: cifar10
cifar10: $(run_python) build ## Train on CIFAR-10 and score it, with DVC: make cifar10 SET="model=speednet trainer.max_epochs=5"
	. ./env.sh && cd pipelines/cifar10 && $(if $(SET),dvc exp run $(foreach override,$(SET),-S '$(override)'),$(job))

.PHONY: build
build: ## Build every tool into target/release
	$(CARGO) build --release $(LOCKED)

# `cargo test` builds a tool only where that tool has tests of its own; the peers want them all.
.PHONY: test
test: $(dev_python) ## Run the tests: Rust, then those against Python peers
	$(CARGO) test --release $(LOCKED)
	$(CARGO) build --release $(LOCKED)
	$(MAKE) loom
	PIPEGRAD_BIN='$(RELEASE)' $(venv)/bin/python -m pytest tools docker

# Files, and headings in them; no request leaves the machine. A folder has no page in a book.
lychee := .tools/book/bin/lychee --offline --include-fragments --index-files '' --no-progress

# These packages need libclang, and are not among the default members.
tensorrt_packages := -p trt-build -p tensorrt

.PHONY: tensorrt
tensorrt: $(run_python) $(tensorrt) build ## Build TensorRT engines of the entropy model and ResNet-18 in three precisions, with DVC
	$(CARGO) build --release $(tensorrt_packages) $(LOCKED)
	. ./env.sh && cd pipelines/tensorrt && dvc repro

.PHONY: profile
profile: $(run_python) build ## Measure the entropy model and ResNet-18 in fp32, fp16 and int8: cost, roofline, latencies; with DVC
	. ./env.sh && cd pipelines/profile && dvc repro
	cat pipelines/profile/latency-*.md

.PHONY: test-tensorrt
test-tensorrt: $(dev_python) $(tensorrt) build ## Build and test what needs TensorRT; needs libclang, no GPU
	$(CARGO) clippy --release $(tensorrt_packages) --all-targets $(LOCKED) -- -D warnings
	$(CARGO) build --release $(tensorrt_packages) $(LOCKED)
	$(CARGO) test --release $(tensorrt_packages) $(LOCKED)
	$(CARGO) test --release -p runtime --features tensorrt --test tensorrt $(LOCKED)
	PIPEGRAD_BIN='$(RELEASE)' $(venv)/bin/python -m pytest tools/trt-build tools/peer_faults.py \
	  tools/pipegrad/tests/peer_docs.py tools/pipegrad/tests/peer_completion.py -k 'trt'

# Their tests are among those of `make test` too, which skip what NVRTC or a C++ compiler is missing for.
.PHONY: test-cuda
test-cuda: $(nvrtc) ## Compile the kernels for GPUs, and test them as C++ on this machine; needs no GPU
	NVRTC_DYLIB_PATH="$$(echo $(abspath .tools/nvrtc)/lib/python3*/site-packages/nvidia/cu13/lib/libnvrtc.so.*)" REQUIRE_CUDA=1 \
	  $(CARGO) test --release --test nvrtc --test shim --test gpu_nvrtc --test gpu_kernels --test gpu_network \
	    --test gpu_images --test gpu_loss --test gpu_optimizer --test gpu_learner --test gpu $(LOCKED)

.PHONY: cuda
cuda: $(cuda) ## Install what the tools load to compute on a GPU into .venv, where they find it: NVRTC, cuBLAS, cuDNN; 1.7 GB, needs no GPU
	@echo 'make cuda: the libraries are in $(venv); choose a GPU with device=cuda:0, and trainer.device=cuda:0 (docs/gpu.md)'

.PHONY: gpu-check
gpu-check: build ## Pack dist/gpu-check.tar.gz, which checks and measures everything on a machine with a GPU
	$(CARGO) build --release --example gpu_check $(LOCKED)
	scripts/gpu-check.sh pack

# Beside the other binaries: linked to MPI, this one runs only where that is installed.
.PHONY: train-mpi
train-mpi: ## Build target/mpi/train, whose ranks speak MPI (mpirun -n 4 target/mpi/train ...); needs libopenmpi-dev and libclang
	$(CARGO) build --release --bin train --features train/mpi $(LOCKED)
	mkdir -p target/mpi && cp '$(RELEASE)/train' target/mpi/train
	$(CARGO) build --release --bin train $(LOCKED)

.PHONY: test-mpi
test-mpi: train-mpi ## Train with several ranks under mpirun, over MPI; needs libopenmpi-dev, openmpi-bin and libclang
	$(CARGO) test --release --features train/mpi --test mpi $(LOCKED)
	$(CARGO) build --release --bin train $(LOCKED)

.PHONY: dist
dist: $(dist_python) ## Build what users install into dist/: a wheel and an archive of all tools, manual pages and completions
	scripts/dist.sh dist

.PHONY: test-wheel
test-wheel: $(dev_python) $(dist_python) ## Build the wheel as the tests are built, and use it in an environment of its own
	scripts/dist.sh release
	PIPEGRAD_WHEEL="$$(ls dist/pipegrad-*.whl)" $(venv)/bin/python -m pytest tools/pipegrad/tests/peer_wheel.py

.PHONY: test-scale
test-scale: $(run_python) $(scale_python) build ## Run pipelines/scale under its engines: Slurm, Snakemake, Spark; check Kubernetes' manifests and pipelines/ci; what is not installed is skipped
	PIPEGRAD_BIN='$(RELEASE)' .tools/scale/bin/python -m pytest pipelines/scale pipelines/ci

.PHONY: book
book: $(mdbook) $(book_python) ## Build docs/ as a book, target/book/index.html, and check every link of the pages and of the book
	$(lychee) $$(git ls-files -co --exclude-standard '*.md')
	$(PYTHON) scripts/book.py
	.tools/bin/mdbook build
	$(lychee) target/book

.PHONY: docs
docs: build ## Write what --help prints into the pages of the tools
	PIPEGRAD_BIN='$(RELEASE)' $(PYTHON) scripts/usage.py

.PHONY: faults
faults: $(dev_python) build ## Kill, starve and mislead every tool in every way of docs/reliability.md; needs strace
	PIPEGRAD_BIN='$(RELEASE)' $(venv)/bin/python scripts/faults/run.py

.PHONY: containers
containers: $(dev_python) build ## Assemble the images of docker/Dockerfile without an engine, measure them, run the job in them; needs root
	$(venv)/bin/hadolint docker/Dockerfile
	$(venv)/bin/python docker/rootfs.py serve train job cuda mlflow --binaries '$(RELEASE)'
	PIPEGRAD_BIN='$(RELEASE)' CONTAINERS=1 $(venv)/bin/python -m pytest docker

.PHONY: mutants
mutants: $(cargo_mutants) ## Change the code of libraries, one place at a time, and count what their own tests miss: make mutants MUTANTS_ARGS="--seed 1"
	$(PYTHON) scripts/mutants/run.py $(MUTANTS_ARGS)

.PHONY: lint
lint: $(dev_python) $(prettier) $(machete) ## Check format, clippy, unused dependencies, shell and files, as a commit does
	$(venv)/bin/pre-commit run --all-files --show-diff-on-failure

.PHONY: deny
deny: $(deny_python) ## Check licences, versions and sources of all crates; with DENY_ADVISORIES=1 also RustSec's advisories, from the network
	.tools/deny/bin/cargo-deny $(LOCKED) check --hide-inclusion-graph licenses bans sources $(if $(DENY_ADVISORIES),advisories)

.PHONY: fmt
fmt: $(prettier) ## Format Rust, YAML, JSON and Markdown
	$(CARGO) fmt --all
	node_modules/.bin/prettier --write --log-level warn .

.PHONY: bench
bench: bench-entropy-job bench-tables bench-small-run bench-native bench-mlp-step bench-conv bench-candle-ops bench-image-step bench-compose bench-completion bench-hydra bench-serve bench-programs ## Measure the tools against their peers; installs PyTorch (see BENCHMARKS.md)

.PHONY: bench-entropy-job
bench-entropy-job: $(bench_python) build
	.tools/bench/bin/python scripts/bench/entropy_job/run.py $(BENCH_ARGS)

.PHONY: bench-tables
bench-tables: $(bench_python) $(run_python) build
	PIPEGRAD_BIN='$(RELEASE)' .tools/bench/bin/python scripts/bench/tables/run.py $(BENCH_ARGS)

.PHONY: bench-small-run
bench-small-run: $(dev_python) build
	PIPEGRAD_BIN='$(RELEASE)' $(venv)/bin/python scripts/bench/small_run/run.py $(BENCH_ARGS)

.PHONY: bench-data-parallel
bench-data-parallel: $(dev_python) build ## Measure several ranks beside one process, and model 64: make bench-data-parallel BENCH_ARGS="--rounds 9"; over MPI too after make train-mpi
	$(CARGO) build --release -p collective --example exchange $(LOCKED)
	PIPEGRAD_BIN='$(RELEASE)' $(venv)/bin/python scripts/bench/data_parallel/run.py $(BENCH_ARGS)

.PHONY: bench-hydra
bench-hydra: $(dev_python) build ## Compose thousands of random trees with Hydra and with compose: make bench-hydra EXAMPLES=5000
	PIPEGRAD_BIN='$(RELEASE)' PEER_EXAMPLES=$(or $(EXAMPLES),3000) \
	  $(venv)/bin/python -m pytest -q -s tools/lib/config/tests/peer_hydra_trees.py

.PHONY: bench-completion
bench-completion: $(dev_python) build
	PIPEGRAD_BIN='$(RELEASE)' $(venv)/bin/python scripts/bench/completion/run.py $(BENCH_ARGS)

.PHONY: bench-native
bench-native: $(bench_python)
	.tools/bench/bin/python scripts/bench/native/run.py $(BENCH_ARGS)

.PHONY: bench-mlp-step
bench-mlp-step: $(bench_python)
	.tools/bench/bin/python scripts/bench/mlp_step/run.py $(BENCH_ARGS)

.PHONY: bench-conv
bench-conv: $(bench_python)
	.tools/bench/bin/python scripts/bench/conv/run.py $(BENCH_ARGS)

.PHONY: bench-candle-ops
bench-candle-ops: $(dev_python)
	$(venv)/bin/python scripts/bench/candle_ops/run.py $(BENCH_ARGS)

.PHONY: bench-image-step
bench-image-step: $(bench_python)
	.tools/bench/bin/python scripts/bench/image_step/run.py $(BENCH_ARGS)

.PHONY: bench-quantize
bench-quantize: $(dev_python) ## Quantize a model by ONNX Runtime's Python package and by ours: make bench-quantize BENCH_ARGS="model.onnx --calibration c.npy --rows x.npy --labels y.npy"
	$(CARGO) build --release -p onnx --example quantize $(LOCKED)
	$(venv)/bin/python scripts/bench/quantize/run.py $(BENCH_ARGS)

.PHONY: bench-executor
bench-executor: $(dev_python) ## Run networks natively and in ONNX Runtime, in one process: make bench-executor BENCH_ARGS="2 6 ResNet"
	ORT_DYLIB_PATH="$${ORT_DYLIB_PATH:-$$(echo $(abspath $(venv))/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)}" \
	  $(CARGO) bench -p executor --bench runtime $(LOCKED) -- $(BENCH_ARGS)

# Another RUSTFLAGS would rebuild everything: a target directory of its own holds the few crates below `parallel`.
.PHONY: loom
loom: ## Model-check the thread pool under every interleaving of its threads
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR='$(RELEASE)/../loom' $(CARGO) test --release -p parallel --lib $(LOCKED)

.PHONY: bench-programs
bench-programs: build
	PIPEGRAD_BIN='$(RELEASE)' $(PYTHON) scripts/bench/programs/run.py $(BENCH_ARGS)

.PHONY: bench-spark
bench-spark: $(scale_python) build ## Measure `entropy` alone, under Spark, and a pandas UDF: make bench-spark BENCH_ARGS="--rows 1000000"; needs Java
	PIPEGRAD_BIN='$(RELEASE)' .tools/scale/bin/python scripts/bench/spark/run.py $(BENCH_ARGS)

.PHONY: bench-large-file
bench-large-file: $(bench_python) build ## Train on a file of 20 GB, which is written and deleted: make bench-large-file BENCH_ARGS="--megabytes 2000"
	PIPEGRAD_BIN='$(RELEASE)' .tools/bench/bin/python scripts/bench/large_file/run.py $(BENCH_ARGS)

.PHONY: bench-cifar10
bench-cifar10: $(bench_python) build ## Train ResNet-20 beside PyTorch, for hours: make bench-cifar10 DATA=data/cifar10
	PIPEGRAD_BIN='$(RELEASE)' .tools/bench/bin/python scripts/bench/cifar10/run.py $(DATA) $(BENCH_ARGS)

.PHONY: bench-compose
bench-compose: $(dev_python) build
	$(venv)/bin/python scripts/bench/compose/run.py $(BENCH_ARGS)

# The profile of what is handed out; it compiles everything once more.
.PHONY: bench-serve
bench-serve: $(bench_serve_python) build ## Measure `serve` beside Triton and MLflow: make bench-serve BENCH_ARGS="--models mlp --perf-analyzer"
	$(CARGO) build --profile dist -p serve $(LOCKED)
	PIPEGRAD_BIN='$(RELEASE)' .tools/bench-serve/bin/python scripts/bench/serve/run.py --serve '$(RELEASE)/../dist/serve' $(BENCH_ARGS)

.PHONY: soak
soak: $(bench_serve_python) build ## Load `serve` fully for ten minutes and print its memory meanwhile: make soak SECONDS=60
	PIPEGRAD_BIN='$(RELEASE)' .tools/bench-serve/bin/python scripts/bench/serve/run.py --soak $(or $(SECONDS),600)

.PHONY: setup
setup: $(dev_python) $(prettier) $(machete) ## Install what development needs, and the git hooks
	$(venv)/bin/pre-commit install

.PHONY: env
env: ## Print the line that puts the tools on PATH: eval "$(make -s env)"
	@echo "cd '$(CURDIR)' && . ./env.sh && cd - > /dev/null"

pin := ../.tools/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# Beside `mlflow-skinny`, `mlflow` itself is only the web page; its other dependencies are gigabytes.
.PHONY: lock
lock: .tools/uv-$(UV_VERSION).stamp ## Pin the Python packages again, after an edit of requirements/*.in
	cd requirements && for name in run dev train mlflow-server bench bench-serve book deny tensorrt nvrtc cuda scale dist; do $(pin) -o $$name.txt $$name.in; done
	cd requirements && sed -n 's/^mlflow-skinny\(==[^ ]*\).*/mlflow\1/p' dev.txt | $(pin) --no-deps -o mlflow-ui.txt -

.PHONY: clean
clean: ## Remove what was built; data, models and installs stay
	$(CARGO) clean

.PHONY: distclean
distclean: clean ## Remove the installs too
	rm -rf $(venv) .tools node_modules

$(run_python): requirements/run.txt
	scripts/check-python.sh $(PYTHON)
	$(PYTHON) -m venv --clear $(venv)
	$(venv)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(dev_python): requirements/dev.txt $(run_python)
	$(venv)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(cuda) $(tensorrt): $(venv)/.%.stamp: requirements/%.txt $(run_python)
	$(venv)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(bench_python) $(book_python) $(deny_python) $(dist_python) $(nvrtc) $(scale_python): .tools/%/.stamp: requirements/%.txt
	scripts/check-python.sh $(PYTHON)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

# pip does not see that the lock pins a package that another wants with extras; the lock is complete.
$(bench_serve_python): requirements/bench-serve.txt
	scripts/check-python.sh $(PYTHON)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

$(prettier): package-lock.json
	npm ci --no-audit --no-fund
	touch $@

$(machete):
	$(CARGO) install cargo-machete --locked --version $(MACHETE_VERSION) --root .tools
	touch $@

$(cargo_mutants):
	$(CARGO) install cargo-mutants --locked --version $(MUTANTS_VERSION) --root .tools
	touch $@

# Without optimization it compiles in two minutes of processor time, and builds the book in a second.
$(mdbook):
	$(CARGO) install mdbook --debug --locked --no-default-features --features search --version $(MDBOOK_VERSION) --root .tools
	touch $@

.tools/uv-$(UV_VERSION).stamp:
	$(PYTHON) -m venv --clear .tools/uv
	.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@
