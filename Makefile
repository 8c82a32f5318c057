# SPDX-License-Identifier: GPL-2.0-or-later
#
# All commands of this repository; 'make' alone lists them.

# Targets share one build and one package manager.
.NOTPARALLEL:

.PHONY: help deps server install uninstall qemu docs patches firmware linux linux-library zephyr deb \
	demo demo-linux demo-rpmsg check check-qtest check-guest check-docs check-server check-system \
	check-zephyr check-style check-soak check-sanitized check-all check-deb bench clean distclean

# Of Debian, for check-all
RELEASES := bookworm trixie sid

# Shell: have this QEMU, and tell the programs that follow which one it is
with = QEMU_BUILD=$$($(1)) && export QEMU_BUILD

help: ## list the targets
	@echo "usage: make TARGET [VARIABLE=VALUE...]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  TARGETS=\"NAME...\"  QEMU targets to build and test: arm (the default), riscv32, sparc;"
	@echo "                     others have no firmware here"
	@echo "  QEMU=RELEASE       the Debian release whose QEMU to build and use: trixie (10.0, the"
	@echo "                     default), bookworm (7.2) or sid (the newest); stock: Debian's own"
	@echo "                     program, which loads the device and has no qtests"
	@echo "  QEMU_SRC=DIR       your own QEMU tree instead: 7.2, or 10.0 or newer; for patches, a"
	@echo "                     git checkout"
	@echo "  LINUX_KERNEL=DIR   your arm64 kernel, unpacked with dpkg -x, instead of Debian's"
	@echo "  DEBIAN_MIRROR=URL  where to fetch from, instead of the mirror of this machine's apt"
	@echo "  PREFIX=DIR         where to install, instead of /usr/local; DESTDIR=DIR goes before it"
	@echo "  SUITE=RELEASE      of Debian, for check-deb: bookworm or trixie"
	@echo "  NO_INSTALL=1       name missing Debian packages and stop, instead of installing them"
	@echo "  ZEPHYR_BASE=DIR    a Zephyr tree, for zephyr, demo-rpmsg, check-zephyr and check"
	@echo "  ZEPHYR_MODULES=DIR where CMSIS is, if not where west puts it"
	@echo "  SECONDS=N          how long check-soak runs, instead of 60"
	@echo "  SEED=N             repeat the run of check-soak that printed this seed"
	@echo "  BENCH=\"NAME...\"    what bench measures; bench/run --list prints the names"
	@echo "  ROUNDS=N           how many samples bench takes of each"
	@echo "  FUZZ_SECONDS=N     let each fuzzer run for N seconds"
	@echo "  FUZZ_SEED=SEED     repeat the run of a fuzzer that printed this random seed"
	@echo "  TIMELINE=1         demo: also draw a timeline, in build/timeline/"
	@echo "  V=1                show the whole output of each step"
	@echo
	@echo "Debian packages that are missing are installed when a target needs them."

deps: ## install the Debian packages that any target needs, at once
	@scripts/install-packages --all

server: ## build the server, ivshmemd, and ivshmemctl: build/server/
	@scripts/build-server >/dev/null

install: ## install what has been built, and name what has not; 'make uninstall' removes it
	@scripts/install

uninstall: ## remove what 'make install' installed, with the same PREFIX and DESTDIR
	@scripts/install --uninstall

qemu: ## build QEMU with the device in it: build/qemu-VERSION/
	@scripts/build-qemu >/dev/null

docs: ## build the manual as HTML and as a man page: build/docs/
	@scripts/install-packages docs
	@sphinx-build -q -W --keep-going -b html -d build/docs/doctrees docs build/docs/html
	@sphinx-build -q -W --keep-going -b man -d build/docs/doctrees docs build/docs/man
	@echo "build/docs/html/index.html"

patches: ## make a patch series for QEMU's source: build/patches/
	@scripts/make-patches

firmware: ## build the demo's and the tests' firmware: build/firmware/
	@scripts/build-firmware

linux: ## build a tiny Linux guest for the PCI device: build/linux/
	@scripts/build-linux

linux-library: ## build the library and the command 'ivshmem' for Linux on this CPU, to install
	@scripts/install-packages linux-library
	@$(MAKE) --silent -C guest/linux OUT='$(CURDIR)/build/linux-library' library

zephyr: ## build Zephyr programs with the module in zephyr/: build/zephyr/
	@scripts/build-zephyr

deb: ## make Debian packages for this release of Debian: build/deb/
	@scripts/build-deb

demo: ## two boards share memory and ring each other's doorbells
	@$(if $(TIMELINE),scripts/install-packages timeline &&) \
		$(call with,scripts/ensure-qemu) && scripts/build-server >/dev/null && \
		scripts/build-firmware demo && \
		scripts/demo $(if $(TIMELINE),--timeline build/timeline)

demo-linux: ## the same, between a board and Linux with the PCI device
	@$(call with,scripts/ensure-qemu) && scripts/build-server >/dev/null && \
		scripts/build-firmware demo && scripts/build-linux && scripts/demo mps2-an385 linux

demo-rpmsg: ## Linux and Zephyr exchange 10,000 RPMsg messages; needs ZEPHYR_BASE
	@$(call with,scripts/ensure-qemu) && scripts/build-server >/dev/null && \
		scripts/build-linux && scripts/build-zephyr && scripts/demo-rpmsg

check: $(if $(ZEPHYR_BASE),zephyr) server firmware linux ## run all tests: check-style, -guest, -docs, -server, -qtest, -system, -zephyr
	@scripts/run-tests style guest docs server $(if $(filter stock,$(QEMU)),,qtest) system zephyr

check-style: ## check style, types, spelling, licences, and names of files in texts
	@scripts/install-packages style tests
	@/usr/bin/python3 -m pytest --quiet tests/style

check-guest: ## test the firmware's headers on the host
	@scripts/install-packages guest tests
	@/usr/bin/python3 -m pytest --quiet tests/guest

check-docs: server firmware ## run the commands and programs of README and manual
	@scripts/run-tests docs

check-qtest: ## test the device within QEMU's own test framework
	@scripts/run-tests qtest

check-server: server firmware linux ## test the server, by its unit tests and over real sockets
	@scripts/run-tests server

check-system: server firmware linux ## test whole virtual machines that run the firmware
	@scripts/run-tests system

check-zephyr: zephyr server firmware linux ## test Zephyr with the module; needs ZEPHYR_BASE
	@scripts/run-tests zephyr

check-soak: server firmware ## for a minute each, boards ring each other at random, and servers are killed
	@scripts/install-packages tests
	@$(call with,scripts/build-qemu) && \
		scripts/soak --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))
	@CHAOS_SECONDS=$(or $(SECONDS),60) CHAOS_SEED=$(SEED) /usr/bin/python3 -m pytest \
		--quiet -p no:timeout tests/server/test_chaos.py

check-sanitized: firmware linux ## run our tests with sanitizers in QEMU and server
	@scripts/run-tests --sanitized server qtest system

check-all: $(if $(ZEPHYR_BASE),zephyr) server firmware linux ## run check on the QEMU of each Debian release: 7.2, 10.0, the newest
	@scripts/run-tests --all "$(RELEASES)" style guest docs server qtest system zephyr

check-deb: ## make, install, try and remove them on a fresh Debian SUITE; as root
	@scripts/check-deb $(SUITE)

bench: server firmware linux ## measure the device and compare it: bench/README.md
	@scripts/install-packages bench
	@$(call with,scripts/build-qemu) && bench/build-reference && \
		bench/run $(if $(ROUNDS),--rounds $(ROUNDS)) $(BENCH)

clean: ## remove build/
	rm -rf build

distclean: clean ## also remove the cache: sources of QEMU and Linux, compiler results
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/ivshmem-flat"
