# SPDX-License-Identifier: Apache-2.0
#
# The driver's version, as its header has it: 100 * major + minor

NUMBER := $(shell sed -n 's/^\#define IVSHMEM_FLAT_DRIVER_VERSION //p' $(GUEST)/ivshmem-flat.h)
VERSION := $(shell echo $$(($(NUMBER) / 100)).$$(($(NUMBER) % 100)))
