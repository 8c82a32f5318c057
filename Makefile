# SPDX-License-Identifier: GPL-2.0-or-later
#
# The door to everything; 'make' alone lists it.

# Targets share one build and one package manager.
.NOTPARALLEL:

.PHONY: help qemu stock patches firmware linux zephyr demo demo-linux check check-qtest \
	check-system check-zephyr check-soak check-sanitized check-all bench clean distclean

# Of Debian, for check-all
RELEASES := bookworm trixie sid

help: ## list the targets
	@echo "usage: make TARGET [VARIABLE=VALUE...]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  TARGETS=\"NAME...\"  QEMU's targets to build and test: arm, if none is named; riscv32 and"
	@echo "                     sparc have firmware, too, others QEMU alone"
	@echo "  QEMU=RELEASE       the Debian release whose QEMU to build and use: trixie (10.0, if"
	@echo "                     none is named), bookworm (7.2) or sid (the newest to be had);"
	@echo "                     stock: the one that is installed, which has no qtests"
	@echo "  QEMU_SRC=DIR       a QEMU tree of yours instead: 7.2, or 10.0 or newer; for patches a"
	@echo "                     git checkout"
	@echo "  LINUX_KERNEL=DIR   an arm64 kernel of yours, unpacked with dpkg -x, instead of Debian's"
	@echo "  DEBIAN_MIRROR=URL  where to fetch Debian's, if not where this machine's apt does"
	@echo "  ZEPHYR_BASE=DIR    a Zephyr tree, for zephyr, check-zephyr and check"
	@echo "  ZEPHYR_MODULES=DIR where CMSIS is, if not where west puts it"
	@echo "  SECONDS=N          how long check-soak plays, instead of 60"
	@echo "  SEED=N             a seed that check-soak printed, to repeat that run"
	@echo "  BENCH=\"NAME...\"    what bench measures, of the names that bench/run --list tells"
	@echo "  ROUNDS=N           how many samples bench takes of each, instead of its own numbers"
	@echo "  FUZZ_SECONDS=N     let each fuzzer run for N seconds"
	@echo "  FUZZ_SEED=SEED     do what a fuzzer did that printed this random seed"
	@echo "  V=1                show all that each step prints"
	@echo
	@echo "Debian packages that are missing are installed when a target needs them."

qemu: ## build QEMU with the device in it: build/qemu-system-arm
	@scripts/build-qemu

stock: ## make Debian's own qemu-system-arm load the device: build/stock-qemu-system-arm
	@scripts/build-preload

patches: ## make the device a patch series for the source of a QEMU: build/patches/
	@scripts/make-patches

firmware: ## build the demo's and the tests' firmware: build/firmware/
	@scripts/install-packages $$($(MAKE) --silent --no-print-directory -C guest packages)
	@$(MAKE) --silent -C guest

linux: ## build a tiny Linux guest for the PCI device: build/linux/
	@scripts/build-linux

zephyr: ## build Zephyr programs with the module in zephyr/: build/zephyr/
	@scripts/build-zephyr

demo: firmware ## two boards share memory and ring each other's doorbells
	@scripts/ensure-qemu
	@scripts/run-locked --shared scripts/demo

demo-linux: firmware linux ## the same, between a board and Linux with the PCI device
	@scripts/ensure-qemu
	@scripts/run-locked --shared scripts/demo mps2-an385 linux

check: $(if $(ZEPHYR_BASE),zephyr) qemu firmware linux ## run all tests: check-qtest, check-system, check-zephyr
	@scripts/run-tests $(if $(filter stock,$(QEMU)),,qtest) system zephyr

check-qtest: qemu ## test the device within QEMU's own test framework
	@scripts/run-tests qtest

check-system: qemu firmware linux ## test whole virtual machines that run the firmware
	@scripts/run-tests system

check-zephyr: zephyr qemu firmware linux ## test Zephyr with the module; needs ZEPHYR_BASE
	@scripts/run-tests zephyr

check-soak: qemu firmware ## for a minute, boards ring each other at random and check all
	@scripts/run-locked --shared scripts/soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

check-sanitized: firmware linux ## run our tests with sanitizers in QEMU: no bad access, no leak
	@scripts/run-tests --sanitized qtest system

check-all: $(if $(ZEPHYR_BASE),zephyr) firmware linux ## run check on the QEMU of each Debian release: 7.2, 10.0, the newest
	@scripts/run-tests --all "$(RELEASES)" qtest system zephyr

bench: qemu firmware linux ## measure the device beside what else there is: bench/README.md
	@scripts/install-packages gcc libc6-dev python3-matplotlib
	@scripts/run-locked --shared bench/build-reference
	@scripts/run-locked --shared bench/run $(if $(ROUNDS),--rounds $(ROUNDS)) $(BENCH)

clean: ## remove build/
	rm -rf build

distclean: clean ## remove the cache, too: QEMU's source and builds, Linux
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/ivshmem-flat"
