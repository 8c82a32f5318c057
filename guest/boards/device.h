/* SPDX-License-Identifier: Apache-2.0 */
/* The board's device, with its doorbells counted. */

#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>
#include "ivshmem-flat.h"

extern struct ivshmem_flat shm;

/* Heard so far, modulo 2^32.  The interrupt handler changes it. */
extern volatile uint32_t doorbells;

/* Maps the device where board.h says. */
void map_device(void);

/* The same; if there is none, says so and halts. */
void find_device(void);

/* Begins to count the doorbells of the device, which is mapped. */
void count_doorbells(void);

/* The same, with vector 0 on another interrupt line than board.h says. */
void count_doorbells_on(unsigned line);

#endif /* DEVICE_H */
