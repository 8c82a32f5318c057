/*
 * QEMU's own ivshmem server and client, for tests of ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * QEMU's own server runs in a thread.  QEMU's own client is a peer that the
 * test controls.
 */

#ifndef TESTS_QTEST_IVSHMEM_FLAT_REAL_SERVER_H
#define TESTS_QTEST_IVSHMEM_FLAT_REAL_SERVER_H

#include "contrib/ivshmem-client/ivshmem-client.h"
#include "contrib/ivshmem-server/ivshmem-server.h"
#include "ivshmem-flat-vm.h"

#define SHM_SIZE    (1 * MiB)

/* Options for a device that fits a server of this size */
#define PLACED      WIRED "," AT_SHMEM ",shmem-size=1M"
#define MEMORY_ONLY "x-bus-qompath=/sysbus," AT_SHMEM ",shmem-size=1M"

typedef struct Server {
    IvshmemServer ivshmem;
    GThread *thread;
    int quit_pipe[2];
    char *socket;
    char *shm_name;
    uint8_t *shm;
    size_t size;
} Server;

Server *server_start(size_t size, unsigned vectors);
Server *server_start_on(const char *socket, size_t size, unsigned vectors);
void server_stop(Server *s);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_stop)

/* A client of the server, in this process */
typedef struct TestPeer {
    IvshmemClient ivshmem;
    unsigned rung[IVSHMEM_CLIENT_MAX_VECTORS];
} TestPeer;

TestPeer *peer_join(Server *s);
void peer_leave(TestPeer *p);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestPeer, peer_leave)

unsigned peer_id(TestPeer *p);

/* Reads what the server and the other peers have sent so far */
void peer_update(TestPeer *p);

bool peer_was_rung(TestPeer *p, unsigned vector);

/* Rings a vector of client @id */
void peer_ring(TestPeer *p, unsigned id, unsigned vector);

/*
 * VMs that are clients of @s and have one device
 */

/* With PLACED */
QTestState *vm_start(Server *s, const char *board);

QTestState *vm_start_options(Server *s, const char *board,
                             const char *options, const char *extra);

/* The same; said() reads QEMU's messages */
QTestState *vm_start_listened(Server *s, const char *board,
                              const char *options);

/* An mps2-an385 with PLACED; said() reads its log of guest errors */
QTestState *vm_start_guest_errors(Server *s);

/*
 * Asserts that QEMU refuses a device with @options for @reason, although there
 * is a server
 */
void assert_options_refused(const char *options, const char *reason);

#endif
