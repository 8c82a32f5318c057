/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_MAPPING_H
#define IVSHMEMD_MAPPING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The shared memory in this process's address space */
typedef struct Mapping {
    uint8_t *bytes;
    uint64_t size;
} Mapping;

/*
 * Map all of the memory @fd. From then on a SIGBUS, which the kernel sends where the
 * memory was cut off or its file system is full, ends the process with a message and
 * the status @failure.
 */
bool mapping_init(Mapping *mapping, int fd, int failure, GError **error);
void mapping_clear(Mapping *mapping);

/*
 * A word of 4 bytes at a multiple of 4, which other CPUs and processes see whole. Its
 * bytes are little-endian, or else big-endian.
 */
uint32_t mapping_load(const Mapping *mapping, uint64_t offset, bool big_endian);
void mapping_store(Mapping *mapping, uint64_t offset, uint32_t value, bool big_endian);

#endif
