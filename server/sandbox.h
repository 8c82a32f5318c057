/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_SANDBOX_H
#define IVSHMEMD_SANDBOX_H

#include <glib.h>
#include <stdbool.h>

typedef enum SandboxMode {
    SANDBOX_ON,         /* other system calls fail with ENOSYS and are audited */
    SANDBOX_KILL,       /* other system calls end the process: for tests */
    SANDBOX_OFF,
} SandboxMode;

/* Prevent this process, and any program it executes, from gaining privileges. */
bool sandbox_renounce_privileges(GError **error);

/* Allow only the system calls that ivshmemd uses. SANDBOX_OFF does nothing. */
bool sandbox_enter(SandboxMode mode, GError **error);

#endif
