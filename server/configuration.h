/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CONFIGURATION_H
#define IVSHMEMD_CONFIGURATION_H

#include "settings.h"

/*
 * Read the file at @path into new settings. An error names the file, the line and, if
 * it is about one, the key, and says what is allowed.
 */
Settings *configuration_read(const char *path, GError **error);

/* The same for @text; @path is used only in errors. */
Settings *configuration_parse(const char *path, const char *text, GError **error);

#endif
