/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_SIZE_H
#define IVSHMEMD_SIZE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The largest shared memory in bytes: the kernel's limit for a file */
#define SIZE_LARGEST (UINT64_C(1) << 62)

/*
 * Parse a size such as 4194304, 0x400000, 4096K, 4M or 1.5G into bytes, 1 to
 * SIZE_LARGEST. Fails on anything else.
 */
bool size_parse(const char *text, uint64_t *bytes, GError **error);

/*
 * Round @bytes, at most SIZE_LARGEST, up to a power of two that is at least @page, also
 * a power of two.
 */
uint64_t size_round_up(uint64_t bytes, uint64_t page);

/*
 * @bytes in a form that people and size_parse() understand, such as 4M. The caller
 * frees it.
 */
char *size_format(uint64_t bytes);

#endif
