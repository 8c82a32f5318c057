/*
 * An ivshmem server whose every byte the test controls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * It speaks the protocol of docs/specs/ivshmem-spec.rst, or whatever else the
 * test wants, to one client at a time.  The thread that calls a function also
 * sends the data.  Nothing here waits longer than TIMEOUT_S: the test then
 * fails.
 */

#ifndef TESTS_QTEST_IVSHMEM_FLAT_FAKE_SERVER_H
#define TESTS_QTEST_IVSHMEM_FLAT_FAKE_SERVER_H

typedef struct FakeServer FakeServer;
typedef void FakeServerTalk(FakeServer *server, void *opaque);

/* Creates the socket in the directory @dir */
FakeServer *fake_server_new(const char *dir);

/* Hangs up and frees @server, which may be NULL */
void fake_server_free(FakeServer *server);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeServer, fake_server_free)

/* The path of the socket, owned by @server */
const char *fake_server_socket(FakeServer *server);

/*
 * Listens, and starts a thread that waits for a client and runs @talk, which
 * may send.  The thread is needed because starting a VM blocks the test until
 * the device has completed its handshake.  Afterwards nobody can connect until
 * the next call: a server that has hung up is gone.
 */
void fake_server_expect(FakeServer *server, FakeServerTalk *talk, void *opaque);

/* Returns the client's end of a connection, for a client that needs an fd */
int fake_server_connect(FakeServer *server);

/* Waits for that thread to end */
void fake_server_join(FakeServer *server);

void fake_server_hang_up(FakeServer *server);

/*
 * Sends @size bytes, at least 1, and with them @n_fds file descriptors, which
 * the caller keeps.  Returns false if the client has hung up.
 */
bool fake_server_send_bytes(FakeServer *server, const void *bytes, size_t size,
                            const int *fds, unsigned n_fds);

/*
 * Sends messages in pieces of @size bytes, 1 to 8.  Each piece must be read
 * before the next is sent.  The file descriptor goes with the first.
 */
void fake_server_set_piece(FakeServer *server, size_t size);

/* Sends one message, with @fd unless it is -1 */
void fake_server_send(FakeServer *server, int64_t message, int fd);

/*
 * Sends the same message and file descriptor until the socket is full.  Returns
 * how many were sent.
 */
unsigned fake_server_fill(FakeServer *server, int64_t message, int fd);

/* Sends the handshake up to the shared memory, but no vectors */
void fake_server_greet(FakeServer *server, uint16_t own_id, int shm_fd);

/* Whether the client has read all that was sent, or has hung up */
bool fake_server_all_read(FakeServer *server);

/* Whether the client has hung up */
bool fake_server_client_left(FakeServer *server);

/* Name in /proc/PID/maps of shared memory created here */
#define FAKE_SHM_NAME "ivshmem-fake-shm"

/*
 * Creates shared memory of @size bytes, which can be sealed.  The caller closes
 * the file descriptor.
 */
int fake_shm_new(size_t size);

/*
 * A simulated client: an ID and an eventfd for each vector
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

/* How many times a vector of @peer was rung since the last call */
uint64_t fake_peer_rung(FakePeer *peer, unsigned vector);

/* Rings a vector of @peer */
void fake_peer_ring(FakePeer *peer, unsigned vector);

#endif
