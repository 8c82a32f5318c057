/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: what it sets, and what an error says. */
#include <string.h>

#include "configuration.h"

static void test_all_keys(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = configuration_parse("f",
        "# a comment\n"
        "[ivshmemd]\n"
        "control=/run/c\n"
        "\n"
        "[channel lab]\n"
        "size = 16M\n"
        "vectors = 4\n"
        "memory-name = lab\n"
        "sockets = /run/a; /run/b,id=7,vectors=2,mode=0660,group=kvm;\n"
        "[channel other]\n"
        "sockets = /run/c2\n", &error);
    ChannelSettings *channel;
    SocketSettings *socket;

    g_assert_no_error(error);
    g_assert_cmpstr(settings->control, ==, "/run/c");
    g_assert_cmpuint(settings->channels->len, ==, 2);
    channel = g_ptr_array_index(settings->channels, 0);
    g_assert_cmpstr(channel->name, ==, "lab");
    g_assert_cmpstr(channel->object, ==, "lab");
    g_assert_cmpuint(channel->size, ==, 16 << 20);
    socket = g_ptr_array_index(channel->sockets, 0);
    g_assert_cmpint(socket->id, ==, -1);
    g_assert_cmpuint(settings_vectors(channel, socket), ==, 4);
    socket = g_ptr_array_index(channel->sockets, 1);
    g_assert_cmpstr(socket->path, ==, "/run/b");
    g_assert_cmpint(socket->id, ==, 7);
    g_assert_cmpuint(settings_vectors(channel, socket), ==, 2);
    g_assert_cmpint(socket->mode, ==, 0660);
    g_assert_cmpstr(socket->group, ==, "kvm");
}

static void test_errors(void)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "", "f: no channels: add a [channel NAME]" },
        { "nonsense", "f:1: 'nonsense' is neither" },
        { "[chan a]\n", "f:1: unknown group [chan a]: use [ivshmemd] or [channel NAME]" },
        { "[channel a b]\n", "f:1: 'a b' is not a channel name" },
        { "[channel a]\nsize=4Q\n", "f:2: size: '4Q' is not a size" },
        { "[channel a]\n\nvectors=65\n", "f:3: vectors: vectors '65' must be a number "
          "from 0 to 64" },
        { "[channel a]\nlength=4M\n", "f:2: length: unknown key: a channel has size," },
        { "[ivshmemd]\nsocket=x\n", "f:2: socket: unknown key: [ivshmemd] has only control" },
        { "[channel a]\nsockets=/a,id=65536\n", "from 0 to 65535" },
        { "[channel a]\nsockets=/a,mode=888\n", "in octal" },
        { "[channel a]\nsockets=/a,ip=8\n", "'ip=8' is not a socket option" },
        { "[channel a]\nsockets=,id=1\n", "is not a socket path" },
        { "[channel a]\nsize=1M\nsize=2M\n", "f:3: [channel a]size is already defined "
          "in line 2" },
        { "[channel a]\nsize=1M\n", "f: channel a: no sockets" },
        { "[channel a]\nsockets=/a;/a\n", "the socket /a is listed twice" },
        { "[channel a]\nsockets=/a,id=1;/b,id=1\n", "two sockets have the ID 1" },
        { "[channel a]\nsockets=/a\nmemory-name=x\n[channel b]\nsockets=/b\n"
          "memory-name=x\n", "another channel already has the memory 'x'" },
        { "[channel a]\nsockets=/a\nmemory-name=x\nmemory-directory=/\n", "not both" },
        { "[channel a]\nmemory-directory=/nowhere\n", "'/nowhere' is not a directory" },
        { "[channel a]\nmemory-name=x/y\n", "not a POSIX object name" },
        { "[ivshmemd]\ncontrol=/a\n[channel a]\nsockets=/a\n", "the control socket" },
        { "[channel a]\nsockets=/"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "use 1 to 107 bytes" },
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(configuration_parse("f", cases[i].text, &error));
        if (!strstr(error->message, cases[i].message)) {
            g_test_message("expected: %s", cases[i].message);
            g_assert_cmpstr(error->message, ==, cases[i].message);
        }
    }
}

static void test_no_file(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(configuration_read("/nowhere/ivshmemd.conf", &error));
    g_assert_nonnull(strstr(error->message, "/nowhere/ivshmemd.conf"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/configuration/all-keys", test_all_keys);
    g_test_add_func("/configuration/errors", test_errors);
    g_test_add_func("/configuration/no-file", test_no_file);
    return g_test_run();
}
