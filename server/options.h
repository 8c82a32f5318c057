/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_OPTIONS_H
#define IVSHMEMD_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

#include "sandbox.h"
#include "settings.h"

/* The command line */
typedef struct Options {
    char *config;           /* path of the configuration file; NULL: none */
    char *pid_file;         /* NULL: none */
    bool daemon;
    bool verbose;
    bool version;           /* only print the version */
    bool any_socket;        /* no socket was named: use any that is handed over */
    SandboxMode sandbox;
    Settings *settings;     /* from the command line; NULL with @config */
    char *control;          /* path of the control socket; NULL: not given */
} Options;

/* Parse @argv, which must stay valid. --help prints its text and exits. */
Options *options_parse(char **argv, GError **error);
void options_free(Options *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, options_free)

/* The current settings: from the command line, or read again from the file. */
Settings *options_settings(const Options *options, GError **error);

#endif
