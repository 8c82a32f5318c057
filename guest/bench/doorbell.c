/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures how long a doorbell takes to another board and back.
 *
 * Shared memory, little-endian 32-bit words from its start, from the host:
 *
 *     0       caller    the ID that calls, and takes the time
 *     1       answerer  the ID that answers each doorbell with one
 *     2       sleeps    whether to wait for a doorbell asleep, or busy
 *     3       ticks     how long to measure, in ticks of BOARD_TICKS_HZ
 *     4       go        written last, when the answerer has said that it is
 *                       ready
 *
 * Says "doorbell: ready id=ID" once it is up.  The caller says at the end
 * "doorbell: trips=N ticks=T", and "doorbell: fastest trips=N ticks=T" of
 * those in a row that took the least time.
 */

#include "board.h"
#include "console.h"
#include "device.h"

struct orders {
    uint32_t caller;
    uint32_t answerer;
    uint32_t sleeps;
    uint32_t ticks;
    uint32_t go;
};

/*
 * Between two looks at the time.  Few, so that some are not interrupted even on
 * a busy host.
 */
#define TRIPS 4u

#define CALL_AGAIN_TICKS (BOARD_TICKS_HZ / 50)
#define WARM_UP_TICKS (BOARD_TICKS_HZ / 20)

/* Waits for more doorbells than these, and returns how many there are. */
static uint32_t wait_for_doorbell(uint32_t seen, uint32_t sleeps)
{
    while (doorbells == seen) {
        if (sleeps) {
            sleep_while(&doorbells, seen);
        }
    }
    return doorbells;
}

static void answer(uint16_t caller, uint32_t sleeps)
{
    uint32_t seen = 0;

    for (;;) {
        seen = wait_for_doorbell(seen, sleeps);
        ivshmem_flat_ring(&shm, caller, 0);
    }
}

/*
 * Calls until there is an answer, since one of the two may not know the other
 * yet, and then until no further answer comes.
 */
static void find(uint16_t answerer)
{
    uint32_t seen, start;

    do {
        seen = doorbells;
        ivshmem_flat_ring(&shm, answerer, 0);
        start = board_ticks();
        while (doorbells == seen && board_ticks() - start < CALL_AGAIN_TICKS) {
        }
    } while (doorbells == seen);

    do {
        seen = doorbells;
        start = board_ticks();
        while (board_ticks() - start < CALL_AGAIN_TICKS) {
        }
    } while (doorbells != seen);
}

struct result {
    uint32_t trips;
    uint32_t ticks;
    uint32_t fastest; /* of TRIPS in a row: ticks */
};

/* Makes trips for at least this many ticks. */
static struct result call(uint16_t answerer, uint32_t sleeps, uint32_t least)
{
    struct result result = { .fastest = UINT32_MAX };
    uint32_t before = board_ticks(), seen = doorbells;

    do {
        uint32_t now;

        for (unsigned i = 0; i < TRIPS; i++) {
            ivshmem_flat_ring(&shm, answerer, 0);
            seen = wait_for_doorbell(seen, sleeps);
        }
        now = board_ticks();
        if (now - before < result.fastest) {
            result.fastest = now - before;
        }
        result.trips += TRIPS;
        result.ticks += now - before;
        before = now;
    } while (result.ticks < least);
    return result;
}

/* An ID that the host has written. */
static uint16_t load_id(const uint32_t *word)
{
    uint32_t id = ivshmem_flat_load32(word);

    if (id > UINT16_MAX) {
        print("doorbell: FAILED the host gives %u as an ID\n", (unsigned)id);
        halt();
    }
    return (uint16_t)id;
}

int main(void)
{
    const struct orders *host = (const struct orders *)BOARD_SHM_MEMORY;
    struct result result;
    uint16_t id, answerer;
    uint32_t sleeps;

    /* QEMU's own device has no register by which find_device() knows one. */
    map_device();
    count_doorbells();
    id = ivshmem_flat_own_id(&shm);
    print("doorbell: ready id=%u\n", id);

    sleeps = ivshmem_flat_load32(&host->sleeps);
    answerer = load_id(&host->answerer);
    if (id == answerer) {
        answer(load_id(&host->caller), sleeps);
    }
    while (!ivshmem_flat_load32(&host->go)) {
    }
    find(answerer);
    call(answerer, sleeps, WARM_UP_TICKS);
    result = call(answerer, sleeps, ivshmem_flat_load32(&host->ticks));
    print("doorbell: trips=%u ticks=%u\n", (unsigned)result.trips,
          (unsigned)result.ticks);
    print("doorbell: fastest trips=%u ticks=%u\n", TRIPS,
          (unsigned)result.fastest);
    return 0;
}
