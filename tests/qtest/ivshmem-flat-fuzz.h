/*
 * Random input for fuzzers of ivshmem-flat, and a VM to send it to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Each fuzzer ends after a number of rounds or after some time, whichever comes
 * first.  The environment variable FUZZ_SECONDS sets the time and removes the
 * limit on rounds.
 *
 * The random numbers come from GLib: every run prints its "random seed", and
 * --seed=SEED repeats the run.  Only one thread at a time may use them.
 */

#ifndef TESTS_QTEST_IVSHMEM_FLAT_FUZZ_H
#define TESTS_QTEST_IVSHMEM_FLAT_FUZZ_H

#include "qemu/units.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-vm.h"

/*
 * Random numbers
 */

/* 0 to n - 1 */
unsigned pick(unsigned n);

/* True one time in n */
bool one_in(unsigned n);

uint32_t random_u32(void);
uint64_t random_u64(void);

/*
 * Limits of a run
 */

typedef struct Run {
    const char *what;
    gint64 start, end;
    unsigned rounds, max_rounds;
} Run;

Run run_start(const char *what, unsigned max_rounds);

/* Whether another round begins.  Ends the test if a round takes a minute. */
bool run_on(Run *run);

double run_seconds(const Run *run);

/*
 * A VM, its fake server, and the state that both should have
 */

#define MMR_SIZE    0x10
#define SHMEM_SIZE  (64 * KiB)
#define LINES       2
#define FIRST_LINE  24
#define PLACED      "x-bus-qompath=/sysbus," \
                    "x-irq-qompath=nvic/unnamed-gpio-in[24];" \
                    "nvic/unnamed-gpio-in[25]," \
                    AT_SHMEM ",shmem-size=64K"

#define MAX_PEERS   16
#define MAX_VECTORS 4

typedef struct Peer {
    FakePeer *fake;
    bool deaf;                          /* eventfds full, writers block */
    uint64_t rings[MAX_VECTORS];        /* sent by the guest */
} Peer;

typedef struct World {
    FakeServer *server;
    QTestState *vm;
    int shm_fd;
    uint8_t *shm;
    FakePeer *own;
    Peer peers[MAX_PEERS];
    unsigned n_peers;
    uint16_t gone;                      /* the last peer that left */
    uint32_t intrmask, intrstatus;
} World;

World *world_new(void);
void world_free(World *w);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

/* Waits until QEMU has read all that the server sent; commands then see it */
void world_sync(World *w);

/* Returns NULL if no peer has this ID */
Peer *world_find_peer(World *w, unsigned id);

/* A peer joins with the ID @id, which must be free */
Peer *world_join(World *w, unsigned id);
void world_leave(World *w, Peer *p);

/* The server restarts with other IDs */
void world_return(World *w);

/* Checks that everything in the device still works */
void world_check(World *w);

/* Returns the number of QEMU's file descriptors */
unsigned world_count_fds(World *w);

/*
 * Makes the eventfd @fd full, so that writers block.  After an overflow even
 * writing 0 blocks.
 */
void fill_eventfd(int fd, bool overflow);

#endif
