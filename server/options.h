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
    bool any_socket;        /* no socket was named: one that is handed over will do */
    SandboxMode sandbox;
    Settings *settings;     /* of the command line; NULL with @config */
    char *control;          /* path of the control socket; NULL: not given */
} Options;

/* Parse @argv, which stays. --help is printed here, and ends the process. */
Options *options_parse(char **argv, GError **error);
void options_free(Options *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, options_free)

/* The settings now: of the command line, or read from the file anew. */
Settings *options_settings(const Options *options, GError **error);

#endif
