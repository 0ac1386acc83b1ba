# The front door: every routine of the project is one target here. `make` alone lists them.
# What a target needs from Debian it installs itself, and only what is missing (tests/setup/debian-packages.sh).

SHELL := /bin/bash
CARGO ?= cargo
ROUNDS ?= 3
SOAK ?= 600
PACKAGES := tests/setup/debian-packages.sh

.DEFAULT_GOAL := help
.PHONY: help build kernel demo vm test bench oracles lint golden soak mutants fuzz clean-demo toolchain

help: ## this list
	@echo "Plyos: whole systems as layers. Targets:"
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust (rustup), then run make again" >&2; exit 1; }
	@$(PACKAGES) cc=build-essential

build: toolchain ## the two programs: target/release/plyos and target/release/pkg
	$(CARGO) build --release --locked -p plyos-cli -p plyos-pkg

kernel: toolchain ## the kernel, alone: target/kernel/plyos-kernel (PLYOS_ROOTS=FILE builds pinned roots in)
	@CARGO=$(CARGO) tests/setup/kernel.sh
	@kernel/check.sh $${CARGO_TARGET_DIR:-target}/kernel/plyos-kernel

demo: build kernel ## the whole story on real input: publish, install, upgrade, roll back, export, boot
	@tests/demo/demo.sh

vm: build kernel ## a machine of our own kernel on this terminal, with the demo's generation (VM=microvm, DISK=FILE; Ctrl-A X leaves it)
	@$(PACKAGES) qemu-system-x86_64=qemu-system-x86
	@tests/demo/vm.sh

# Foreign readers of layers. Debian's python3-zstandard is for the system's python3, which need not be the first on the path.
READERS = zstd=zstd tar=tar skopeo=skopeo bsdtar=libarchive-tools buildah=buildah umoci=umoci docker-registry=docker-registry \
  podman=podman curl=curl python3=python3 $$(/usr/bin/python3 -c "import zstandard" 2>/dev/null || python3 -c "import zstandard" 2>/dev/null || echo python3-zstandard)

test: build kernel ## all tests: unit, golden files, architecture, whole system with GNU tar, zstd, skopeo, buildah and other readers
	@$(PACKAGES) $(READERS) qemu-system-x86_64=qemu-system-x86 qemu-img=qemu-utils git=git getfattr=attr strace=strace curl=curl nginx=nginx chromium=chromium \
	  $$(python3 -c "import ensurepip" 2>/dev/null || echo python3-venv) $$([ $$(id -u) -ne 0 ] || \
	  echo qemu-storage-daemon=qemu-system-common fusermount3=fuse3 mkfs.ext4=e2fsprogs mkfs.xfs=xfsprogs mkfs.btrfs=btrfs-progs)
	$(CARGO) test --locked --quiet

# Sections, for BENCH: push, install, sizes, missing (beside tar, zstd and casync); flip, mount, cleanup, verify, written,
# fragmentation (beside their bars; `written` needs root for a loop device, `fragmentation` takes a minute for 200 upgrade cycles);
# registry (beside docker-registry and nginx; seven minutes); kernel (beside Debian's, in QEMU).
bench: build kernel ## all figures -> target/bench/performance.md (ROUNDS=3, PLYOS_CORPUS=DIR; BENCH=registry, or flip,mount,live,export,cleanup,verify,written,fragmentation,push,install,sizes,missing,kernel)
	corpus=$$(tests/setup/bench.sh) && linux=$$(case ",$(BENCH)," in ,,|*,kernel,*) tests/setup/linux.sh ;; esac) && PLYOS_CORPUS="$$corpus" PLYOS_LINUX_DEB="$$linux" \
	  ROUNDS=$(ROUNDS) BENCH="$(BENCH)" $(CARGO) run --release --locked --quiet -p plyos-test-bench

oracles: build ## other people's readers over the whole corpus, entry by entry -> target/oracles.md (PLYOS_CORPUS=DIR; root sees owners)
	@$(PACKAGES) $(READERS)
	corpus=$$(tests/setup/bench.sh) && PLYOS_CORPUS="$$corpus" PLYOS_ORACLE_TABLE="$(CURDIR)/target/oracles.md" \
	  $(CARGO) test --locked --quiet -p plyos-test-system --test oracles -- --ignored --nocapture

lint: toolchain ## format, clippy, no_std of the pure cores, shell scripts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --locked --quiet -- -D warnings
	tests/nostd/check.sh
	$(CARGO) clippy --profile kernel --locked --quiet -p plyos-kernel -p plyos-kernel-machine -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck -x .ci/run kernel/check.sh $$(find tests -name "*.sh"); \
	  else echo "shellcheck is not installed: scripts not checked"; fi

golden: toolchain ## writes the golden files again; look at the difference before you commit it
	$(CARGO) run --locked --quiet -p plyos-test-golden
	@git --no-pager diff --stat -- tests/golden

fuzz: toolchain ## coverage-guided fuzzing of every parser, a minute each (SECONDS_EACH=60); needs a nightly toolchain
	tests/fuzz/run.sh

soak: toolchain ## power cuts for as long as you give it (SOAK=600 seconds; PLYOS_CRASH_SEED repeats a run)
	PLYOS_SOAK_SECONDS=$(SOAK) $(CARGO) test --locked --quiet -p plyos-storefile --test power_cut a_cut_anywhere

mutants: toolchain ## shows that the power-cut test sees mistakes: tests/mutants/*.patch, each made in a copy of the sources
	@$(PACKAGES) patch=patch
	@tests/mutants/run.sh

clean-demo: ## forgets the demo's downloaded input (.cache/demo)
	rm -rf .cache/demo
