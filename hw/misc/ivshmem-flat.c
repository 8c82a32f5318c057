/*
 * Inter-VM shared memory and doorbells for machines without PCI
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * A front end of the ivshmem server (docs/specs/ivshmem-spec.rst) on the
 * system bus.  Two event loops share the work:
 *  - the main loop talks to the server: own ID, shared memory, peers and
 *    their vectors;
 *  - an IOThread waits for the device's own vector 0, and takes the big lock
 *    only to pulse the interrupt, so that a busy main loop delays nobody.
 */

#include "qemu/osdep.h"
#include <sys/syscall.h>
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/memfd.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "block/aio.h"
#include "chardev/char-socket.h"
#include "exec/translation-block.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/irq.h"
#include "hw/misc/ivshmem.h"
#include "hw/misc/ivshmem-flat.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "hw/registerfields.h"
#include "io/task.h"
#include "migration/blocker.h"
#include "system/address-spaces.h"
#include "system/system.h"
#include "system/tcg.h"
#include "trace.h"

REG32(INTRMASK, 0x0)
REG32(INTRSTATUS, 0x4)
REG32(IVPOSITION, 0x8)
REG32(DOORBELL, 0xc)
    FIELD(DOORBELL, VECTOR, 0, 16)
    FIELD(DOORBELL, PEER, 16, 16)

#define MMR_SIZE 0x10

/* The most that MSI-X gives a PCI peer */
#define MAX_VECTORS 2048

#define HANDSHAKE_TIMEOUT_S 5

/* A guest's store has to end, whatever the server sends meanwhile */
#define MAX_UNREAD_MESSAGES 4096

#define MAX_ENDED_REQUESTS 64

#define MAX_WARNINGS 10
#define MAX_WARNINGS_PERIOD_S 10

/* The user chose where the windows are: they win over what is there */
#define WINDOW_PRIORITY 1000

struct IvshmemFlatVector {
    EventNotifier notifier;
    IvshmemFlatState *device;
};

struct IvshmemFlatRam {
    struct rcu_head rcu;
    MemoryRegion mr;
    dev_t dev;
    ino_t ino;
};

static const char *ivshmem_flat_server_name(IvshmemFlatState *s)
{
    return qemu_chr_fe_get_driver(&s->server)->label;
}

/*
 * Peers' doorbells
 *
 * A write to an eventfd that is full waits, unless O_NONBLOCK is set, which
 * everyone who shares the eventfd can change at any time.  What never waits is
 * the kernel itself when it signals that an asynchronous request has ended.
 * So ours ask for nothing, and come to an end at once.
 */

static bool ivshmem_flat_init_requests(IvshmemFlatState *s, Error **errp)
{
    ERRP_GUARD();

    s->null_fd = qemu_open("/dev/null", O_RDONLY, errp);
    if (s->null_fd < 0) {
        return false;
    }
    if (syscall(SYS_io_setup, MAX_ENDED_REQUESTS, &s->requests) < 0) {
        error_setg_errno(errp, errno, "can't set up asynchronous I/O, which "
                         "rings doorbells");
        error_append_hint(errp, "The host must allow io_setup() and "
                          "io_submit(), and /proc/sys/fs/aio-max-nr must "
                          "exceed aio-nr beside it.\n");
        return false;
    }
    return true;
}

static void ivshmem_flat_release_requests(IvshmemFlatState *s)
{
    if (s->requests) {
        syscall(SYS_io_destroy, s->requests);
        s->requests = 0;
    }
    if (s->null_fd >= 0) {
        close(s->null_fd);
        s->null_fd = -1;
    }
}

/* Returns 0 or -errno */
static int ivshmem_flat_request(IvshmemFlatState *s, uint16_t opcode, int fd)
{
    struct iocb request = {
        .aio_lio_opcode = opcode,
        .aio_fildes = s->null_fd,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = fd,
    };
    struct iocb *requests[] = { &request };
    struct io_event ended[MAX_ENDED_REQUESTS];

    while (syscall(SYS_io_submit, s->requests, 1, requests) < 0) {
        int error = -errno;

        /* There is no room until somebody has heard how the others ended */
        if (error != -EAGAIN ||
            syscall(SYS_io_getevents, s->requests, 0, MAX_ENDED_REQUESTS,
                    ended, NULL) <= 0) {
            return error;
        }
    }
    return 0;
}

static int ivshmem_flat_signal(IvshmemFlatState *s, int eventfd)
{
    return ivshmem_flat_request(s, IOCB_CMD_PREAD, eventfd);
}

/*
 * Anything but an eventfd could keep the IOThread busy for ever.  The kernel
 * refuses the eventfd before it refuses to write to what is open for reading.
 */
static bool ivshmem_flat_is_eventfd(IvshmemFlatState *s, int fd)
{
    return ivshmem_flat_request(s, IOCB_CMD_PWRITE, fd) == -EBADF;
}

/*
 * Own doorbell
 */

static bool ivshmem_flat_interrupts_enabled(IvshmemFlatState *s)
{
    return s->irq && s->has_interrupts;
}

/* Runs in the IOThread */
static void ivshmem_flat_doorbell_rung(EventNotifier *notifier)
{
    IvshmemFlatVector *doorbell = container_of(notifier, IvshmemFlatVector,
                                               notifier);
    IvshmemFlatState *s = doorbell->device;

    if (!event_notifier_test_and_clear(notifier)) {
        return;
    }

    BQL_LOCK_GUARD();
    if (!s->running) {
        /* The VM was stopped while this waited for the lock */
        ivshmem_flat_signal(s, event_notifier_get_fd(notifier));
        return;
    }
    trace_ivshmem_flat_interrupt(s->own_id);
    qemu_irq_pulse(s->irq);
}

static bool ivshmem_flat_poll_doorbell(void *notifier)
{
    GPollFD fd = {
        .fd = event_notifier_get_fd(notifier),
        .events = G_IO_IN,
    };

    return g_poll(&fd, 1, 0) == 1;
}

static void ivshmem_flat_serve_doorbell(IvshmemFlatState *s, bool serve)
{
    if (s->doorbell && ivshmem_flat_interrupts_enabled(s)) {
        aio_set_event_notifier(s->context, &s->doorbell->notifier,
                               serve ? ivshmem_flat_doorbell_rung : NULL,
                               serve ? ivshmem_flat_poll_doorbell : NULL,
                               serve ? ivshmem_flat_doorbell_rung : NULL);
    }
}

static void ivshmem_flat_quiesced(void *quiesced)
{
    qemu_event_set(quiesced);
}

/* Returns when the IOThread has nothing of the device in hand any more */
static void ivshmem_flat_quiesce(IvshmemFlatState *s)
{
    QemuEvent quiesced;

    ivshmem_flat_serve_doorbell(s, false);
    s->has_interrupts = false;

    qemu_event_init(&quiesced, false);
    aio_bh_schedule_oneshot(s->context, ivshmem_flat_quiesced, &quiesced);
    /* The IOThread may be waiting for the lock that we hold */
    bql_unlock();
    qemu_event_wait(&quiesced);
    bql_lock();
    qemu_event_destroy(&quiesced);
}

/*
 * While the VM does not run, rings wait in the eventfd.  Until it first runs
 * that is vital: the reset that ends machine creation would take a pending
 * interrupt away again.
 */
static void ivshmem_flat_vm_change(void *opaque, bool running, RunState state)
{
    IvshmemFlatState *s = opaque;

    s->running = running;
    ivshmem_flat_serve_doorbell(s, running);
}

/*
 * What the server says
 */

static void ivshmem_flat_vector_free(void *opaque)
{
    IvshmemFlatVector *vector = opaque;

    event_notifier_cleanup(&vector->notifier);
    g_free(vector);
}

/* Each message with an fd and the same ID brings the next vector */
static bool ivshmem_flat_add_vector(IvshmemFlatState *s, uint16_t id, int *fd,
                                    Error **errp)
{
    GPtrArray *vectors = g_hash_table_lookup(s->peers, GUINT_TO_POINTER(id));
    IvshmemFlatVector *vector;

    if (!ivshmem_flat_is_eventfd(s, *fd)) {
        error_setg(errp, "server gave ID %u a vector that is no eventfd", id);
        return false;
    }
    if (!vectors) {
        vectors = g_ptr_array_new_with_free_func(ivshmem_flat_vector_free);
        g_hash_table_insert(s->peers, GUINT_TO_POINTER(id), vectors);
    }
    if (vectors->len == MAX_VECTORS) {
        error_setg(errp, "server gave ID %u more than %u vectors",
                   id, MAX_VECTORS);
        return false;
    }

    trace_ivshmem_flat_vector(s->own_id, id, vectors->len, *fd);
    vector = g_new0(IvshmemFlatVector, 1);
    vector->device = s;
    /* The chardev has cleared it, for everyone who shares the eventfd */
    g_unix_set_fd_nonblocking(*fd, true, NULL);
    event_notifier_init_fd(&vector->notifier, *fd);
    *fd = -1;
    g_ptr_array_add(vectors, vector);
    s->last_id = id;

    if (id == s->own_id && !s->doorbell) {
        s->doorbell = vector;
        if (s->running) {
            ivshmem_flat_serve_doorbell(s, true);
        }
    }
    return true;
}

static void ivshmem_flat_vectors_free(void *opaque)
{
    g_ptr_array_unref(opaque);
}

/*
 * Peers of a server that has gone.  The IOThread may have the own doorbell in
 * hand, and is therefore the one to free it.
 */
static void ivshmem_flat_forget_peers(IvshmemFlatState *s)
{
    GPtrArray *own;

    if (s->context && s->doorbell) {
        ivshmem_flat_serve_doorbell(s, false);
        own = g_ptr_array_ref(g_hash_table_lookup(s->peers,
                                            GUINT_TO_POINTER(s->own_id)));
        aio_bh_schedule_oneshot(s->context, ivshmem_flat_vectors_free, own);
    }
    s->doorbell = NULL;
    g_hash_table_remove_all(s->peers);
}

/*
 * The kernel drops the fd that a process at its limit is sent, silently.
 * A vector that comes without its fd looks like a departure.
 */
static bool ivshmem_flat_out_of_fds(Error **errp)
{
    ERRP_GUARD();
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0) {
        close(fd);
        return false;
    }
    if (errno != EMFILE && errno != ENFILE) {
        return false;
    }
    error_setg_errno(errp, errno, "can't take a vector from the server");
    error_append_hint(errp, "QEMU needs a file descriptor for each vector of "
                      "each peer: raise its limit ('ulimit -Hn').\n");
    return true;
}

static bool ivshmem_flat_remove_peer(IvshmemFlatState *s, uint16_t id,
                                     Error **errp)
{
    bool may_have_lost_vector = id == s->last_id ||
        !g_hash_table_contains(s->peers, GUINT_TO_POINTER(id));

    if (may_have_lost_vector && ivshmem_flat_out_of_fds(errp)) {
        return false;
    }
    s->last_id = -1;
    if (id == s->own_id) {
        error_setg(errp, "server said that own ID %u left", id);
        return false;
    }
    if (!g_hash_table_remove(s->peers, GUINT_TO_POINTER(id))) {
        error_setg(errp, "server said that peer %u left, "
                   "which was not connected", id);
        return false;
    }
    trace_ivshmem_flat_peer_left(s->own_id, id);
    return true;
}

static void ivshmem_flat_ram_free(IvshmemFlatRam *ram)
{
    Object *device = memory_region_owner(&ram->mr);

    object_unparent(OBJECT(&ram->mr));
    g_free(ram);
    object_unref(device);
}

/* Shows the guest @ram.  vCPUs may look at what they saw until they notice. */
static void ivshmem_flat_show_ram(IvshmemFlatState *s, IvshmemFlatRam *ram)
{
    IvshmemFlatRam *old = s->ram;

    memory_region_transaction_begin();
    if (old) {
        memory_region_del_subregion(&s->shmem, &old->mr);
    }
    memory_region_add_subregion(&s->shmem, 0, &ram->mr);
    memory_region_transaction_commit();
    s->ram = ram;

    if (old) {
        object_ref(OBJECT(s));
        call_rcu(old, ivshmem_flat_ram_free, rcu);
    }
}

static bool ivshmem_flat_take_shmem(IvshmemFlatState *s, int *fd, Error **errp)
{
    ERRP_GUARD();
    IvshmemFlatRam *ram;
    struct stat st;

    if (s->shmem_came) {
        error_setg(errp, "server sent shared memory a second time");
        return false;
    }
    if (*fd < 0) {
        if (!ivshmem_flat_out_of_fds(errp)) {
            error_setg(errp, "server sent shared memory "
                       "without a file descriptor");
        }
        return false;
    }

    /*
     * Who truncates the memory under a running VM ends it (SIGBUS).  A memfd
     * may allow to be sealed against that, other objects never do.
     */
    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK);

    if (fstat(*fd, &st) < 0) {
        error_setg_errno(errp, errno, "can't examine server's shared memory");
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        error_setg(errp, "server's shared memory is neither a memory object "
                   "nor a file (st_mode 0%o)", st.st_mode);
        return false;
    }
    if (st.st_size != s->shmem_size) {
        error_setg(errp, "shmem-size is %" PRIu64 " bytes, "
                   "but server's shared memory has %" PRIu64,
                   s->shmem_size, (uint64_t)st.st_size);
        error_append_hint(errp, "Use shmem-size=%" PRIu64 ".\n",
                          (uint64_t)st.st_size);
        return false;
    }
    if (s->ram && s->ram->dev == st.st_dev && s->ram->ino == st.st_ino) {
        s->shmem_came = true;
        return true;
    }

    ram = g_new0(IvshmemFlatRam, 1);
    ram->dev = st.st_dev;
    ram->ino = st.st_ino;
    if (!memory_region_init_ram_from_fd(&ram->mr, OBJECT(s),
                                        "ivshmem-flat-ram", s->shmem_size,
                                        RAM_SHARED, *fd, 0, errp)) {
        error_prepend(errp, "can't map server's shared memory: ");
        g_free(ram);
        return false;
    }
    trace_ivshmem_flat_shmem(s->own_id, *fd, s->shmem_size);
    *fd = -1;
    ivshmem_flat_show_ram(s, ram);
    s->shmem_came = true;
    return true;
}

/* Sets *fd to -1 where it keeps it */
static bool ivshmem_flat_process_msg(IvshmemFlatState *s, int64_t msg, int *fd,
                                     Error **errp)
{
    switch (s->expect) {
    case IVSHMEM_FLAT_EXPECT_VERSION:
        if (msg != IVSHMEM_PROTOCOL_VERSION || *fd >= 0) {
            error_setg(errp, "server's protocol version is %" PRId64 "%s, "
                       "this device speaks version %d", msg,
                       *fd >= 0 ? " with a file descriptor" : "",
                       IVSHMEM_PROTOCOL_VERSION);
            return false;
        }
        trace_ivshmem_flat_connected(ivshmem_flat_server_name(s));
        s->expect = IVSHMEM_FLAT_EXPECT_OWN_ID;
        return true;

    case IVSHMEM_FLAT_EXPECT_OWN_ID:
        if (msg < 0 || msg > UINT16_MAX || *fd >= 0) {
            error_setg(errp, "server gave %" PRId64 "%s as own ID, "
                       "which must be 0 to %u", msg,
                       *fd >= 0 ? " with a file descriptor" : "", UINT16_MAX);
            return false;
        }
        ivshmem_flat_forget_peers(s);
        s->own_id = msg;
        trace_ivshmem_flat_own_id(ivshmem_flat_server_name(s), s->own_id);
        if (!s->realizing) {
            info_report("ivshmem-flat: chardev '%s': server is back, "
                        "own ID is %u", ivshmem_flat_server_name(s), s->own_id);
        }
        s->expect = IVSHMEM_FLAT_EXPECT_ANY;
        return true;

    case IVSHMEM_FLAT_EXPECT_ANY:
        if (msg == -1) {
            return ivshmem_flat_take_shmem(s, fd, errp);
        }
        if (msg < 0 || msg > UINT16_MAX) {
            error_setg(errp, "server sent %" PRId64 ", which is no peer's ID",
                       msg);
            return false;
        }
        if (*fd >= 0) {
            return ivshmem_flat_add_vector(s, msg, fd, errp);
        }
        return ivshmem_flat_remove_peer(s, msg, errp);
    }
    g_assert_not_reached();
}

static bool ivshmem_flat_may_warn(IvshmemFlatState *s)
{
    int64_t now = g_get_monotonic_time();

    if (now - s->warnings_since >= MAX_WARNINGS_PERIOD_S * G_USEC_PER_SEC) {
        s->warnings_since = now;
        s->warnings = 0;
    }
    return s->warnings++ < MAX_WARNINGS;
}

/* In realize a bad server is an error, later it is only worth a warning */
static void ivshmem_flat_server_error(IvshmemFlatState *s, Error *err)
{
    trace_ivshmem_flat_server_error(ivshmem_flat_server_name(s),
                                    error_get_pretty(err));
    if (s->realizing) {
        error_propagate(&s->handshake_error, err);
    } else if (ivshmem_flat_may_warn(s)) {
        error_prepend(&err, "ivshmem-flat: chardev '%s': ",
                      ivshmem_flat_server_name(s));
        if (s->warnings == MAX_WARNINGS) {
            error_append_hint(&err, "No more warnings for up to %d s.\n",
                              MAX_WARNINGS_PERIOD_S);
        }
        warn_report_err(err);
    } else {
        error_free(err);
    }
}

static void ivshmem_flat_drop_partial_msg(IvshmemFlatState *s)
{
    if (s->msg_fd >= 0) {
        close(s->msg_fd);
        s->msg_fd = -1;
    }
    s->msg_len = 0;
}

static int ivshmem_flat_can_receive(void *opaque)
{
    IvshmemFlatState *s = opaque;

    return s->handshake_error ? 0 : sizeof(s->msg) - s->msg_len;
}

static void ivshmem_flat_receive(void *opaque, const uint8_t *buf, int size)
{
    IvshmemFlatState *s = opaque;
    int fd = qemu_chr_fe_get_msgfd(&s->server);
    Error *err = NULL;
    bool ok;

    /* The fd comes with the first piece; the next read would close it */
    if (fd >= 0) {
        if (s->msg_fd >= 0) {
            close(s->msg_fd);
        }
        s->msg_fd = fd;
    }

    memcpy(s->msg + s->msg_len, buf, size);
    s->msg_len += size;
    if (s->msg_len < sizeof(s->msg)) {
        return;
    }

    ok = ivshmem_flat_process_msg(s, ldq_le_p(s->msg), &s->msg_fd, &err);
    if (!ok) {
        ivshmem_flat_server_error(s, err);
    }
    ivshmem_flat_drop_partial_msg(s);

    /* No peer of ours can come of a handshake that began like this */
    if (!ok && !s->realizing && s->expect != IVSHMEM_FLAT_EXPECT_ANY) {
        qemu_chr_fe_disconnect(&s->server);
    }
}

static void ivshmem_flat_listen_to_server(IvshmemFlatState *s,
                                          GMainContext *context);

static void ivshmem_flat_event(void *opaque, QEMUChrEvent event)
{
    IvshmemFlatState *s = opaque;
    Object *chr = OBJECT(qemu_chr_fe_get_driver(&s->server));
    Error *err = NULL;

    /* A chardev without a parent is on its way out, QEMU with it */
    if (event != CHR_EVENT_CLOSED || !chr->parent) {
        return;
    }

    ivshmem_flat_drop_partial_msg(s);
    s->expect = IVSHMEM_FLAT_EXPECT_VERSION;
    s->shmem_came = false;
    /* The chardev is about to set its timer for the next attempt */
    ivshmem_flat_listen_to_server(s, NULL);
    if (s->realizing) {
        error_setg(&err, "server closed the connection during the handshake");
    } else {
        error_setg(&err, "server has gone: known peers can still be rung, "
                   "but none can come or leave");
    }
    ivshmem_flat_server_error(s, err);
}

static void ivshmem_flat_listen_to_server(IvshmemFlatState *s,
                                          GMainContext *context)
{
    qemu_chr_fe_set_handlers_full(&s->server, ivshmem_flat_can_receive,
                                  ivshmem_flat_receive, ivshmem_flat_event,
                                  NULL, s, context, true, false);
}

/*
 * A guest may have learnt of a peer from the shared memory before the main
 * loop came to read of it.  Take in what the server has sent so far.
 */
static void ivshmem_flat_catch_up(IvshmemFlatState *s)
{
    ivshmem_flat_listen_to_server(s, s->server_context);
    for (unsigned i = 0; i < MAX_UNREAD_MESSAGES; i++) {
        if (!g_main_context_iteration(s->server_context, false)) {
            break;
        }
    }
    ivshmem_flat_listen_to_server(s, NULL);
}

static gboolean ivshmem_flat_handshake_timeout(void *opaque)
{
    bool *timed_out = opaque;

    *timed_out = true;
    return G_SOURCE_REMOVE;
}

static const char *ivshmem_flat_still_missing(IvshmemFlatState *s,
                                              bool want_doorbell)
{
    if (s->expect == IVSHMEM_FLAT_EXPECT_VERSION) {
        return "protocol version";
    }
    if (s->expect == IVSHMEM_FLAT_EXPECT_OWN_ID) {
        return "own ID";
    }
    if (!s->ram) {
        return "shared memory";
    }
    if (want_doorbell && !s->doorbell) {
        return "interrupt vector";
    }
    return NULL;
}

/*
 * The server announces the peers that are already there before it gives the
 * device its own vectors.  Once own vector 0 has come, the guest can ring
 * every one of them from its first instruction.
 */
static bool ivshmem_flat_handshake(IvshmemFlatState *s, bool want_doorbell,
                                   Error **errp)
{
    ERRP_GUARD();
    GSource *timeout = g_timeout_source_new_seconds(HANDSHAKE_TIMEOUT_S);
    bool timed_out = false;
    const char *missing;

    g_source_set_callback(timeout, ivshmem_flat_handshake_timeout, &timed_out,
                          NULL);
    g_source_attach(timeout, s->server_context);

    s->realizing = true;
    ivshmem_flat_listen_to_server(s, s->server_context);
    while ((missing = ivshmem_flat_still_missing(s, want_doorbell)) &&
           !s->handshake_error && !timed_out) {
        g_main_context_iteration(s->server_context, true);
    }
    s->realizing = false;
    g_source_destroy(timeout);
    g_source_unref(timeout);

    if (s->handshake_error) {
        error_propagate(errp, g_steal_pointer(&s->handshake_error));
    } else if (missing && s->ram && !s->irq_qompath) {
        warn_report("ivshmem-flat: server gave no interrupt vector within "
                    "%d s: interrupts are off", HANDSHAKE_TIMEOUT_S);
        missing = NULL;
    } else if (missing) {
        error_setg(errp, "server sent no %s within %d s", missing,
                   HANDSHAKE_TIMEOUT_S);
        if (s->ram) {
            error_append_hint(errp, "Start ivshmem-server with '-n 1' or more, "
                              "or leave x-irq-qompath out.\n");
        }
    }

    if (*errp) {
        error_prepend(errp, "chardev '%s': ", ivshmem_flat_server_name(s));
        qemu_chr_fe_set_handlers(&s->server, NULL, NULL, NULL, NULL, NULL,
                                 NULL, true);
    } else {
        ivshmem_flat_listen_to_server(s, NULL);
        s->has_interrupts = s->doorbell && want_doorbell;
    }
    return !*errp;
}

/*
 * Registers
 */

static IvshmemFlatVector *ivshmem_flat_find_vector(IvshmemFlatState *s,
                                                   uint16_t peer,
                                                   uint16_t vector)
{
    GPtrArray *vectors = g_hash_table_lookup(s->peers, GUINT_TO_POINTER(peer));

    return vectors && vector < vectors->len ?
           g_ptr_array_index(vectors, vector) : NULL;
}

static void ivshmem_flat_ring(IvshmemFlatState *s, uint16_t peer,
                              uint16_t vector)
{
    IvshmemFlatVector *found;

    if (!ivshmem_flat_interrupts_enabled(s)) {
        trace_ivshmem_flat_ring_ignored(peer, vector, "interrupts are off");
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: DOORBELL written with interrupts off\n");
        return;
    }

    found = ivshmem_flat_find_vector(s, peer, vector);
    if (!found) {
        ivshmem_flat_catch_up(s);
        found = ivshmem_flat_find_vector(s, peer, vector);
    }
    if (!found) {
        trace_ivshmem_flat_ring_ignored(peer, vector, "not connected");
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: DOORBELL rings vector %u of peer %u, "
                      "which is not connected\n", vector, peer);
        return;
    }

    trace_ivshmem_flat_ring(s->own_id, peer, vector);
    ivshmem_flat_signal(s, event_notifier_get_fd(&found->notifier));
}

static bool ivshmem_flat_access_ok(hwaddr offset, unsigned size,
                                   const char *access)
{
    if (size == 4 && QEMU_IS_ALIGNED(offset, 4)) {
        return true;
    }
    trace_ivshmem_flat_bad_access(access, offset, size);
    qemu_log_mask(LOG_GUEST_ERROR,
                  "ivshmem-flat: %u-byte %s at offset 0x%" HWADDR_PRIx
                  ": registers take aligned 4-byte accesses\n",
                  size, access, offset);
    return false;
}

static uint64_t ivshmem_flat_read(void *opaque, hwaddr offset, unsigned size)
{
    IvshmemFlatState *s = opaque;
    uint32_t value = 0;

    if (!ivshmem_flat_access_ok(offset, size, "read")) {
        return 0;
    }

    switch (offset) {
    case A_INTRMASK:
        value = s->intrmask;
        break;
    case A_INTRSTATUS:
        value = s->intrstatus;
        s->intrstatus = 0;
        break;
    case A_IVPOSITION:
        value = ivshmem_flat_interrupts_enabled(s) ? s->own_id : 0;
        break;
    case A_DOORBELL:
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: read of write-only DOORBELL\n");
        break;
    default:
        g_assert_not_reached();
    }

    trace_ivshmem_flat_read(offset, value);
    return value;
}

static void ivshmem_flat_write(void *opaque, hwaddr offset, uint64_t value,
                               unsigned size)
{
    IvshmemFlatState *s = opaque;

    if (!ivshmem_flat_access_ok(offset, size, "write")) {
        return;
    }
    trace_ivshmem_flat_write(offset, value);

    switch (offset) {
    case A_INTRMASK:
        s->intrmask = value;
        break;
    case A_INTRSTATUS:
        s->intrstatus = value;
        break;
    case A_IVPOSITION:
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: write of 0x%" PRIx64
                      " to read-only IVPOSITION\n", value);
        break;
    case A_DOORBELL:
        ivshmem_flat_ring(s, FIELD_EX32(value, DOORBELL, PEER),
                          FIELD_EX32(value, DOORBELL, VECTOR));
        break;
    default:
        g_assert_not_reached();
    }
}

/* Every access reaches the callbacks: a bad one is logged, never a fault */
static const MemoryRegionOps ivshmem_flat_mmr_ops = {
    .read = ivshmem_flat_read,
    .write = ivshmem_flat_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

static void ivshmem_flat_reset_hold(Object *obj, ResetType type)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(obj);

    s->intrmask = 0;
    s->intrstatus = 0;
}

/*
 * Place and wire: what -device asks for with x-bus-qompath
 */

typedef struct LineSearch {
    const char *suffix;
    GPtrArray *paths;
} LineSearch;

static int ivshmem_flat_match_line(Object *obj, void *opaque)
{
    LineSearch *search = opaque;
    g_autofree char *path = NULL;

    if (object_dynamic_cast(obj, TYPE_IRQ)) {
        path = object_get_canonical_path(obj);
        if (g_str_has_suffix(path, search->suffix)) {
            g_ptr_array_add(search->paths, g_steal_pointer(&path));
        }
    }
    return 0;
}

/* The paths of all input lines that end in @tail */
static GPtrArray *ivshmem_flat_find_lines(const char *tail)
{
    g_autofree char *suffix = g_strconcat("/", tail, NULL);
    LineSearch search = {
        .suffix = suffix,
        .paths = g_ptr_array_new_with_free_func(g_free),
    };

    object_child_foreach_recursive(object_get_root(), ivshmem_flat_match_line,
                                   &search);
    return search.paths;
}

static const char *ivshmem_flat_last_two_components(const char *path)
{
    const char *last = strrchr(path, '/');
    const char *slash = g_strrstr_len(path, last - path, "/");

    return slash ? slash + 1 : path + 1;
}

static qemu_irq ivshmem_flat_resolve_line(const char *path, Error **errp)
{
    ERRP_GUARD();
    bool absolute = *path == '/';
    Object *obj = absolute ? object_resolve_path(path, NULL) : NULL;
    g_autoptr(GPtrArray) lines = NULL;
    const char *line;

    if (obj) {
        if (!object_dynamic_cast(obj, TYPE_IRQ)) {
            error_setg(errp, "x-irq-qompath '%s' is a '%s', "
                       "not an interrupt input line",
                       path, object_get_typename(obj));
            return NULL;
        }
        return IRQ(obj);
    }

    /* Between QEMU versions controllers move, and keep their own names */
    lines = ivshmem_flat_find_lines(
        absolute ? ivshmem_flat_last_two_components(path) : path);
    if (lines->len == 1) {
        line = g_ptr_array_index(lines, 0);
        if (absolute) {
            warn_report("ivshmem-flat: x-irq-qompath '%s' names nothing "
                        "on this machine: using '%s'", path, line);
        }
        return IRQ(object_resolve_path(line, NULL));
    }

    if (lines->len == 0) {
        error_setg(errp, "x-irq-qompath '%s' names no interrupt input line",
                   path);
        error_append_hint(errp, "'info qom-tree' in the monitor shows such "
                          "lines as unnamed-gpio-in[N] (irq).\n");
        return NULL;
    }
    error_setg(errp, "x-irq-qompath '%s' could be any of %u interrupt "
               "input lines", path, lines->len);
    for (unsigned i = 0; i < lines->len; i++) {
        error_append_hint(errp, "  %s\n",
                          (char *)g_ptr_array_index(lines, i));
    }
    return NULL;
}

/* Also where system memory lies in a container of the SoC's or the CPU's */
static bool ivshmem_flat_holds_system_memory(MemoryRegion *mr)
{
    MemoryRegion *holder = get_system_memory();

    while (holder && holder != mr) {
        holder = holder->container;
    }
    return holder;
}

/* Stand-ins for unimplemented devices have negative priorities */
static bool ivshmem_flat_is_stand_in(MemoryRegion *mr)
{
    for (; mr && !ivshmem_flat_holds_system_memory(mr); mr = mr->container) {
        if (mr->priority < 0) {
            return true;
        }
    }
    return false;
}

typedef struct Overlap {
    MemoryRegion *mr;
    hwaddr addr;
} Overlap;

static gboolean ivshmem_flat_same_region(const void *a, const void *b)
{
    return ((const Overlap *)a)->mr == ((const Overlap *)b)->mr;
}

/* What the CPU sees in a range: each region once, with its first address */
static GPtrArray *ivshmem_flat_find_overlaps(hwaddr addr, uint64_t size)
{
    GPtrArray *overlaps = g_ptr_array_new_with_free_func(g_free);
    hwaddr last = addr + size - 1;

    do {
        MemoryRegionSection section =
            memory_region_find(get_system_memory(), addr, last - addr + 1);
        Overlap *overlap;

        if (!section.mr) {
            break;
        }
        overlap = g_new0(Overlap, 1);
        overlap->mr = section.mr;
        overlap->addr = section.offset_within_address_space;
        if (g_ptr_array_find_with_equal_func(overlaps, overlap,
                                             ivshmem_flat_same_region,
                                             NULL)) {
            g_free(overlap);
        } else {
            g_ptr_array_add(overlaps, overlap);
        }
        addr = section.offset_within_address_space +
               int128_get64(section.size);
        memory_region_unref(section.mr);
    } while (addr != 0 && addr <= last);
    return overlaps;
}

static void ivshmem_flat_place_window(IvshmemFlatState *s, int n, hwaddr addr,
                                      const char *property)
{
    SysBusDevice *sbd = SYS_BUS_DEVICE(s);
    MemoryRegion *window = sysbus_mmio_get_region(sbd, n);
    g_autoptr(GPtrArray) overlaps =
        ivshmem_flat_find_overlaps(addr, memory_region_size(window));

    sysbus_mmio_map_overlap(sbd, n, addr, WINDOW_PRIORITY);

    for (unsigned i = 0; i < overlaps->len; i++) {
        Overlap *overlap = g_ptr_array_index(overlaps, i);
        MemoryRegionSection now =
            memory_region_find(get_system_memory(), overlap->addr, 1);
        bool covered = now.mr != overlap->mr;

        if (!covered || !ivshmem_flat_is_stand_in(overlap->mr)) {
            warn_report("ivshmem-flat: the window at %s %s '%s' "
                        "at 0x%" HWADDR_PRIx, property,
                        covered ? "covers" : "is hidden behind",
                        memory_region_name(overlap->mr), overlap->addr);
        }
        memory_region_unref(now.mr);
    }
}

/*
 * Life cycle
 */

/*
 * Peers are other processes, which a CPU alone in its machine does not know
 * of: tell TCG, or it translates the guest's atomic accesses without atomicity.
 */
static void ivshmem_flat_machine_done(Notifier *notifier, void *data)
{
    CPUState *cpu;

    if (tcg_enabled()) {
        CPU_FOREACH(cpu) {
            tcg_cflags_set(cpu, CF_PARALLEL);
        }
    }
}

static bool ivshmem_flat_is_from_command_line(IvshmemFlatState *s)
{
    Object *parent = OBJECT(s)->parent;

    return parent && (parent == object_resolve_path("/machine/peripheral",
                                                    NULL) ||
                      parent == object_resolve_path("/machine/peripheral-anon",
                                                    NULL));
}

static bool ivshmem_flat_check_window(const char *property, hwaddr addr,
                                      uint64_t size, uint64_t alignment,
                                      Error **errp)
{
    if (!QEMU_IS_ALIGNED(addr, alignment)) {
        error_setg(errp, "%s 0x%" HWADDR_PRIx " is not a multiple of %" PRIu64,
                   property, addr, alignment);
        return false;
    }
    if (addr + size - 1 < addr) {
        error_setg(errp, "%s 0x%" HWADDR_PRIx " is too high for a window "
                   "of %" PRIu64 " bytes", property, addr, size);
        return false;
    }
    return true;
}

/* With 'reconnect-ms' the chardev makes its first attempt in another thread */
static void ivshmem_flat_await_connection(SocketChardev *chr)
{
    if (chr->connect_task) {
        g_main_context_acquire(NULL);
        qio_task_wait_thread(chr->connect_task);
        g_main_context_release(NULL);
    }
}

static bool ivshmem_flat_check_properties(IvshmemFlatState *s, Error **errp)
{
    ERRP_GUARD();
    uint64_t page_size = qemu_real_host_page_size();
    Chardev *chr;

    if (s->ram) {
        error_setg(errp, "can't be realized a second time");
        return false;
    }

    if (!s->bus_qompath) {
        if (ivshmem_flat_is_from_command_line(s)) {
            error_setg(errp, "x-bus-qompath is missing: "
                       "add x-bus-qompath=/sysbus");
            return false;
        }
        if (s->irq_qompath) {
            error_setg(errp, "x-irq-qompath needs x-bus-qompath=/sysbus");
            return false;
        }
    } else if (strcmp(s->bus_qompath, "/sysbus")) {
        error_setg(errp, "x-bus-qompath is '%s', must be '/sysbus'",
                   s->bus_qompath);
        return false;
    }

    if (s->shmem_size == 0 || !QEMU_IS_ALIGNED(s->shmem_size, page_size)) {
        error_setg(errp, "shmem-size %" PRIu64 " is not a multiple of the "
                   "host's page size, %" PRIu64, s->shmem_size, page_size);
        return false;
    }
    if (!ivshmem_flat_check_window("x-bus-address-mmr", s->mmr_addr, MMR_SIZE,
                                   MMR_SIZE, errp) ||
        !ivshmem_flat_check_window("x-bus-address-shmem", s->shmem_addr,
                                   s->shmem_size, page_size, errp)) {
        return false;
    }
    if (s->bus_qompath && ranges_overlap(s->mmr_addr, MMR_SIZE,
                                         s->shmem_addr, s->shmem_size)) {
        error_setg(errp, "x-bus-address-mmr 0x%" PRIx64 " lies within the "
                   "shared memory, %" PRIu64 " bytes from 0x%" PRIx64,
                   s->mmr_addr, s->shmem_size, s->shmem_addr);
        return false;
    }

    if (!qemu_chr_fe_backend_connected(&s->server)) {
        error_setg(errp, "chardev is missing");
        error_append_hint(errp, "Add -chardev socket,path=/tmp/ivshmem_socket,"
                          "id=ivshmem and chardev=ivshmem.\n");
        return false;
    }
    chr = qemu_chr_fe_get_driver(&s->server);
    if (!object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET)) {
        error_setg(errp, "chardev '%s' is a '%s', must be a UNIX socket",
                   chr->label, object_get_typename(OBJECT(chr)));
        error_append_hint(errp, "Use -chardev socket,path=/tmp/ivshmem_socket,"
                          "id=%s.\n", chr->label);
        return false;
    }
    if (SOCKET_CHARDEV(chr)->is_listen) {
        error_setg(errp, "chardev '%s' must be a client of ivshmem-server: "
                   "leave 'server' out", chr->label);
        return false;
    }
    ivshmem_flat_await_connection(SOCKET_CHARDEV(chr));
    if (!qemu_chr_fe_backend_open(&s->server)) {
        error_setg(errp, "chardev '%s' is not connected: "
                   "start ivshmem-server first", chr->label);
        return false;
    }
    if (!qemu_chr_has_feature(chr, QEMU_CHAR_FEATURE_FD_PASS)) {
        error_setg(errp, "chardev '%s' can't pass file descriptors: "
                   "it must be a UNIX socket, given by path=", chr->label);
        return false;
    }
    return true;
}

/* Undoes what realize did, from any point */
static void ivshmem_flat_release(IvshmemFlatState *s)
{
    qemu_chr_fe_set_handlers(&s->server, NULL, NULL, NULL, NULL, NULL, NULL,
                             true);
    ivshmem_flat_drop_partial_msg(s);
    if (s->ram) {
        memory_region_del_subregion(&s->shmem, &s->ram->mr);
    }
    s->doorbell = NULL;
    g_hash_table_remove_all(s->peers);
    if (s->own_iothread) {
        iothread_destroy(s->own_iothread);
        s->own_iothread = NULL;
    }
    s->context = NULL;
    ivshmem_flat_release_requests(s);
    migrate_del_blocker(&s->migration_blocker);
    g_clear_pointer(&s->server_context, g_main_context_unref);
}

static void ivshmem_flat_realize(DeviceState *dev, Error **errp)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(dev);
    SysBusDevice *sbd = SYS_BUS_DEVICE(dev);
    bool may_interrupt = s->irq_qompath || !s->bus_qompath;
    qemu_irq line = NULL;

    if (!ivshmem_flat_check_properties(s, errp)) {
        return;
    }
    if (s->irq_qompath) {
        line = ivshmem_flat_resolve_line(s->irq_qompath, errp);
        if (!line) {
            return;
        }
    }

    error_setg(&s->migration_blocker, "ivshmem-flat allows no migration and no "
               "snapshots: its peers and their doorbells can't follow");
    if (migrate_add_blocker(&s->migration_blocker, errp) < 0) {
        return;
    }
    memory_region_init(&s->shmem, OBJECT(s), "ivshmem-flat-shmem",
                       s->shmem_size);
    sysbus_init_mmio(sbd, &s->shmem);
    s->server_context = g_main_context_new();
    if (may_interrupt) {
        if (!s->iothread) {
            s->own_iothread = iothread_create("ivshmem[*]", errp);
            if (!s->own_iothread) {
                goto fail;
            }
            /* A guest that is busy needs the CPU itself */
            object_property_set_int(OBJECT(s->own_iothread), "poll-max-ns", 0,
                                    &error_abort);
        }
        s->context = iothread_get_aio_context(s->iothread ?: s->own_iothread);
    }
    if (!ivshmem_flat_init_requests(s, errp) ||
        !ivshmem_flat_handshake(s, may_interrupt, errp)) {
        goto fail;
    }

    if (s->bus_qompath) {
        ivshmem_flat_place_window(s, 0, s->mmr_addr, "x-bus-address-mmr");
        ivshmem_flat_place_window(s, 1, s->shmem_addr, "x-bus-address-shmem");
    }
    if (line) {
        sysbus_connect_irq(sbd, 0, line);
    } else if (s->bus_qompath) {
        warn_report("ivshmem-flat: x-irq-qompath is not set: interrupts are "
                    "off, only the shared memory works");
    }

    s->vm_change = qemu_add_vm_change_state_handler(ivshmem_flat_vm_change, s);
    s->machine_done.notify = ivshmem_flat_machine_done;
    qemu_add_machine_init_done_notifier(&s->machine_done);
    return;

fail:
    ivshmem_flat_release(s);
}

static void ivshmem_flat_unrealize(DeviceState *dev)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(dev);

    qemu_del_vm_change_state_handler(s->vm_change);
    qemu_remove_machine_init_done_notifier(&s->machine_done);
    if (ivshmem_flat_interrupts_enabled(s)) {
        ivshmem_flat_quiesce(s);
    }
    ivshmem_flat_release(s);
}

static void ivshmem_flat_get_own_id(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    visit_type_uint16(v, name, &IVSHMEM_FLAT(obj)->own_id, errp);
}

static bool ivshmem_flat_get_connected(Object *obj, Error **errp)
{
    return qemu_chr_fe_backend_open(&IVSHMEM_FLAT(obj)->server);
}

static void ivshmem_flat_get_peers(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(obj);
    uint32_t count = g_hash_table_size(s->peers);

    if (s->doorbell) {
        count--;
    }
    visit_type_uint32(v, name, &count, errp);
}

static char *ivshmem_flat_get_version(Object *obj, Error **errp)
{
    return g_strdup(IVSHMEM_FLAT_VERSION);
}

static void ivshmem_flat_init(Object *obj)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(obj);
    SysBusDevice *sbd = SYS_BUS_DEVICE(obj);

    s->msg_fd = -1;
    s->last_id = -1;
    s->null_fd = -1;
    s->peers = g_hash_table_new_full(NULL, NULL, NULL,
                                     (GDestroyNotify)g_ptr_array_unref);
    memory_region_init_io(&s->mmr, obj, &ivshmem_flat_mmr_ops, s,
                          "ivshmem-flat-mmr", MMR_SIZE);
    sysbus_init_mmio(sbd, &s->mmr);
    sysbus_init_irq(sbd, &s->irq);
}

static void ivshmem_flat_finalize(Object *obj)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(obj);

    g_hash_table_unref(s->peers);
    g_free(s->ram);
}

static const Property ivshmem_flat_properties[] = {
    DEFINE_PROP_CHR("chardev", IvshmemFlatState, server),
    DEFINE_PROP_SIZE("shmem-size", IvshmemFlatState, shmem_size, 4 * MiB),
    DEFINE_PROP_STRING("x-bus-qompath", IvshmemFlatState, bus_qompath),
    DEFINE_PROP_STRING("x-irq-qompath", IvshmemFlatState, irq_qompath),
    DEFINE_PROP_UINT64("x-bus-address-mmr", IvshmemFlatState, mmr_addr,
                       0x400ff000),
    DEFINE_PROP_UINT64("x-bus-address-shmem", IvshmemFlatState, shmem_addr,
                       0x40100000),
    DEFINE_PROP_LINK("iothread", IvshmemFlatState, iothread, TYPE_IOTHREAD,
                     IOThread *),
};

static void ivshmem_flat_describe_properties(ObjectClass *oc)
{
    static const struct {
        const char *name;
        const char *description;
    } descriptions[] = {
        { "chardev", "UNIX socket of the ivshmem server" },
        { "shmem-size", "Bytes of shared memory, as the server has them" },
        { "x-bus-qompath", "Bus to place the device on: /sysbus" },
        { "x-irq-qompath", "Interrupt input line, a QOM path or the end of "
          "one; without it there are no interrupts" },
        { "x-bus-address-mmr", "Where the guest finds the registers" },
        { "x-bus-address-shmem", "Where the guest finds the shared memory" },
        { "iothread", "Thread that serves the doorbell, instead of one of the "
          "device's own" },
        { "own-id", "This VM's ID at the server (read-only)" },
        { "connected", "Whether the server is there (read-only)" },
        { "peers", "Number of other VMs connected (read-only)" },
        { "version", "Of the device: " IVSHMEM_FLAT_VERSION " (read-only)" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(descriptions); i++) {
        object_class_property_set_description(oc, descriptions[i].name,
                                              descriptions[i].description);
    }
}

static void ivshmem_flat_allow_on_machine(ObjectClass *oc, void *opaque)
{
    MachineClass *mc = MACHINE_CLASS(oc);

    if (!device_type_is_dynamic_sysbus(mc, TYPE_IVSHMEM_FLAT)) {
        machine_class_allow_dynamic_sysbus_dev(mc, TYPE_IVSHMEM_FLAT);
    }
}

static void ivshmem_flat_class_init(ObjectClass *oc, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    ResettableClass *rc = RESETTABLE_CLASS(oc);

    dc->desc = "Inter-VM shared memory and doorbells without PCI";
    dc->realize = ivshmem_flat_realize;
    dc->unrealize = ivshmem_flat_unrealize;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    rc->phases.hold = ivshmem_flat_reset_hold;
    device_class_set_props(dc, ivshmem_flat_properties);
    object_class_property_add(oc, "own-id", "uint16", ivshmem_flat_get_own_id,
                              NULL, NULL, NULL);
    object_class_property_add_bool(oc, "connected", ivshmem_flat_get_connected,
                                   NULL);
    object_class_property_add(oc, "peers", "uint32", ivshmem_flat_get_peers,
                              NULL, NULL, NULL);
    object_class_property_add_str(oc, "version", ivshmem_flat_get_version,
                                  NULL);
    ivshmem_flat_describe_properties(oc);

    /* The device places and wires itself: no machine has to know of it */
    object_class_foreach(ivshmem_flat_allow_on_machine, TYPE_MACHINE, false,
                         NULL);
}

static const TypeInfo ivshmem_flat_types[] = {
    {
        .name = TYPE_IVSHMEM_FLAT,
        .parent = TYPE_DYNAMIC_SYS_BUS_DEVICE,
        .instance_size = sizeof(IvshmemFlatState),
        .instance_init = ivshmem_flat_init,
        .instance_finalize = ivshmem_flat_finalize,
        .class_init = ivshmem_flat_class_init,
    },
};

DEFINE_TYPES(ivshmem_flat_types)
