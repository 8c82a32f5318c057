/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening at a path, unless a live server has it. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fd.h"
#include "listener.h"

typedef struct Fixture {
    char *directory;
    char *path;
    Watches *watches;
    Handover *handover;
    int spare;
    unsigned accepted;
} Fixture;

static void fixture_init(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->directory = g_dir_make_tmp("ivshmemd-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "socket", NULL);
    fixture->watches = watches_new(NULL);
    fixture->handover = handover_new();
    fixture->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void fixture_clear(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->directory);
    watches_free(fixture->watches);
    handover_free(fixture->handover);
    fd_close(&fixture->spare);
}

static void count(int socket, void *data)
{
    Fixture *fixture = data;

    fixture->accepted++;
    fd_close(&socket);
}

static Listener *listen_there(Fixture *fixture, int mode, GError **error)
{
    const ListenerAddress address = { .path = fixture->path, .mode = mode };

    return listener_new(&address, fixture->handover, fixture->watches, NULL,
                        &fixture->spare, count, fixture, error);
}

/* -1 if nobody listens */
static int connect_there(const Fixture *fixture)
{
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    g_strlcpy(un.sun_path, fixture->path, sizeof(un.sun_path));
    return connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -1 : fd_steal(&fd);
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
}

static void test_mode(Fixture *fixture, gconstpointer data)
{
    Listener *listener = listen_there(fixture, 0620, NULL);
    struct stat st;
    int client;

    (void)data;
    g_assert_cmpint(stat(fixture->path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0620);
    client = connect_there(fixture);
    turn();
    g_assert_cmpuint(fixture->accepted, ==, 1);
    fd_close(&client);
    listener_free(listener, true);
    g_assert_cmpint(stat(fixture->path, &st), ==, -1);
}

static void test_alive(Fixture *fixture, gconstpointer data)
{
    Listener *listener = listen_there(fixture, -1, NULL);
    g_autoptr(GError) error = NULL;
    int client;

    (void)data;
    g_assert_null(listen_there(fixture, -1, &error));
    g_assert_nonnull(strstr(error->message, "a running server uses it"));
    turn();
    g_assert_cmpuint(fixture->accepted, ==, 0);     /* the check was not noticed */
    client = connect_there(fixture);
    g_assert_cmpint(client, >=, 0);
    fd_close(&client);
    listener_free(listener, true);
}

static void test_dead(Fixture *fixture, gconstpointer data)
{
    Listener *listener = listen_there(fixture, -1, NULL);
    int client;

    (void)data;
    listener_free(listener, false);
    g_assert_cmpint(connect_there(fixture), ==, -1);
    g_test_expect_message("ivshmemd", G_LOG_LEVEL_MESSAGE,
                          "*which a killed server left*");
    listener = listen_there(fixture, -1, NULL);
    g_test_assert_expected_messages();
    client = connect_there(fixture);
    g_assert_cmpint(client, >=, 0);
    fd_close(&client);
    listener_free(listener, true);
}

static void test_no_socket(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(g_file_set_contents(fixture->path, "precious", -1, NULL));
    g_assert_null(listen_there(fixture, -1, &error));
    g_assert_nonnull(strstr(error->message, "it exists and is not a socket"));
    g_assert_true(g_file_test(fixture->path, G_FILE_TEST_IS_REGULAR));
}

/* Another server has taken over the path: the socket is not ours to remove. */
static void test_replaced(Fixture *fixture, gconstpointer data)
{
    Listener *first = listen_there(fixture, -1, NULL), *second;

    (void)data;
    g_unlink(fixture->path);
    second = listen_there(fixture, -1, NULL);
    listener_free(first, true);
    g_assert_true(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    listener_free(second, true);
}

#define ADD(name, func) \
    g_test_add("/listener/" name, Fixture, NULL, fixture_init, func, fixture_clear)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("mode", test_mode);
    ADD("alive", test_alive);
    ADD("dead", test_dead);
    ADD("no-socket", test_no_socket);
    ADD("replaced", test_replaced);
    return g_test_run();
}
