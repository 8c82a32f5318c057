/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_ERROR_H
#define IVSHMEMD_ERROR_H

#include <glib.h>
#include <stdbool.h>

/*
 * Set @error, in the domain "ivshmemd", to a message that says what was wrong, with the
 * value, and what to do. Always returns false.
 */
bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
