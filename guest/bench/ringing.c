/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a doorbell costs the VM that rings it, on several devices in
 * turn.  Each device knows a different number of peers.
 *
 * Device N, from 0, is at BOARD_SHM_REGISTERS less N * REGISTERS_STEP, with its
 * memory at BOARD_SHM_MEMORY plus N * BOARD_SHM_BYTES.  There the host has
 * written before the VM started, as little-endian 32-bit words:
 *
 *     0     peers   how many to ring: those with the IDs from 0 up
 *     1     more    1: device N + 1 is there, too
 *
 * Says a line for each turn of each device, N,
 *
 *     ringing: device=N rings=RINGS same=TICKS all=TICKS
 *
 * where TICKS are those of board_ticks() that it took to ring RINGS times: the
 * peer with the highest ID, or all in turn.  Then it says "ringing: done".
 */

#include "board.h"
#include "console.h"
#include "ivshmem-flat.h"

#define DEVICES_MAX 4u
#define REGISTERS_STEP 0x1000u

#define PEERS_MAX 0x10000u
#define RINGS 500u
#define TURNS 60u

struct device {
    struct ivshmem_flat shm;
    uint16_t last; /* the highest ID */
    uint16_t next; /* to be rung, of all */
    uint32_t same_ticks[TURNS];
    uint32_t all_ticks[TURNS];
};

static struct device devices[DEVICES_MAX];

static uint32_t ring_same(const struct device *device)
{
    uint32_t start = board_ticks();

    for (unsigned i = 0; i < RINGS; i++) {
        ivshmem_flat_ring(&device->shm, device->last, 0);
    }
    return board_ticks() - start;
}

static uint32_t ring_all(struct device *device)
{
    uint32_t start = board_ticks();

    for (unsigned i = 0; i < RINGS; i++) {
        ivshmem_flat_ring(&device->shm, device->next, 0);
        device->next = device->next == device->last ? 0 :
                       (uint16_t)(device->next + 1);
    }
    return board_ticks() - start;
}

/* Returns how many devices there are.  Halts where one is not as described. */
static unsigned find_devices(void)
{
    for (unsigned n = 0; n < DEVICES_MAX; n++) {
        struct ivshmem_flat *shm = &devices[n].shm;
        const uint32_t *words;
        uint32_t peers;

        ivshmem_flat_map(shm, BOARD_SHM_REGISTERS - n * REGISTERS_STEP,
                         BOARD_SHM_MEMORY + n * BOARD_SHM_BYTES,
                         BOARD_SHM_BYTES);
        words = ivshmem_flat_at(shm, 0, 2 * sizeof(*words));
        peers = ivshmem_flat_load32(&words[0]);
        if (peers < 1 || peers > PEERS_MAX) {
            print("ringing: FAILED device %u has %u peers, must be 1 to "
                  "%u\n", n, (unsigned)peers, PEERS_MAX);
            halt();
        }
        devices[n].last = (uint16_t)(peers - 1);
        if (!ivshmem_flat_load32(&words[1])) {
            return n + 1;
        }
    }
    return DEVICES_MAX;
}

int main(void)
{
    unsigned count = find_devices();

    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned n = 0; n < count; n++) {
            devices[n].same_ticks[turn] = ring_same(&devices[n]);
            devices[n].all_ticks[turn] = ring_all(&devices[n]);
        }
    }

    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned n = 0; n < count; n++) {
            print("ringing: device=%u rings=%u same=%u all=%u\n", n, RINGS,
                  (unsigned)devices[n].same_ticks[turn],
                  (unsigned)devices[n].all_ticks[turn]);
        }
    }
    print("ringing: done\n");
    return 0;
}
