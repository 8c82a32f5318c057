/*
 * A client of an ivshmem server, for its unit tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The client has a real chardev, and no VM.  The main loop runs only while a
 * test waits for something.
 */

#ifndef TESTS_UNIT_IVSHMEM_FLAT_CLIENT_RIG_H
#define TESTS_UNIT_IVSHMEM_FLAT_CLIENT_RIG_H

#include "qemu/main-loop.h"
#include "hw/misc/ivshmem-flat-client.h"
#include "../qtest/ivshmem-flat-fake-server.h"
#include "../qtest/ivshmem-flat-wait.h"

#define SHM_SIZE    4096

/* Option of the chardev; older QEMUs count seconds */
#define RECONNECT   (QEMU_OLDER_THAN(10, 0) ? "reconnect=1" : "reconnect-ms=10")

#define WAIT_IN_MAIN_LOOP(condition) \
    WAIT_FOR((main_loop_wait(true), (condition)))

/* For the sockets of servers */
extern char *tmpdir;

/*
 * The client, and what it has told
 */

typedef struct Told {
    IvshmemFlatClient client;
    uint64_t sessions;
    int memory;             /* the latest fd, or -1 */
    GArray *vectors;        /* fds, those of this session */
    GString *errors;        /* a line each */
    unsigned error_count;
} Told;

/* Tells of it; refuses memory that has not SHM_SIZE bytes */
extern const IvshmemFlatClientOps told_ops;

/* @options are those of a chardev */
Told *told_new(const char *options);

/* Has a client of @server, which says what @talk has it say */
Told *told_new_of(FakeServer *server, FakeServerTalk *talk, void *opaque);

void told_free(Told *told);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Told, told_free)

bool has_error(Told *told, const char *text);
unsigned count_peers(Told *told);
bool is_connected(Told *told);
int find_vector(Told *told, uint16_t id, uint16_t vector);

/* The client's eventfd for that vector is the one of @peer */
void assert_rings(Told *told, FakePeer *peer, uint16_t vector);

/* How many this process has open */
unsigned count_fds(void);

/*
 * A good server, which gives two vectors
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

/* A client that has had its handshake with such a server */
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
 * All tests: g_test_init() and g_test_run(), with what these here need
 */

void init_tests(int *argc, char ***argv);
int run_tests(void);

#endif
