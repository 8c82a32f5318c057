/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings whom the host tells it to ring.
 *
 * Shared memory, 32-bit words from its start, all zero at first:
 *
 *     0       command   number of the newest one, the host's last write
 *     1       done      number of the last one finished
 *     2       question  any number, from the host
 *     3       answer    its complement, written before done
 *     4       times     how often to ring the list; 0: until this is not 0
 *     5       rung      how often it was rung so far
 *     6       rings     how many doorbells there are in the list
 *     7...    the list: values to write to DOORBELL (peer << 16 | vector)
 *
 * Sleeps until a doorbell comes, then looks for a command.  Says
 * "ring-on-command: ready id=ID" once it is up.
 */

#include "board.h"
#include "console.h"
#include "doorbells.h"
#include "ivshmem-flat.h"

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

static void run(volatile struct order *host)
{
    for (uint32_t n = 1; host->times == 0 || n <= host->times; n++) {
        for (uint32_t i = 0; i < host->rings; i++) {
            uint32_t value = host->doorbell[i];

            ivshmem_flat_ring(&shm, value >> 16, value & 0xFFFF);
        }
        host->rung = n;
    }
    host->answer = ~host->question;
}

int main(void)
{
    volatile struct order *host = (volatile struct order *)BOARD_SHM_MEMORY;
    uint32_t last = 0;

    count_doorbells();
    print("ring-on-command: ready id=%u\n", (unsigned)ivshmem_flat_own_id(&shm));

    for (;;) {
        uint32_t seen = doorbells;
        uint32_t command = host->command;

        if (command != last) {
            ivshmem_flat_barrier();
            run(host);
            ivshmem_flat_barrier();
            host->done = last = command;
        } else {
            sleep_while(&doorbells, seen);
        }
    }
}
