/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of handed-over fds. */
#include <string.h>

#include "handover.h"

static void test_round_trip(void)
{
    static const FdName names[] = {
        { FD_LEDGER, 0, 0, 0 }, { FD_MEMORY, 3, 0, 0 }, { FD_LOCK, UINT32_MAX, 0, 0 },
        { FD_CLIENT, 0, 1, 0 }, { FD_CLIENT, 7, UINT64_MAX, 0 },
        { FD_VECTOR, 1, 17, 0 }, { FD_VECTOR, 1, 17, 63 },
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *text = fd_name_format(names[i].kind, names[i].tag,
                                               names[i].joined, names[i].vector);
        FdName name = fd_name_parse(text);

        /* systemd does not allow this character in a name */
        g_assert_null(strchr(text, ':'));
        g_assert_cmpint(name.kind, ==, names[i].kind);
        g_assert_cmpuint(name.tag, ==, names[i].tag);
        g_assert_cmpuint(name.joined, ==, names[i].joined);
        g_assert_cmpuint(name.vector, ==, names[i].vector);
    }
}

static void test_anything_else_is_a_listener(void)
{
    static const char *const names[] = {
        "", "/", "0", "0/", "0/0", "0/x", "x/1", "-1/1", "4294967296/1", "0/1/",
        "0/1/2/3", "0/1/-1", "0/1/4294967296", "0/18446744073709551616", "0/ledger/1",
        "0/ledgers", " 0/1", "listener/123", "ivshmemd@lab.socket",
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpint(fd_name_parse(names[i]).kind, ==, FD_LISTENER);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/handover/round-trip", test_round_trip);
    g_test_add_func("/handover/anything-else-is-a-listener",
                    test_anything_else_is_a_listener);
    return g_test_run();
}
