/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_MAPPING_H
#define IVSHMEMD_MAPPING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The shared memory, mapped into this process */
typedef struct Mapping {
    uint8_t *bytes;
    uint64_t size;
} Mapping;

/*
 * Map all of the memory @fd. After that, SIGBUS ends the process with a message and the
 * status @failure. The kernel sends it if the memory was truncated or its file system
 * is full.
 */
bool mapping_init(Mapping *mapping, int fd, int failure, GError **error);
void mapping_clear(Mapping *mapping);

/*
 * An aligned 4-byte word, which other CPUs and processes see whole. It is little-endian
 * or, with @big_endian, big-endian.
 */
uint32_t mapping_load(const Mapping *mapping, uint64_t offset, bool big_endian);
void mapping_store(Mapping *mapping, uint64_t offset, uint32_t value, bool big_endian);

#endif
