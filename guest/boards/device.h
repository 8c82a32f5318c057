/* SPDX-License-Identifier: Apache-2.0 */
/* The board's device, with its doorbells counted. */

#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>
#include "ivshmem-flat.h"

extern struct ivshmem_flat shm;

/* Doorbells received so far, modulo 2^32.  The interrupt handler counts them. */
extern volatile uint32_t doorbells;

/* Maps the device at the addresses in board.h. */
void map_device(void);

/* Maps the device.  If there is none, prints a message and halts. */
void find_device(void);

/* Starts counting doorbells.  The device must be mapped. */
void count_doorbells(void);

/* The same, with vector 0 on this line instead of the one in board.h. */
void count_doorbells_on(unsigned line);

#endif /* DEVICE_H */
