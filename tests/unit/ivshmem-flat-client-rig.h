/*
 * Rig for unit tests of an ivshmem server's client
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The client has a real chardev but no VM.  The main loop runs only while a
 * test waits for something.
 */

#ifndef TESTS_UNIT_IVSHMEM_FLAT_CLIENT_RIG_H
#define TESTS_UNIT_IVSHMEM_FLAT_CLIENT_RIG_H

#include "qemu/main-loop.h"
#include "hw/misc/ivshmem-flat-client.h"
#include "../qtest/ivshmem-flat-fake-server.h"
#include "../qtest/ivshmem-flat-wait.h"

#define SHM_SIZE    4096

/* Option of the chardev; older QEMUs count in seconds */
#define RECONNECT   (QEMU_OLDER_THAN(10, 0) ? "reconnect=1" : "reconnect-ms=10")

#define WAIT_IN_MAIN_LOOP(condition) \
    WAIT_FOR((main_loop_wait(true), (condition)))

/* For the servers' sockets */
extern char *tmpdir;

/*
 * The client and what its callbacks were told
 */

typedef struct Told {
    IvshmemFlatClient client;
    uint64_t sessions;
    int memory;             /* the latest fd, or -1 */
    GArray *vectors;        /* fds of this session */
    GString *errors;        /* one per line */
    unsigned error_count;
} Told;

/* Records every call; refuses memory of any size but SHM_SIZE */
extern const IvshmemFlatClientOps told_ops;

/* @options: those of the chardev */
Told *told_new(const char *options);

/* Starts a client of @server, on which @talk runs */
Told *told_new_of(FakeServer *server, FakeServerTalk *talk, void *opaque);

void told_free(Told *told);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Told, told_free)

bool has_error(Told *told, const char *text);
unsigned count_peers(Told *told);
bool is_connected(Told *told);
int find_vector(Told *told, uint16_t id, uint16_t vector);

/* Asserts that the client's eventfd for @vector is that of @peer */
void assert_rings(Told *told, FakePeer *peer, uint16_t vector);

/* Number of fds that this process has open */
unsigned count_fds(void);

/*
 * What a good server offers, with two vectors
 */

typedef struct Offer {
    FakePeer *own;
    FakePeer *peer;
    int shm_fd;
} Offer;

Offer *offer_new(uint16_t own_id, uint16_t peer_id);
void offer_free(Offer *offer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Offer, offer_free)

void talk_offer(FakeServer *server, void *opaque);

/* Starts a client of such a server and completes the handshake */
Told *told_start(FakeServer *server, Offer *offer);

void assert_taken(Told *told, Offer *offer);

/*
 * Messages, good or bad
 */

typedef enum {
    NO_FD,
    SHM_FD,
    BIG_SHM_FD,
    EVENT_FD,
    PIPE_FD,
    FD_KINDS,
} FdKind;

typedef struct Message {
    int64_t value;
    FdKind fd;
} Message;

extern int fds[FD_KINDS];

void send_messages(FakeServer *server, const Message *messages, unsigned count);

/*
 * g_test_init() and g_test_run(), with what the rig needs
 */

void init_tests(int *argc, char ***argv);
int run_tests(void);

#endif
