/*
 * Rig for unit tests of an ivshmem server's client
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/config-file.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qemu/sockets.h"
#include "qapi/error.h"
#include "chardev/char.h"
#include "hw/misc/ivshmem-flat-eventfd.h"
#include "ivshmem-flat-client-rig.h"
#include "system/system.h"

char *tmpdir;
int fds[FD_KINDS];

static Told *told_of(IvshmemFlatClient *client)
{
    return container_of(client, Told, client);
}

static void told_forget_vectors(Told *told)
{
    for (unsigned i = 0; i < told->vectors->len; i++) {
        close(g_array_index(told->vectors, int, i));
    }
    g_array_set_size(told->vectors, 0);
}

static void session_begins(IvshmemFlatClient *client)
{
    Told *told = told_of(client);

    g_assert_cmpuint(client->sessions, ==, ++told->sessions);
    told_forget_vectors(told);
}

static bool shared_memory(IvshmemFlatClient *client, int fd, Error **errp)
{
    Told *told = told_of(client);
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    if (st.st_size != SHM_SIZE) {
        error_setg(errp, "refused");
        close(fd);
        return false;
    }
    if (told->memory >= 0) {
        close(told->memory);
    }
    told->memory = fd;
    return true;
}

static void own_vector(IvshmemFlatClient *client, unsigned vector, int eventfd)
{
    Told *told = told_of(client);

    g_assert_cmpuint(vector, ==, told->vectors->len);
    g_array_append_val(told->vectors, eventfd);
}

static void error(IvshmemFlatClient *client, Error *err)
{
    Told *told = told_of(client);

    g_string_append_printf(told->errors, "%s\n", error_get_pretty(err));
    told->error_count++;
    error_free(err);
}

const IvshmemFlatClientOps told_ops = {
    .session_begins = session_begins,
    .shared_memory = shared_memory,
    .own_vector = own_vector,
    .error = error,
};

Told *told_new(const char *options)
{
    Told *told = g_new0(Told, 1);
    g_autofree char *with_id = g_strdup_printf("socket,id=iv,%s", options);
    QemuOpts *opts = qemu_opts_parse(qemu_find_opts("chardev"), with_id, true,
                                     &error_abort);
    Chardev *chr = qemu_chr_new_from_opts(opts, NULL, &error_abort);

    qemu_opts_del(opts);
    qemu_chr_fe_init(&told->client.server.chardev, chr, &error_abort);
    told->memory = -1;
    told->vectors = g_array_new(false, false, sizeof(int));
    told->errors = g_string_new("");
    return told;
}

void told_free(Told *told)
{
    ivshmem_flat_client_stop(&told->client);
    qemu_chr_fe_deinit(&told->client.server.chardev, true);
    told_forget_vectors(told);
    g_array_unref(told->vectors);
    g_string_free(told->errors, true);
    if (told->memory >= 0) {
        close(told->memory);
    }
    g_free(told);
}

Told *told_new_of(FakeServer *server, FakeServerTalk *talk, void *opaque)
{
    g_autofree char *options = g_strdup_printf(
        "path=%s,%s", fake_server_socket(server), RECONNECT);
    Told *told;

    fake_server_expect(server, talk, opaque);
    told = told_new(options);
    return told;
}

bool has_error(Told *told, const char *text)
{
    return strstr(told->errors->str, text);
}

unsigned count_peers(Told *told)
{
    return ivshmem_flat_peers_count(&told->client.peers);
}

bool is_connected(Told *told)
{
    return ivshmem_flat_client_is_connected(&told->client);
}

int find_vector(Told *told, uint16_t id, uint16_t vector)
{
    return ivshmem_flat_peers_find_vector(&told->client.peers, id, vector);
}

void assert_rings(Told *told, FakePeer *peer, uint16_t vector)
{
    int fd = find_vector(told, peer->id, vector);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(fake_peer_rung(peer, vector), ==, 0);
    g_assert_cmpint(ivshmem_flat_signal_eventfd(fd), ==, 0);
    g_assert_cmpuint(fake_peer_rung(peer, vector), ==, 1);
}

unsigned count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(dir)) {
        count++;
    }
    return count;
}

Offer *offer_new(uint16_t own_id, uint16_t peer_id)
{
    Offer *offer = g_new(Offer, 1);

    offer->own = fake_peer_new(own_id, 2);
    offer->peer = fake_peer_new(peer_id, 3);
    offer->shm_fd = fake_shm_new(SHM_SIZE);
    return offer;
}

void offer_free(Offer *offer)
{
    fake_peer_free(offer->own);
    fake_peer_free(offer->peer);
    close(offer->shm_fd);
    g_free(offer);
}

void talk_offer(FakeServer *server, void *opaque)
{
    Offer *offer = opaque;

    fake_server_greet(server, offer->own->id, offer->shm_fd);
    fake_server_announce(server, offer->peer);
    fake_server_announce(server, offer->own);
}

Told *told_start(FakeServer *server, Offer *offer)
{
    Told *told = told_new_of(server, talk_offer, offer);

    ivshmem_flat_client_start(&told->client, &told_ops, 2, &error_abort);
    fake_server_join(server);
    return told;
}

static bool same_object(int a, int b)
{
    struct stat st, other;

    return fstat(a, &st) == 0 && fstat(b, &other) == 0 &&
           st.st_dev == other.st_dev && st.st_ino == other.st_ino;
}

void assert_taken(Told *told, Offer *offer)
{
    g_assert_true(is_connected(told));
    g_assert_cmpuint(told->client.id, ==, offer->own->id);
    g_assert_true(same_object(told->memory, offer->shm_fd));
    g_assert_cmpuint(told->client.own_vectors, ==, 2);
    for (unsigned i = 0; i < 2; i++) {
        int fd = g_array_index(told->vectors, int, i);

        g_assert_false(ivshmem_flat_take_eventfd(fd));
        fake_peer_ring(offer->own, i);
        g_assert_true(ivshmem_flat_take_eventfd(fd));
    }
    g_assert_cmpuint(count_peers(told), ==, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_rings(told, offer->peer, i);
    }
    g_assert_cmpint(find_vector(told, offer->peer->id, 3), ==, -1);
    g_assert_cmpint(find_vector(told, offer->peer->id, UINT16_MAX), ==, -1);
    g_assert_cmpint(find_vector(told, offer->peer->id + 1, 0), ==, -1);
}

/*
 * Messages
 */

static void open_fds(void)
{
    g_autoptr(FakePeer) peer = fake_peer_new(0, 1);
    int ends[2];

    fds[NO_FD] = -1;
    fds[SHM_FD] = fake_shm_new(SHM_SIZE);
    fds[BIG_SHM_FD] = fake_shm_new(2 * SHM_SIZE);
    fds[EVENT_FD] = fcntl(peer->vectors[0], F_DUPFD_CLOEXEC, 0);
    g_assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    fds[PIPE_FD] = ends[0];
    close(ends[1]);
}

static void close_fds(void)
{
    for (unsigned i = NO_FD + 1; i < FD_KINDS; i++) {
        close(fds[i]);
    }
}

void send_messages(FakeServer *server, const Message *messages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fake_server_send(server, messages[i].value, fds[messages[i].fd]);
    }
}

/*
 * Test program
 */

void init_tests(int *argc, char ***argv)
{
    qemu_init_main_loop(&error_abort);
    socket_init();
    module_call_init(MODULE_INIT_QOM);
    qemu_add_opts(&qemu_chardev_opts);
    g_test_init(argc, argv, NULL);
}

int run_tests(void)
{
    int ret;

    open_fds();
    tmpdir = g_dir_make_tmp("ivshmem-flat-test.XXXXXX", NULL);
    ret = g_test_run();
    close_fds();
    g_assert_cmpint(rmdir(tmpdir), ==, 0);
    g_free(tmpdir);
    return ret;
}
