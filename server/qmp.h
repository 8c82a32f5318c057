/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_QMP_H
#define IVSHMEMD_QMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A QEMU whose ivshmem-flat devices are asked for their counts over QMP */
typedef struct Qmp Qmp;

typedef struct QmpDevice {
    unsigned id;            /* the device's ID at its server */
    uint64_t doorbells;     /* rung by its guest */
    uint64_t interrupts;    /* received by its guest */
} QmpDevice;

/*
 * Connect to the QMP socket at @path, from -qmp unix:PATH,server=on,wait=off. NULL if
 * nothing there speaks QMP within 2 s. QEMU serves one client at a time.
 */
Qmp *qmp_new(const char *path, GError **error);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* The QEMU's process ID, or 0 if it is in another PID namespace */
int qmp_pid(const Qmp *qmp);

/*
 * The counts so far: QmpDevices. Finds devices made with -device, not those of board
 * code. NULL if QEMU hung up or did not answer within 2 s.
 */
GArray *qmp_devices(Qmp *qmp, GError **error);

#endif
