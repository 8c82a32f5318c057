/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings the peers that the host names.
 *
 * Shared memory, little-endian 32-bit words from its start, all zero at first:
 *
 *     0       command   number of the newest one, the host's last write
 *     1       done      number of the last one finished
 *     2       question  any number, from the host
 *     3       answer    its complement, written before done
 *     4       times     how many times to ring the list; 0: until this is not 0
 *     5       rung      how many times it was rung so far
 *     6       rings     how many doorbells there are in the list
 *     7...    the list: values to write to DOORBELL (peer << 16 | vector)
 *
 * Sleeps until a doorbell arrives, then looks for a command.  Says
 * "ring-on-command: ready id=ID" once it is up.
 */

#include <stdbool.h>

#include "board.h"
#include "console.h"
#include "device.h"

struct order {
    uint32_t command;
    uint32_t done;
    uint32_t question;
    uint32_t answer;
    uint32_t times;
    uint32_t rung;
    uint32_t rings;
    uint32_t doorbell[];
};

/* Whether to ring the list for the n-th time. */
static bool goes_on(const struct order *host, uint32_t n)
{
    uint32_t times = ivshmem_flat_load32(&host->times);

    return times == 0 || n <= times;
}

static void run(struct order *host)
{
    uint32_t rings = ivshmem_flat_load32(&host->rings);

    for (uint32_t n = 1; goes_on(host, n); n++) {
        for (uint32_t i = 0; i < rings; i++) {
            uint32_t value = ivshmem_flat_load32(&host->doorbell[i]);

            ivshmem_flat_ring(&shm, (uint16_t)(value >> 16), (uint16_t)value);
        }
        ivshmem_flat_store32(&host->rung, n);
    }
    ivshmem_flat_store32(&host->answer,
                         ~ivshmem_flat_load32(&host->question));
}

int main(void)
{
    struct order *host = (struct order *)BOARD_SHM_MEMORY;
    uint32_t last = 0;

    find_device();
    count_doorbells();
    print("ring-on-command: ready id=%u\n", ivshmem_flat_own_id(&shm));

    for (;;) {
        uint32_t seen = doorbells;
        uint32_t command = ivshmem_flat_load32(&host->command);

        if (command != last) {
            run(host);
            last = command;
            ivshmem_flat_store32(&host->done, last);
        } else {
            sleep_while(&doorbells, seen);
        }
    }
}
