/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What clients are sent, and in which order. */
#include "test-client.h"

static void test_order(Fixture *fixture, gconstpointer data)
{
    int a = join(fixture, -1, 2, false), b, c;

    (void)data;
    assert_reads(a, "0 0 -1+ 0+ 0+ ");
    b = join(fixture, -1, 1, false);
    assert_reads(b, "0 1 -1+ 0+ 0+ 1+ ");
    assert_reads(a, "1+ ");
    c = join(fixture, 9, 0, false);
    assert_reads(c, "0 9 -1+ 0+ 0+ 1+ ");
    assert_reads(a, "");
    close(b);
    assert_reads(a, "1 ");
    assert_reads(c, "1 ");
    close(c);
    assert_reads(a, "");
    close(a);
    turn();
    g_assert_cmpuint(fixture->channel->peers->len, ==, 0);
}

/* A client that reads late is told the same, except for what has cancelled out. */
static void test_late_reader(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, -1, 1, true), other[40];
    g_autoptr(GString) expected = g_string_new("0 0 -1+ 0+ ");
    int i;

    (void)data;
    for (i = 0; i < 40; i++) {
        other[i] = join(fixture, -1, 3, false);
        g_string_append_printf(expected, "%d+ %d+ %d+ ", i + 1, i + 1, i + 1);
    }
    assert_reads(late, expected->str);
    for (i = 0; i < 40; i++) {
        close(other[i]);
        turn();
    }
    g_string_truncate(expected, 0);
    for (i = 0; i < 40; i++) {
        g_string_append_printf(expected, "%d ", i + 1);
    }
    assert_reads(late, expected->str);
    g_assert_true(g_queue_get_length(&fixture->channel->events.list) == 1);
    close(late);
}

static void test_unread_cancels_out(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, -1, 1, true), known = join(fixture, 500, 1, false), i;
    const Peer *peer = g_ptr_array_index(fixture->channel->peers, 0);
    g_autofree char *words = NULL;
    char *after;

    (void)data;
    for (i = 0; i < 300; i++) {
        int other = join(fixture, -1, 4, false);

        turn();
        close(other);
        turn();
        g_assert_cmpuint(peer_queued(peer), <=, 20);
    }
    close(known);
    turn();
    known = join(fixture, 500, 2, false);
    words = read_all(late);
    after = strstr(words, "500 500+ 500+ ");
    g_assert_nonnull(after);
    g_assert_cmpstr(after, ==, "500 500+ 500+ ");
    g_assert_nonnull(g_strstr_len(words, after - words, "500+ "));
    g_assert_cmpuint(strlen(words), <, 200);
    close(late);
    close(known);
}

/* A peer that leaves when only half of its vectors were announced also departs. */
static void test_called_off_half_way(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, -1, 1, true), other = join(fixture, -1, 60, false);
    const Peer *peer = g_ptr_array_index(fixture->channel->peers, 0);
    g_autofree char *words = NULL;

    (void)data;
    turn();
    g_assert_cmpint(peer->entry->progress.step, >, 0);
    close(other);
    turn();
    words = read_all(late);
    g_assert_true(g_str_has_suffix(words, " 1+ 1 "));
    close(late);
}

static void test_rest_of_a_message(Fixture *fixture, gconstpointer data)
{
    int client = join(fixture, -1, 1, false), other;
    Peer *peer = g_ptr_array_index(fixture->channel->peers, 0);
    const int64_t value = GINT64_TO_LE(0x1122334455667788);
    char bytes[3];

    (void)data;
    assert_reads(client, "0 0 -1+ 0+ ");
    peer->entry->progress.rest = 3;
    peer->entry->progress.value = 0x1122334455667788;
    other = join(fixture, -1, 1, false);
    g_assert_cmpint(recv(client, bytes, 3, 0), ==, 3);
    g_assert_cmpmem(bytes, 3, (const char *)&value + 5, 3);
    assert_reads(client, "1+ ");
    close(client);
    close(other);
}

/* A new client in the slot of one that had to be told of a departure is not told. */
static void test_place_is_taken_again(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, 900, 1, true), later = join(fixture, 901, 1, true);
    int gone = join(fixture, -1, 1, false), many, newcomer, i;
    g_autoptr(GString) expected = g_string_new("0 2 -1+ 900+ ");

    (void)data;
    assert_reads(late, "0 900 -1+ 900+ 901+ 0+ ");
    assert_reads(later, "0 901 -1+ 900+ 901+ 0+ ");
    many = join(fixture, -1, 60, false);
    close(gone);
    turn();
    close(later);
    turn();
    newcomer = join(fixture, -1, 1, false);
    for (i = 0; i < 60; i++) {
        g_string_append(expected, "1+ ");
    }
    g_string_append(expected, "2+ ");
    assert_reads(newcomer, expected->str);
    g_assert_cmpuint(ledger_slots(fixture->channel->ledger), ==, 4);
    close(late);
    close(many);
    close(newcomer);
}

static unsigned open_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void test_client_that_sends(Fixture *fixture, gconstpointer data)
{
    int quiet = join(fixture, -1, 1, false), loud;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec iov = { (char *)"x", 1 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof(control),
    };
    unsigned before = open_fds();

    (void)data;
    loud = join(fixture, -1, 1, false);
    assert_reads(quiet, "0 0 -1+ 0+ 1+ ");
    memcpy(CMSG_DATA(&control.header), &quiet, sizeof(quiet));
    g_assert_cmpint(sendmsg(loud, &message, 0), ==, 1);
    assert_reads(quiet, "1 ");
    g_assert_cmpuint(fixture->channel->peers->len, ==, 1);
    close(loud);
    g_assert_cmpuint(open_fds(), ==, before);
    close(quiet);
}

static void test_own_socket(Fixture *fixture, gconstpointer data)
{
    int first = join(fixture, 5, 1, false), second, third;

    (void)data;
    second = join(fixture, 5, 1, false);
    assert_logged("peer 5 is already connected");
    assert_reads(second, "end ");
    assert_reads(first, "0 5 -1+ 5+ ");
    close(first);
    third = join(fixture, 5, 1, false);     /* hang-up not noticed yet */
    assert_reads(third, "0 5 -1+ 5+ ");
    close(second);
    close(third);
}

static void test_end_is_silent(Fixture *fixture, gconstpointer data)
{
    int a = join(fixture, -1, 1, false), b = join(fixture, -1, 1, false);

    (void)data;
    assert_reads(a, "0 0 -1+ 0+ 1+ ");
    assert_reads(b, "0 1 -1+ 0+ 1+ ");
    channel_free(g_steal_pointer(&fixture->channel));
    assert_reads(a, "end ");
    assert_reads(b, "end ");
    close(a);
    close(b);
}

#define ADD(name, func) \
    g_test_add("/peer/" name, Fixture, NULL, fixture_init, func, fixture_clear)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("order", test_order);
    ADD("late-reader", test_late_reader);
    ADD("unread-cancels-out", test_unread_cancels_out);
    ADD("called-off-half-way", test_called_off_half_way);
    ADD("place-is-taken-again", test_place_is_taken_again);
    ADD("rest-of-a-message", test_rest_of_a_message);
    ADD("client-that-sends", test_client_that_sends);
    ADD("own-socket", test_own_socket);
    ADD("end-is-silent", test_end_is_silent);
    return run_tests();
}
