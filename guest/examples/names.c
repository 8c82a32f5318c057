/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sensor and a logger find each other by name, whatever their IDs are.  They find
 * each other again after either of them or the server restarts.  Each time, the
 * sensor sends a message, and the logger answers it.
 *
 * Either may start first.  Shared memory:
 *
 *     0x0000  the table of names: ivshmem-names.h explains it
 *     0x1000  ring buffer from the sensor to the logger
 *     0x2000  ring buffer from the logger to the sensor
 *
 * Both sleep until a doorbell arrives.  A doorbell is lost if the peer is not back
 * yet.  So each board rings a peer that it has not met whenever it wakes up.
 *
 * For QEMU to reconnect to the server, the chardev needs reconnect-ms.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "ivshmem-fifo.h"
#include "ivshmem-names.h"

#define FIFO_SIZE 64u
#define MESSAGE_BYTES 16u

enum role { SENSOR, LOGGER };

static const char *const names[] = { "sensor", "logger" };
static const char messages[][MESSAGE_BYTES] = { "21 degrees", "noted" };

static enum role self, other;

static struct ivshmem_name *table, *own;
static uint16_t own_id; /* with which the name was entered */
static uint32_t start;  /* of the peer, 0 if it is not known */
static bool has_cleared, has_met;
static struct ivshmem_fifo out, in;

/* Each board has one role.  In a real project, each role has its own program. */
static enum role find_role(void)
{
    return board_is("mps2-an385") || board_is("leon3_generic") ? LOGGER : SENSOR;
}

static void *fifo_of(enum role writer)
{
    return ivshmem_flat_at(&shm, (1u + writer) * 0x1000u,
                           IVSHMEM_FIFO_BYTES(FIFO_SIZE));
}

static void clear_own_part(void)
{
    uint32_t *words = (uint32_t *)fifo_of(self);

    for (unsigned i = 0; i < IVSHMEM_FIFO_BYTES(FIFO_SIZE) / 4; i++) {
        words[i] = 0;
    }
}

/* Enters the name, at the start and in each new session with the server. */
static void enter(void)
{
    const struct ivshmem_name *entry = ivshmem_names_find(table, names[self]);
    uint16_t last_id;

    own_id = ivshmem_flat_own_id(&shm);
    last_id = entry != NULL ? ivshmem_names_id(entry) : own_id;
    own = ivshmem_names_enter(table, names[self], own_id);
    if (own == NULL) {
        print("names: FAILED the table is full, no room for '%s': restart the server\n",
              names[self]);
        halt();
    }
    print("names: %s is id %u\n", names[self], own_id);
    if (last_id != own_id) {
        /* A guest that still has this ID must look at the table. */
        ivshmem_flat_ring(&shm, last_id, 0);
    }
    start = 0;
}

/* Keeps this board's name in the table, and halts if another guest has it. */
static void keep_name(void)
{
    if (ivshmem_names_taken(table, names[self], own_id)) {
        print("names: FAILED id %u has taken the name '%s': rename one of them\n",
              ivshmem_names_id(ivshmem_names_find(table, names[self])), names[self]);
        halt();
    }
    if (!ivshmem_names_holds(own, names[self], ivshmem_flat_own_id(&shm))) {
        enter();
    }
}

static void send(uint16_t peer_id)
{
    if (ivshmem_fifo_put(&out, messages[self], MESSAGE_BYTES)) {
        ivshmem_flat_ring(&shm, peer_id, 0);
    }
}

static void begin_session(uint16_t peer_id)
{
    ivshmem_fifo_open(&out, fifo_of(self), FIFO_SIZE, IVSHMEM_FIFO_WRITER);
    ivshmem_fifo_open(&in, fifo_of(other), FIFO_SIZE, IVSHMEM_FIFO_READER);
    print("names: met %s, id %u\n", names[other], peer_id);
    if (self == SENSOR) {
        send(peer_id);
    }
}

/* Follows the steps in ivshmem-names.h. */
static void meet(const struct ivshmem_name *peer, uint16_t peer_id)
{
    if (start == 0 || ivshmem_names_restarted(peer, start)) {
        start = ivshmem_names_start(peer);
        has_cleared = has_met = false;
    }
    if (has_met) {
        return;
    }
    if (ivshmem_names_closed(own, peer, start)) {
        if (!has_cleared) {
            clear_own_part();
            has_cleared = true;
        }
        has_met = ivshmem_names_clean(own, peer, start);
    }
    ivshmem_flat_ring(&shm, peer_id, 0);
    if (has_met) {
        begin_session(peer_id);
    }
}

static void receive(uint16_t peer_id)
{
    char message[MESSAGE_BYTES];

    while (ivshmem_fifo_get(&in, message, MESSAGE_BYTES)) {
        message[MESSAGE_BYTES - 1] = '\0';
        print("names: %s says '%s'\n", names[other], message);
        if (self == LOGGER) {
            send(peer_id);
        }
    }
}

/* Checks the memory after a doorbell. */
static void look(void)
{
    const struct ivshmem_name *peer;
    uint16_t peer_id;

    keep_name();
    peer = ivshmem_names_find(table, names[other]);
    if (peer == NULL) {
        return;
    }
    peer_id = ivshmem_names_id(peer);
    if (peer_id == own_id) {
        return; /* the peer's ID before the server restarted */
    }
    meet(peer, peer_id);
    if (has_met) {
        receive(peer_id);
    }
}

int main(void)
{
    find_device();
    count_doorbells();
    self = find_role();
    other = self == SENSOR ? LOGGER : SENSOR;
    table = (struct ivshmem_name *)ivshmem_flat_at(&shm, 0, IVSHMEM_NAMES_BYTES);
    enter();

    for (;;) {
        uint32_t heard = doorbells;

        look();
        sleep_while(&doorbells, heard);
    }
}
