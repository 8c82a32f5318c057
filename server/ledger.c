/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel's clients, and what each has been told, for the server process that takes
 * over. The ledger is in a memfd, which is passed to the next process directly or
 * through systemd's fd store. Nothing is written at exit, so SIGKILL is no different
 * from a reload.
 *
 * So the ledger must be valid after every single store. A client or a departure is
 * filled in first; storing its event number then makes it valid. What a client must
 * still be told follows from those numbers.
 *
 * The ledger also knows exactly what was sent. sendmmsg() writes the length of each
 * message to its header as soon as it is queued, within the system call, and a process
 * can be killed only between system calls. The headers are in the ledger, so they show
 * how many messages of the current batch were sent. Beside each is the client's
 * progress after that message.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "error.h"
#include "fd.h"
#include "ledger.h"

#define MAGIC "ivshmemd"
#define LAYOUT 1
#define HEARER_BITS 64

/* Sparse: only used pages take memory. */
struct LedgerFile {
    char magic[8];
    uint32_t version;
    uint32_t tag;
    char name[LEDGER_NAME_LENGTH];
    uint64_t last_event;
    uint32_t slots;             /* higher ones were never used */
    uint32_t departures;
    Outbox outbox;
    uint64_t last_used[IDS_NUMBER];
    Entry entry[LEDGER_CLIENTS];
    Departure departure[LEDGER_DEPARTURES];
    alignas(4096) uint64_t hearer[LEDGER_DEPARTURES][LEDGER_CLIENTS / HEARER_BITS];
};

/*
 * Keeps stores before it ahead of those after it. There is only one thread, and the
 * kernel sees a dead process's stores in order, so only the compiler must be stopped
 * from reordering.
 */
static void ledger_barrier(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static Ledger *ledger_map(int fd, GError **error)
{
    LedgerFile *file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED,
                            fd, 0);
    Ledger *ledger;

    if (file == MAP_FAILED) {
        fail(error, "cannot map the list of clients: %s", g_strerror(errno));
        return NULL;
    }
    ledger = g_new0(Ledger, 1);
    ledger->fd = fd;
    ledger->file = file;
    ledger->max_departures = LEDGER_DEPARTURES;
    return ledger;
}

Ledger *ledger_new(const char *name, uint32_t tag, GError **error)
{
    AUTO_FD fd = memfd_create("ivshmemd-ledger", MFD_CLOEXEC);
    Ledger *ledger;

    if (fd < 0 || ftruncate(fd, sizeof(LedgerFile)) < 0) {
        fail(error, "cannot create the list of clients: %s", g_strerror(errno));
        return NULL;
    }
    ledger = ledger_map(fd, error);
    if (ledger) {
        fd_steal(&fd);
        memcpy(ledger->file->magic, MAGIC, sizeof(ledger->file->magic));
        ledger->file->version = LAYOUT;
        ledger->file->tag = tag;
        g_strlcpy(ledger->file->name, name, LEDGER_NAME_LENGTH);
    }
    return ledger;
}

/* Remove clients whose departure is recorded but whose entry is still there */
static void ledger_finish_leave(Ledger *ledger)
{
    unsigned i, slot;

    for (i = 0; i < ledger->file->departures; i++) {
        Departure *departure = &ledger->file->departure[i];

        for (slot = 0; departure->left && slot < ledger->file->slots; slot++) {
            if (ledger->file->entry[slot].joined == departure->joined) {
                ledger->file->entry[slot].joined = 0;
            }
        }
    }
}

static bool ledger_makes_sense(const LedgerFile *file)
{
    unsigned slot;

    if (memcmp(file->magic, MAGIC, sizeof(file->magic)) || file->version != LAYOUT ||
        !memchr(file->name, 0, sizeof(file->name)) || file->slots > LEDGER_CLIENTS ||
        file->departures > LEDGER_DEPARTURES || file->outbox.count > OUTBOX_MESSAGES ||
        file->outbox.slot >= LEDGER_CLIENTS) {
        return false;
    }
    for (slot = 0; slot < file->slots; slot++) {
        const Entry *entry = &file->entry[slot];

        if (entry->vectors > LEDGER_VECTORS || entry->progress.step > LEDGER_VECTORS ||
            entry->progress.greeting > GREETINGS ||
            entry->progress.rest >= sizeof(entry->progress.value) ||
            !memchr(entry->command, 0, sizeof(entry->command)) ||
            !memchr(entry->socket, 0, sizeof(entry->socket))) {
            return false;
        }
    }
    return true;
}

Ledger *ledger_restore(int fd, GError **error)
{
    static const char refusal[] = "the previous process's list of clients is invalid, "
                                  "or of another version of ivshmemd";
    AUTO_FD owned = fd;
    g_autoptr(Ledger) ledger = NULL;
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size != sizeof(LedgerFile)) {
        fail(error, "%s", refusal);
        return NULL;
    }
    ledger = ledger_map(fd, error);
    if (!ledger) {
        return NULL;
    }
    fd_steal(&owned);
    if (!ledger_makes_sense(ledger->file)) {
        fail(error, "%s", refusal);
        return NULL;
    }
    ledger_sent(ledger);
    ledger_finish_leave(ledger);
    return g_steal_pointer(&ledger);
}

void ledger_free(Ledger *ledger)
{
    munmap(ledger->file, sizeof(*ledger->file));
    fd_close(&ledger->fd);
    g_free(ledger);
}

const char *ledger_name(const Ledger *ledger)
{
    return ledger->file->name;
}

uint32_t ledger_tag(const Ledger *ledger)
{
    return ledger->file->tag;
}

uint64_t ledger_new_event(Ledger *ledger)
{
    return ++ledger->file->last_event;
}

uint64_t ledger_last_event(const Ledger *ledger)
{
    return ledger->file->last_event;
}

unsigned ledger_slots(const Ledger *ledger)
{
    return ledger->file->slots;
}

Entry *ledger_entry(const Ledger *ledger, unsigned slot)
{
    return &ledger->file->entry[slot];
}

int ledger_free_slot(Ledger *ledger)
{
    while (ledger->first_free_slot < LEDGER_CLIENTS &&
           ledger->file->entry[ledger->first_free_slot].joined) {
        ledger->first_free_slot++;
    }
    return ledger->first_free_slot < LEDGER_CLIENTS ? (int)ledger->first_free_slot : -1;
}

void ledger_join(Ledger *ledger, unsigned slot, uint64_t event)
{
    Entry *entry = &ledger->file->entry[slot];

    ledger->file->slots = MAX(ledger->file->slots, slot + 1);
    ledger->file->last_used[entry->id] = event;
    ledger_barrier();
    entry->joined = event;
}

unsigned ledger_departures(const Ledger *ledger)
{
    return ledger->file->departures;
}

Departure *ledger_departure(const Ledger *ledger, unsigned index)
{
    return &ledger->file->departure[index];
}

int ledger_free_departure(Ledger *ledger)
{
    unsigned i = ledger->first_free_departure;

    while (i < ledger->max_departures && ledger->file->departure[i].left) {
        i++;
    }
    ledger->first_free_departure = i;
    if (i == ledger->max_departures) {
        return -1;
    }
    memset(ledger->file->hearer[i], 0,
           (ledger->file->slots + HEARER_BITS - 1) / HEARER_BITS * sizeof(uint64_t));
    return i;
}

void ledger_add_hearer(Ledger *ledger, unsigned index, unsigned slot)
{
    ledger->file->hearer[index][slot / HEARER_BITS] |=
        UINT64_C(1) << slot % HEARER_BITS;
}

bool ledger_is_hearer(const Ledger *ledger, unsigned index, unsigned slot)
{
    const Departure *departure = &ledger->file->departure[index];
    uint64_t bits = ledger->file->hearer[index][slot / HEARER_BITS];

    /* The slot may belong to a later client now */
    return bits >> slot % HEARER_BITS & 1 &&
           ledger->file->entry[slot].joined < departure->left;
}

void ledger_leave(Ledger *ledger, unsigned slot, int index, uint64_t event)
{
    Entry *entry = &ledger->file->entry[slot];

    ledger->file->last_used[entry->id] = event;
    if (index >= 0) {
        Departure *departure = &ledger->file->departure[index];

        ledger->file->departures = MAX(ledger->file->departures, index + 1u);
        departure->joined = entry->joined;
        departure->id = entry->id;
        ledger_barrier();
        departure->left = event;
    }
    ledger_barrier();
    entry->joined = 0;
    ledger->first_free_slot = MIN(ledger->first_free_slot, slot);
}

void ledger_drop_departure(Ledger *ledger, unsigned index)
{
    ledger->file->departure[index].left = 0;
    ledger->first_free_departure = MIN(ledger->first_free_departure, index);

    /* A client that was stopped for hours may have left many pages behind. */
    if (index >= 64) {
        madvise(ledger->file->hearer[index], sizeof(ledger->file->hearer[index]),
                MADV_REMOVE);
    }
}

uint64_t ledger_last_used(const Ledger *ledger, unsigned id)
{
    return ledger->file->last_used[id];
}

Outbox *ledger_outbox(Ledger *ledger)
{
    return &ledger->file->outbox;
}

void ledger_sending(Ledger *ledger, unsigned slot, unsigned count)
{
    Outbox *outbox = &ledger->file->outbox;
    unsigned i;

    for (i = 0; i < count; i++) {
        outbox->message[i].msg_len = 0;
    }
    outbox->slot = slot;
    ledger_barrier();
    outbox->count = count;
    ledger_barrier();
}

void ledger_sent(Ledger *ledger)
{
    Outbox *outbox = &ledger->file->outbox;
    unsigned sent = 0;

    while (sent < outbox->count && outbox->message[sent].msg_len) {
        sent++;
    }
    if (sent) {
        Entry *entry = &ledger->file->entry[outbox->slot];

        entry->progress = outbox->after[sent - 1];
        entry->progress.rest = outbox->length[sent - 1] -
                               outbox->message[sent - 1].msg_len;
    }
    ledger_barrier();
    outbox->count = 0;
}
