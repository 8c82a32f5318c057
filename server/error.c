/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error messages are whole sentences for the user, written where the values are known
 * and passed up unchanged. There is one domain and no error code.
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
