# The front door: every routine of the project is one target here. `make` alone lists them.
# What a target needs from Debian it installs itself, and only what is missing (tests/setup/debian-packages.sh).

SHELL := /bin/bash
CARGO ?= cargo
ROUNDS ?= 3
SOAK ?= 600
PACKAGES := tests/setup/debian-packages.sh

.DEFAULT_GOAL := help
.PHONY: help build demo test bench lint golden soak fuzz clean-demo toolchain

help: ## this list
	@echo "Plyos: whole systems as layers. Targets:"
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust (rustup), then run make again" >&2; exit 1; }
	@$(PACKAGES) cc=build-essential

build: toolchain ## the two programs: target/release/plyos and target/release/pkg
	$(CARGO) build --release --locked -p plyos-cli -p plyos-pkg

demo: build ## the whole story on real input: publish, install, upgrade, roll back, export
	@tests/demo/demo.sh

test: build ## all tests: unit, golden files, architecture, whole system with GNU tar, zstd and skopeo
	@$(PACKAGES) git=git zstd=zstd tar=tar skopeo=skopeo getfattr=attr
	$(CARGO) test --workspace --locked --quiet

bench: build ## figures beside tar, zstd and casync -> target/bench/performance.md (ROUNDS=3, PLYOS_CORPUS=DIR)
	corpus=$$(tests/setup/bench.sh) && PLYOS_CORPUS="$$corpus" ROUNDS=$(ROUNDS) \
	  $(CARGO) run --release --locked --quiet -p plyos-test-bench

lint: toolchain ## format, clippy, no_std of the pure cores, shell scripts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	tests/nostd/check.sh
	@if command -v shellcheck >/dev/null; then shellcheck -x .ci/run $$(find tests -name "*.sh"); \
	  else echo "shellcheck is not installed: scripts not checked"; fi

golden: toolchain ## writes the golden files again; look at the difference before you commit it
	$(CARGO) run --locked --quiet -p plyos-test-golden
	@git --no-pager diff --stat -- tests/golden

fuzz: toolchain ## coverage-guided fuzzing of every parser, a minute each (SECONDS_EACH=60); needs a nightly toolchain
	tests/fuzz/run.sh

soak: toolchain ## power cuts for as long as you give it (SOAK=600 seconds; PLYOS_CRASH_SEED repeats a run)
	PLYOS_SOAK_SECONDS=$(SOAK) $(CARGO) test --locked --quiet -p plyos-storefile --test power_cut a_cut_anywhere

clean-demo: ## forgets the demo's downloaded input (.cache/demo)
	rm -rf .cache/demo
