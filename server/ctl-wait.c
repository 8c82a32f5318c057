/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wait: until a number of peers are connected, which the server reports, or until a
 * word of the shared memory has a value, which must be polled.
 */
#include <string.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"
#include "mapping.h"
#include "range.h"

#define WAIT_SECONDS 10.0
#define LOOK_MS 1

/* The limit of a wait, in seconds */
static double limit_of(const Ctl *ctl)
{
    return ctl->timeout < 0 ? WAIT_SECONDS : ctl->timeout;
}

static int wait_for_peers(const Ctl *ctl, const char *number, GError **error)
{
    gint64 deadline = ctl_deadline(ctl, WAIT_SECONDS);
    g_autoptr(Client) client = NULL;
    ClientResult result = CLIENT_MESSAGE;
    uint64_t wanted;

    if (!ctl_number("N", number, MAX_ID, &wanted, error)) {
        return EXIT_USAGE;
    }
    client = ctl_join(ctl, error);
    if (!client) {
        return EXIT_NO_SERVER;
    }
    while (result == CLIENT_MESSAGE && client_count_peers(client) < wanted) {
        ClientMessage message;

        result = client_next(client, deadline, &message, error);
    }
    if (result == CLIENT_TIME_LIMIT) {
        fail(error, "%u of %u peers are connected after %g s", client_count_peers(client),
             (unsigned)wanted, limit_of(ctl));
        return EXIT_TIME_LIMIT;
    }
    return result == CLIENT_LOST ? EXIT_NO_SERVER : EXIT_DONE;
}

/* Poll the word at @offset until it is @wanted. */
static int look(const Ctl *ctl, Client *client, const Mapping *mapping, uint64_t offset,
                uint32_t wanted, gint64 deadline, GError **error)
{
    uint32_t value;

    while ((value = mapping_load(mapping, offset, ctl->big_endian)) != wanted) {
        ClientMessage message;

        if (!deadline_left_ms(deadline)) {
            fail(error, "the word at 0x%" G_GINT64_MODIFIER "x is 0x%x after %g s, not "
                 "0x%x", (guint64)offset, value, limit_of(ctl), wanted);
            return EXIT_TIME_LIMIT;
        }
        if (client_next(client, deadline_in_ms(LOOK_MS), &message, error) ==
            CLIENT_LOST) {
            return EXIT_NO_SERVER;
        }
    }
    return EXIT_DONE;
}

static int wait_for_word(const Ctl *ctl, const char *offset, const char *value,
                         GError **error)
{
    gint64 deadline = ctl_deadline(ctl, WAIT_SECONDS);
    g_autoptr(Client) client = NULL;
    Range range = { .size = sizeof(uint32_t) };
    uint64_t wanted;
    Mapping mapping;
    int result = EXIT_REFUSED;

    if (!range_parse_offset(offset, &range.offset, error) ||
        !range_check_words(&range, error) ||
        !ctl_number("VALUE", value, UINT32_MAX, &wanted, error)) {
        return EXIT_USAGE;
    }
    client = ctl_join(ctl, error);
    if (!client) {
        return EXIT_NO_SERVER;
    }
    if (!mapping_init(&mapping, client_memory(client), EXIT_REFUSED, error)) {
        return EXIT_REFUSED;
    }
    if (range_check(&range, mapping.size, error)) {
        result = look(ctl, client, &mapping, range.offset, wanted, deadline, error);
    }
    mapping_clear(&mapping);
    return result;
}

int ctl_wait(const Ctl *ctl, GError **error)
{
    char **words = ctl->words;

    if (!strcmp(words[0], "peers") && words[1] && !words[2]) {
        return wait_for_peers(ctl, words[1], error);
    }
    if (!strcmp(words[0], "word") && words[1] && words[2]) {
        return wait_for_word(ctl, words[1], words[2], error);
    }
    fail(error, "wait: use either 'peers N' or 'word OFFSET VALUE'");
    return EXIT_USAGE;
}
