/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_QMP_H
#define IVSHMEMD_QMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A QEMU that is asked for what its ivshmem-flat devices have counted, over QMP */
typedef struct Qmp Qmp;

typedef struct QmpDevice {
    unsigned id;            /* the device's, at its server */
    uint64_t doorbells;     /* that its guest rang */
    uint64_t interrupts;    /* that its guest got */
} QmpDevice;

/*
 * Connect to the QMP socket at @path, of a -qmp unix:PATH,server=on,wait=off. NULL if
 * nothing there speaks QMP within 2 s: QEMU serves one client at a time.
 */
Qmp *qmp_new(const char *path, GError **error);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* The QEMU's, or 0 where it is of another PID namespace */
int qmp_pid(const Qmp *qmp);

/*
 * What they have counted so far: QmpDevices. Those that -device made are found, not
 * those of board code. NULL if QEMU hung up, or did not answer within 2 s.
 */
GArray *qmp_devices(Qmp *qmp, GError **error);

#endif
