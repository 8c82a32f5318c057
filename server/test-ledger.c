/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ledger after its process was killed at a bad time. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ledger.h"

static Ledger *next_process(const Ledger *ledger)
{
    g_autoptr(GError) error = NULL;
    Ledger *next = ledger_restore(dup(ledger->fd), &error);

    g_assert_no_error(error);
    return next;
}

/* Killed after the system call, before its result was recorded. */
static void test_killed_while_sending(void)
{
    Ledger *ledger = ledger_new("test", 0, NULL), *next;
    Outbox *outbox = ledger_outbox(ledger);
    unsigned i;

    ledger_join(ledger, 0, ledger_new_event(ledger));
    for (i = 0; i < 3; i++) {
        outbox->length[i] = 5;
        outbox->after[i] = (Progress) { .told = 10 + i, .value = i };
    }
    ledger_sending(ledger, 0, 3);
    outbox->message[0].msg_len = 5;
    outbox->message[1].msg_len = 2;
    next = next_process(ledger);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.told, ==, 11);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.rest, ==, 3);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.value, ==, 1);
    g_assert_cmpuint(ledger_outbox(next)->count, ==, 0);
    ledger_free(next);
    ledger_free(ledger);
}

/* Killed before sendmmsg(): nothing was sent. */
static void test_killed_before_sending(void)
{
    Ledger *ledger = ledger_new("test", 0, NULL), *next;

    ledger_join(ledger, 0, ledger_new_event(ledger));
    ledger_entry(ledger, 0)->progress.told = 5;
    ledger_outbox(ledger)->message[0].msg_len = 8;      /* of the previous batch */
    ledger_sending(ledger, 0, 1);
    next = next_process(ledger);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.told, ==, 5);
    ledger_free(next);
    ledger_free(ledger);
}

/* Killed when the departure was recorded but the client's entry was still there. */
static void test_killed_while_leaving(void)
{
    Ledger *ledger = ledger_new("test", 0, NULL), *next;
    uint64_t joined = ledger_new_event(ledger);
    int index;

    ledger_entry(ledger, 0)->id = 7;
    ledger_join(ledger, 0, joined);
    ledger_join(ledger, 1, ledger_new_event(ledger));
    index = ledger_free_departure(ledger);
    ledger_add_hearer(ledger, index, 1);
    ledger_leave(ledger, 0, index, ledger_new_event(ledger));
    ledger_entry(ledger, 0)->joined = joined;
    next = next_process(ledger);
    g_assert_cmpuint(ledger_entry(next, 0)->joined, ==, 0);
    g_assert_cmpuint(ledger_departure(next, index)->id, ==, 7);
    g_assert_true(ledger_is_hearer(next, index, 1));
    g_assert_false(ledger_is_hearer(next, index, 0));
    ledger_free(next);
    ledger_free(ledger);
}

static void test_slots(void)
{
    Ledger *ledger = ledger_new("test", 3, NULL);

    g_assert_cmpstr(ledger_name(ledger), ==, "test");
    g_assert_cmpuint(ledger_tag(ledger), ==, 3);
    g_assert_cmpint(ledger_free_slot(ledger), ==, 0);
    ledger_join(ledger, 0, ledger_new_event(ledger));
    ledger_join(ledger, 1, ledger_new_event(ledger));
    g_assert_cmpint(ledger_free_slot(ledger), ==, 2);
    ledger_leave(ledger, 0, -1, ledger_new_event(ledger));
    g_assert_cmpint(ledger_free_slot(ledger), ==, 0);
    g_assert_cmpuint(ledger_slots(ledger), ==, 2);
    g_assert_cmpuint(ledger_last_used(ledger, 0), ==, 3);
    ledger_free(ledger);
}

static void test_no_ledger(void)
{
    Ledger *ledger = ledger_new("test", 0, NULL);
    g_autoptr(GError) small = NULL, other = NULL;
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_null(ledger_restore(fd, &small));
    g_assert_nonnull(strstr(small->message, "another version"));
    g_assert_cmpint(pwrite(ledger->fd, "x", 1, 0), ==, 1);
    g_assert_null(ledger_restore(dup(ledger->fd), &other));
    g_assert_nonnull(strstr(other->message, "another version"));
    ledger_free(ledger);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ledger/slots", test_slots);
    g_test_add_func("/ledger/killed-while-sending", test_killed_while_sending);
    g_test_add_func("/ledger/killed-before-sending", test_killed_before_sending);
    g_test_add_func("/ledger/killed-while-leaving", test_killed_while_leaving);
    g_test_add_func("/ledger/no-ledger", test_no_ledger);
    return g_test_run();
}
