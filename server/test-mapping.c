/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words in both byte orders, and truncated memory. */
#include <string.h>
#include <sys/mman.h>

#include "fd.h"
#include "mapping.h"

#define FAILURE 7

static void test_words(void)
{
    AUTO_FD fd = memfd_create("test", MFD_CLOEXEC);
    Mapping mapping;

    g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
    g_assert_true(mapping_init(&mapping, fd, FAILURE, NULL));
    g_assert_cmpuint(mapping.size, ==, 4096);
    mapping_store(&mapping, 4, 0x01020304, false);
    mapping_store(&mapping, 8, 0x01020304, true);
    g_assert_cmpmem(mapping.bytes + 4, 8, "\4\3\2\1\1\2\3\4", 8);
    g_assert_cmpuint(mapping_load(&mapping, 4, false), ==, 0x01020304);
    g_assert_cmpuint(mapping_load(&mapping, 4, true), ==, 0x04030201);
    mapping_clear(&mapping);
}

static void test_no_size(void)
{
    AUTO_FD fd = memfd_create("test", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    Mapping mapping;

    g_assert_false(mapping_init(&mapping, fd, FAILURE, &error));
    g_assert_nonnull(strstr(error->message, "is empty"));
}

/* In a child process, which exits */
static void test_cut_off(void)
{
    if (g_test_subprocess()) {
        AUTO_FD fd = memfd_create("test", MFD_CLOEXEC);
        Mapping mapping;

        g_assert_cmpint(ftruncate(fd, 8192), ==, 0);
        g_assert_true(mapping_init(&mapping, fd, FAILURE, NULL));
        g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
        mapping_load(&mapping, 4096, false);
        return;
    }
    g_test_trap_subprocess(NULL, 10 * G_USEC_PER_SEC, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*part of the shared memory is missing*");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mapping/words", test_words);
    g_test_add_func("/mapping/no-size", test_no_size);
    g_test_add_func("/mapping/cut-off", test_cut_off);
    return g_test_run();
}
