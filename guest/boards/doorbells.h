/* SPDX-License-Identifier: Apache-2.0 */
/* The board's device, with its doorbells counted. */

#ifndef DOORBELLS_H
#define DOORBELLS_H

#include <stdint.h>
#include "ivshmem-flat.h"

extern struct ivshmem_flat shm;

/* Heard so far, modulo 2^32.  The interrupt handler changes it. */
extern volatile uint32_t doorbells;

/* Maps the device where board.h says, and begins to count. */
void count_doorbells(void);

#endif /* DOORBELLS_H */
