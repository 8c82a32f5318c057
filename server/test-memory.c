/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory: sealing, reserving, taking over, errors. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

typedef struct Place {
    char *directory;
    char *path;
} Place;

static void place_init(Place *place, gconstpointer data)
{
    (void)data;
    place->directory = g_dir_make_tmp("ivshmemd-XXXXXX", NULL);
    place->path = memory_file_path(place->directory, "/run/a-b.sock");
}

static void place_clear(Place *place, gconstpointer data)
{
    (void)data;
    g_unlink(place->path);
    g_rmdir(place->directory);
    g_free(place->path);
    g_free(place->directory);
}

static void expect(const char *text)
{
    g_autofree char *pattern = g_strdup_printf("*%s*", text);

    g_test_expect_message("ivshmemd", G_LOG_LEVEL_MESSAGE, pattern);
}

static void test_sealed(void)
{
    g_autoptr(Memory) memory = NULL;
    struct stat st;

    expect("5000 is rounded up to 8K");
    memory = memory_new(MEMORY_SEALED, NULL, 5000, NULL);
    g_test_assert_expected_messages();
    g_assert_nonnull(memory);
    g_assert_cmpuint(memory->size, ==, 8192);
    g_assert_cmpint(fstat(memory->fd, &st), ==, 0);
    g_assert_cmpint(st.st_blocks * 512, >=, 8192);
    g_assert_cmpint(ftruncate(memory->fd, 4096), ==, -1);
    g_assert_cmpint(ftruncate(memory->fd, 16384), ==, -1);
    g_assert_cmpint(fcntl(memory->fd, F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
}

static void test_too_little_space(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(memory_new(MEMORY_SEALED, NULL, UINT64_C(1) << 50, &error));
    g_assert_nonnull(strstr(error->message, "Choose a smaller size"));
}

static void test_taken_over(Place *place, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    char byte = 'x';

    (void)data;
    g_assert_nonnull(memory);
    g_assert_cmpint(pwrite(memory->fd, &byte, 1, 5000), ==, 1);
    memory_free(memory);
    expect("its contents are kept");
    memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    g_test_assert_expected_messages();
    g_assert_nonnull(memory);
    byte = 0;
    g_assert_cmpint(pread(memory->fd, &byte, 1, 5000), ==, 1);
    g_assert_cmpint(byte, ==, 'x');
    memory_free(memory);
}

static void test_other_size_is_refused(Place *place, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    g_autoptr(GError) error = NULL;
    struct stat st;

    (void)data;
    memory_free(memory);
    g_assert_null(memory_new(MEMORY_FILE, place->path, 4096, &error));
    g_assert_nonnull(strstr(error->message, "has 8K, not 4K"));
    g_assert_nonnull(strstr(error->message, "rm "));
    g_assert_cmpint(stat(place->path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 8192);
}

static void test_owner_alive(Place *place, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_null(memory_new(MEMORY_FILE, place->path, 8192, &error));
    g_assert_nonnull(strstr(error->message, "a running server"));
    memory_free(memory);
}

/* A client with the memory open must not look like its owner. */
static void test_client_is_no_owner(Place *place, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    int client = dup(memory->fd);

    (void)data;
    memory_free(memory);
    expect("its contents are kept");
    memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    g_test_assert_expected_messages();
    g_assert_nonnull(memory);
    memory_free(memory);
    close(client);
}

static void test_restored(Place *place, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_FILE, place->path, 8192, NULL);
    int fd = dup(memory->fd), lock = dup(memory->lock);
    g_autoptr(GError) error = NULL;

    (void)data;
    memory_free(memory);
    g_assert_null(memory_new(MEMORY_FILE, place->path, 8192, NULL));
    memory = memory_restore(MEMORY_FILE, place->path, fd, lock, &error);
    g_assert_nonnull(memory);
    g_assert_cmpuint(memory->size, ==, 8192);
    memory_free(memory);
    g_assert_null(memory_restore(MEMORY_SEALED, NULL, -1, -1, &error));
    g_assert_nonnull(error);
}

static void test_file_names(void)
{
    g_autofree char *a = memory_file_path("/d", "/run/a-b");
    g_autofree char *b = memory_file_path("/d", "/run/a/b");

    g_assert_cmpstr(a, ==, "/d/ivshmem-run-a%2db");
    g_assert_cmpstr(b, ==, "/d/ivshmem-run-a-b");
}

#define ADD(name, func) \
    g_test_add("/memory/" name, Place, NULL, place_init, func, place_clear)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/sealed", test_sealed);
    g_test_add_func("/memory/too-little-space", test_too_little_space);
    g_test_add_func("/memory/file-names", test_file_names);
    ADD("taken-over", test_taken_over);
    ADD("other-size-is-refused", test_other_size_is_refused);
    ADD("owner-alive", test_owner_alive);
    ADD("client-is-no-owner", test_client_is_no_owner);
    ADD("restored", test_restored);
    return g_test_run();
}
