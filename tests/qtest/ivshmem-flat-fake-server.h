/*
 * An ivshmem server of which a test decides every byte
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * It speaks the protocol of docs/specs/ivshmem-spec.rst, or whatever else the
 * test wants to say, to one client at a time.  Everything it sends is sent by
 * the thread that asks for it.  Nothing here waits longer than TIMEOUT_S: the
 * test fails then.
 */

#ifndef TESTS_QTEST_IVSHMEM_FLAT_FAKE_SERVER_H
#define TESTS_QTEST_IVSHMEM_FLAT_FAKE_SERVER_H

typedef struct FakeServer FakeServer;
typedef void FakeServerTalk(FakeServer *server, void *opaque);

/* Its socket is to be in the directory @dir */
FakeServer *fake_server_new(const char *dir);

/* Hangs up and frees @server; NULL is fine */
void fake_server_free(FakeServer *server);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeServer, fake_server_free)

/* The path of the socket, owned by @server */
const char *fake_server_socket(FakeServer *server);

/*
 * Listens, and lets a thread wait for a client and run @talk, which may send.
 * A VM's start only ends when its device has heard enough, and meanwhile blocks
 * the test.  Nobody else can connect afterwards, until the next client is
 * expected: a server that has hung up is gone.
 */
void fake_server_expect(FakeServer *server, FakeServerTalk *talk, void *opaque);

/* Gives the other end of a connection, for a client that takes an fd */
int fake_server_connect(FakeServer *server);

/* Waits until that thread has done all that */
void fake_server_join(FakeServer *server);

void fake_server_hang_up(FakeServer *server);

/*
 * Sends @size bytes, 1 at least, and with them @n_fds file descriptors, which
 * stay the caller's.  Returns false if the client has hung up.
 */
bool fake_server_send_bytes(FakeServer *server, const void *bytes, size_t size,
                            const int *fds, unsigned n_fds);

/*
 * Has messages go in pieces of @size bytes, 1 to 8, each of which is read
 * before the next is sent.  The file descriptor goes with the first.
 */
void fake_server_set_piece(FakeServer *server, size_t size);

/* Sends one message, with @fd unless that is -1, to a client that listens */
void fake_server_send(FakeServer *server, int64_t message, int fd);

/*
 * Sends the same message with the same file descriptor for as long as the
 * socket holds more.  Returns how often.
 */
unsigned fake_server_fill(FakeServer *server, int64_t message, int fd);

/* The handshake up to the shared memory; vectors are yet to be announced */
void fake_server_greet(FakeServer *server, uint16_t own_id, int shm_fd);

/* Whether the client has read all that was sent, or has hung up */
bool fake_server_all_read(FakeServer *server);

/* Whether the client has hung up */
bool fake_server_client_left(FakeServer *server);

/* How /proc/PID/maps calls shared memory that is made here */
#define FAKE_SHM_NAME "ivshmem-fake-shm"

/*
 * New shared memory of @size bytes, which may be sealed.  The caller closes the
 * file descriptor.
 */
int fake_shm_new(size_t size);

/*
 * A client that is said to be there: an ID and an eventfd for each vector
 */

typedef struct FakePeer {
    uint16_t id;
    unsigned n_vectors;
    int vectors[];
} FakePeer;

FakePeer *fake_peer_new(uint16_t id, unsigned n_vectors);
void fake_peer_free(FakePeer *peer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakePeer, fake_peer_free)

/* Sends a message with an eventfd for each of @peer's vectors */
void fake_server_announce(FakeServer *server, FakePeer *peer);

/* How often a vector of @peer was rung since it was last asked for */
uint64_t fake_peer_rung(FakePeer *peer, unsigned vector);

/* Rings a vector of @peer */
void fake_peer_ring(FakePeer *peer, unsigned vector);

#endif
