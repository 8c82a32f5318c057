/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CONFIGURATION_H
#define IVSHMEMD_CONFIGURATION_H

#include "settings.h"

/*
 * Read the file at @path into new settings. An error names the file and the line,
 * and the key if it is about one, and says what is allowed.
 */
Settings *configuration_read(const char *path, GError **error);

/* The same for @text; @path is only named. */
Settings *configuration_parse(const char *path, const char *text, GError **error);

#endif
