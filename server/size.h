/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_SIZE_H
#define IVSHMEMD_SIZE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The largest size of shared memory, in bytes: the kernel's for a file */
#define SIZE_LARGEST (UINT64_C(1) << 62)

/*
 * Parse a size like 4194304, 0x400000, 4096K, 4M or 1.5G into bytes, from 1 to
 * SIZE_LARGEST. Fails on anything else.
 */
bool size_parse(const char *text, uint64_t *bytes, GError **error);

/*
 * Round @bytes, at most SIZE_LARGEST, up to a power of two of at least @page
 * bytes, which is a power of two itself.
 */
uint64_t size_round_up(uint64_t bytes, uint64_t page);

/*
 * The way to write @bytes that size_parse() understands and people read, like
 * 4M. Free the result.
 */
char *size_format(uint64_t bytes);

#endif
