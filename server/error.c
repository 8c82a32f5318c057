/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors that a user reads are whole sentences, made where the values are known
 * and passed up unchanged: one domain, no codes.
 */
#include "error.h"

bool fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error) {
        g_assert(!*error);
        *error = g_error_new_valist(g_quark_from_static_string("ivshmemd"), 0,
                                    format, args);
    }
    va_end(args);
    return false;
}
