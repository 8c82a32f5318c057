/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_REPORT_H
#define IVSHMEMD_REPORT_H

#include <json-glib/json-glib.h>

#include "server.h"

/* Add one value to @builder: all channels with their sockets and peers. */
void report_list(const Server *server, JsonBuilder *builder);

/* Add one value: the program and the number of reloads. */
void report_status(const Server *server, unsigned generation, JsonBuilder *builder);

#endif
