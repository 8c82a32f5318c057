# SPDX-License-Identifier: GPL-2.0-or-later
#
# All commands of this repository; 'make' alone lists them.

# Targets share one build and one package manager.
.NOTPARALLEL:

.PHONY: help deps server install uninstall qemu docs patches firmware linux linux-library zephyr deb \
	demo demo-linux demo-rpmsg check check-qtest check-guest check-docs check-server check-system \
	check-zephyr check-style check-soak check-sanitized check-all check-deb bench clean distclean

# Debian releases for check-all
RELEASES := bookworm trixie sid

# Shell: get the directory of this QEMU from a script, and export it to later commands
with = QEMU_BUILD=$$($(1)) && export QEMU_BUILD
# Shell: install what draws a timeline; pass the option for one
drawing = $(if $(TIMELINE),scripts/install-packages timeline &&)
timeline = $(if $(TIMELINE),--timeline build/timeline)

help: ## list the targets
	@echo "usage: make TARGET [VARIABLE=VALUE...]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  TARGETS=\"NAME...\"  QEMU targets to build and test: arm (default), riscv32, sparc;"
	@echo "                     there is no firmware for others"
	@echo "  QEMU=RELEASE       build and use the QEMU of this Debian release: trixie (10.0, the"
	@echo "                     default), bookworm (7.2) or sid (the newest); stock: load the"
	@echo "                     device into Debian's own QEMU, which has no qtests"
	@echo "  QEMU_SRC=DIR       use your own QEMU tree, 7.2, or 10.0 or newer; for patches it must"
	@echo "                     be a git checkout"
	@echo "  LINUX_KERNEL=DIR   use this unpacked arm64 kernel package (dpkg -x), not Debian's"
	@echo "  DEBIAN_MIRROR=URL  Debian mirror to use, instead of the one in apt's configuration"
	@echo "  PREFIX=DIR         where to install, instead of /usr/local; DESTDIR is supported"
	@echo "  SUITE=RELEASE      Debian release for check-deb: bookworm or trixie"
	@echo "  NO_INSTALL=1       list missing Debian packages and stop, instead of installing them"
	@echo "  ZEPHYR_BASE=DIR    Zephyr tree for zephyr, demo-rpmsg, check-zephyr and check"
	@echo "  ZEPHYR_MODULES=DIR where CMSIS is, if not where west puts it"
	@echo "  SECONDS=N          duration of each part of check-soak, instead of 60"
	@echo "  SEED=N             repeat the run of check-soak that printed this seed"
	@echo "  BENCH=\"NAME...\"    measurements that bench runs; bench/run --list prints their names"
	@echo "  ROUNDS=N           number of samples that bench takes of each measurement"
	@echo "  FUZZ_SECONDS=N     run each fuzzer for N seconds"
	@echo "  FUZZ_SEED=SEED     repeat the run of a fuzzer that printed this seed"
	@echo "  TIMELINE=1         also draw a timeline of demo or demo-linux, in build/timeline/"
	@echo "  V=1                show all output of each step"
	@echo
	@echo "Each target installs the missing Debian packages that it needs."

deps: ## install all Debian packages that the targets need
	@scripts/install-packages --all

server: ## build ivshmemd and ivshmemctl: build/server/
	@scripts/build-server >/dev/null

install: ## install what has been built, and list what has not
	@scripts/install

uninstall: ## remove what 'make install' installed; needs the same PREFIX and DESTDIR
	@scripts/install --uninstall

qemu: ## build QEMU with the device: build/qemu-VERSION/
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

linux: ## build a small Linux guest for the PCI device: build/linux/
	@scripts/build-linux

linux-library: ## build the Linux guest library and command 'ivshmem' for this CPU
	@scripts/install-packages linux-library
	@$(MAKE) --silent -C guest/linux OUT='$(CURDIR)/build/linux-library' library

zephyr: ## build Zephyr programs with the module in zephyr/: build/zephyr/
	@scripts/build-zephyr

deb: ## build Debian packages for this release of Debian: build/deb/
	@scripts/build-deb

demo: ## run two boards that share memory and ring each other's doorbells
	@$(drawing) $(call with,scripts/ensure-qemu) && scripts/build-server >/dev/null && \
		scripts/build-firmware demo && scripts/demo $(timeline)

demo-linux: ## run the demo with a board and Linux, which has the PCI device
	@$(drawing) $(call with,scripts/ensure-qemu) && scripts/build-server >/dev/null && \
		scripts/build-firmware demo && scripts/build-linux && \
		scripts/demo $(timeline) mps2-an385 linux

demo-rpmsg: ## exchange 10,000 RPMsg messages between Linux and Zephyr; needs ZEPHYR_BASE
	@scripts/build-zephyr mps2-an385/rpmsg_echo_remote && \
		$(call with,scripts/ensure-qemu) && scripts/build-server >/dev/null && \
		scripts/build-linux && scripts/demo-rpmsg

check: $(if $(ZEPHYR_BASE),zephyr) server firmware linux ## run all tests: check-style, -guest, -docs, -server, -qtest, -system, -zephyr
	@scripts/run-tests style guest docs server $(if $(filter stock,$(QEMU)),,qtest) system zephyr

check-style: ## check style, types, spelling, licenses and mentioned file names
	@scripts/install-packages style tests
	@scripts/qemu-source >/dev/null && /usr/bin/python3 -m pytest --quiet tests/style

check-guest: ## test the firmware's headers on the host
	@scripts/install-packages guest tests
	@/usr/bin/python3 -m pytest --quiet tests/guest

check-docs: server firmware ## run the commands and programs in the README and the manual
	@scripts/run-tests docs

check-qtest: ## test the device in QEMU's own test framework
	@scripts/run-tests qtest

check-server: server firmware linux ## test the server: unit tests, and tests over real sockets
	@scripts/run-tests server

check-system: server firmware linux ## test whole virtual machines with real firmware
	@scripts/run-tests system

check-zephyr: zephyr server firmware linux ## test Zephyr with the module; needs ZEPHYR_BASE
	@scripts/run-tests zephyr

check-soak: server firmware ## let boards ring each other at random, then kill servers; a minute each
	@scripts/install-packages tests
	@$(call with,scripts/build-qemu) && \
		scripts/soak --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))
	@CHAOS_SECONDS=$(or $(SECONDS),60) CHAOS_SEED=$(SEED) /usr/bin/python3 -m pytest \
		--quiet --timeout=0 tests/server/test_chaos.py

check-sanitized: firmware linux ## run the tests with sanitizers in QEMU and the server
	@scripts/run-tests --sanitized server qtest system

check-all: $(if $(ZEPHYR_BASE),zephyr) server firmware linux ## run check with the QEMU of each Debian release: 7.2, 10.0, the newest
	@scripts/run-tests --all "$(RELEASES)" style guest docs server qtest system zephyr

check-deb: ## build, install, test and remove packages on a fresh Debian SUITE; as root
	@scripts/check-deb $(SUITE)

bench: server firmware linux ## run the benchmark: see bench/README.md
	@scripts/install-packages bench
	@$(call with,scripts/build-qemu) && bench/build-reference && \
		bench/run $(if $(ROUNDS),--rounds $(ROUNDS)) $(BENCH)

clean: ## remove build/
	rm -rf build

distclean: clean ## also remove the cache of sources and compiler results
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/ivshmem-flat"
