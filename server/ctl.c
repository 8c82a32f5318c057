/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ivshmemctl: the command line. Some commands ask a running ivshmemd over its control
 * socket; the others join any ivshmem server as a peer. A table lists the words and
 * options of each command. Anything else is refused before the command starts.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "error.h"
#include "fd.h"
#include "settings.h"

#define DEFAULT_CONTROL "/run/ivshmemd/control"

enum {
    OPT_CONTROL = 1 << 0,
    OPT_SERVER = 1 << 1,
    OPT_TIMEOUT = 1 << 2,
    OPT_JSON = 1 << 3,
    OPT_WATCH = 1 << 4,
    OPT_COUNT = 1 << 5,
    OPT_INTERVAL = 1 << 6,
    OPT_ANSWER = 1 << 7,
    OPT_REPLY_AT = 1 << 8,
    OPT_HEX = 1 << 9,
    OPT_TEXT = 1 << 10,
    OPT_WORD = 1 << 11,
    OPT_BIG_ENDIAN = 1 << 12,
    OPT_FILE = 1 << 13,
    OPT_QMP = 1 << 14,
    OPT_WHERE = OPT_CONTROL | OPT_SERVER,
    OPT_WAITS = OPT_SERVER | OPT_TIMEOUT,
    OPT_READ_AS = OPT_JSON | OPT_HEX | OPT_TEXT | OPT_WORD | OPT_FILE,
    OPT_WRITE_AS = OPT_HEX | OPT_WORD | OPT_FILE,
};

/* In the order of the bits above */
static const char *const option_names[] = {
    "--control", "--server", "--timeout", "--json", "--watch", "--count", "--interval",
    "--answer", "--reply-at", "--hex", "--text", "--word", "--big-endian", "--file",
    "--qmp",
};

typedef struct Command {
    const char *name;
    const char *words;      /* for the help */
    unsigned least, most;   /* number of words */
    unsigned options;
    unsigned one_of;        /* at most one of these options */
    int (*func)(const Ctl *ctl, GError **error);
} Command;

static const Command commands[] = {
    { "list", "", 0, 0, OPT_CONTROL | OPT_JSON | OPT_WATCH, OPT_JSON | OPT_WATCH,
      ctl_list },
    { "reload", "", 0, 0, OPT_CONTROL, 0, ctl_reload },
    { "top", "", 0, 0, OPT_WHERE | OPT_QMP | OPT_JSON | OPT_COUNT | OPT_INTERVAL,
      OPT_WHERE, ctl_top },
    { "info", "", 0, 0, OPT_SERVER | OPT_JSON, 0, ctl_info },
    { "peers", "", 0, 0, OPT_WAITS | OPT_JSON | OPT_WATCH, 0, ctl_peers },
    { "listen", " [VECTOR]", 0, 1, OPT_WAITS | OPT_JSON | OPT_COUNT | OPT_ANSWER, 0,
      ctl_listen },
    { "ring", " PEER [VECTOR]", 1, 2, OPT_SERVER, 0, ctl_ring },
    { "ping", " PEER [VECTOR]", 1, 2,
      OPT_WAITS | OPT_JSON | OPT_COUNT | OPT_INTERVAL | OPT_REPLY_AT | OPT_BIG_ENDIAN, 0,
      ctl_ping },
    { "read", " OFFSET [SIZE]", 1, 2, OPT_SERVER | OPT_BIG_ENDIAN | OPT_READ_AS,
      OPT_READ_AS, ctl_read },
    { "dump", " [OFFSET [SIZE]]", 0, 2, OPT_SERVER, 0, ctl_dump },
    { "write", " OFFSET [TEXT]", 1, 2, OPT_SERVER | OPT_BIG_ENDIAN | OPT_WRITE_AS,
      OPT_WRITE_AS, ctl_write },
    { "wait", " peers N | word OFFSET VALUE", 2, 3, OPT_WAITS | OPT_BIG_ENDIAN, 0,
      ctl_wait },
};

static const char summary[] =
    "Controls ivshmemd, or joins any ivshmem server as a peer.\n"
    "\n"
    "Commands for ivshmemd's control socket:\n"
    "  list                      Show all channels and their peers\n"
    "  reload                    Restart the server; clients stay connected\n"
    "  top                       Show how often each peer rings and is interrupted; with\n"
    "                            --server, join any server instead\n"
    "\n"
    "Commands that join a server and use up an ID:\n"
    "  info                      Show memory, ID and peers\n"
    "  peers                     Show the peers; --watch: also when they join or leave\n"
    "  listen [VECTOR]           Print a line for each doorbell\n"
    "  ring PEER [VECTOR]        Ring a doorbell; the default vector is 0\n"
    "  ping PEER [VECTOR]        Ring a peer that rings back; measure the round trip\n"
    "  read OFFSET [SIZE]        Copy memory to standard output: SIZE bytes, or up to\n"
    "                            the first NUL byte\n"
    "  dump [OFFSET [SIZE]]      Show memory as hex and ASCII\n"
    "  write OFFSET [TEXT]       Write TEXT or a --file to the memory\n"
    "  wait peers N              Wait until N peers are connected\n"
    "  wait word OFFSET VALUE    Wait until a 32-bit word has this value\n"
    "\n"
    "Exit status: 0 success, 1 failure, 2 wrong usage, 3 no server answered, 4 timeout.";

static unsigned given_options(const Ctl *ctl)
{
    const bool given[] = {
        ctl->control, ctl->server, ctl->timeout >= 0, ctl->json, ctl->watch,
        ctl->count >= 0, ctl->interval >= 0, ctl->answer >= 0, ctl->reply_at, ctl->hex,
        ctl->text, ctl->word, ctl->big_endian, ctl->file, ctl->qmp,
    };
    unsigned i, options = 0;

    G_STATIC_ASSERT(G_N_ELEMENTS(given) == G_N_ELEMENTS(option_names));
    for (i = 0; i < G_N_ELEMENTS(given); i++) {
        options |= (unsigned)given[i] << i;
    }
    return options;
}

static const char *lowest_name(unsigned options)
{
    return option_names[g_bit_nth_lsf(options, -1)];
}

static bool command_check(const Command *command, const Ctl *ctl, GError **error)
{
    unsigned given = given_options(ctl), n = g_strv_length(ctl->words);
    unsigned wrong = given & ~command->options;
    unsigned both = given & command->one_of;

    if (n < command->least || n > command->most) {
        return fail(error, "usage: ivshmemctl [OPTION...] %s%s", command->name,
                    command->words);
    }
    if (wrong) {
        return fail(error, "%s does not support %s", command->name, lowest_name(wrong));
    }
    if (command->func == ctl_peers && ctl->timeout >= 0 && !ctl->watch) {
        return fail(error, "peers does not support --timeout without --watch");
    }
    if (ctl->big_endian && !ctl->word && !ctl->reply_at &&
        !(command->func == ctl_wait && g_str_equal(ctl->words[0], "word"))) {
        return fail(error, "--big-endian is only for words, and this %s uses none",
                    command->name);
    }
    if (both & (both - 1)) {
        return fail(error, "%s and %s cannot be used together", lowest_name(both),
                    lowest_name(both & (both - 1)));
    }
    return true;
}

static const Command *find_command(const char *name, GError **error)
{
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!g_strcmp0(name, commands[i].name)) {
            return &commands[i];
        }
    }
    if (name) {
        fail(error, "'%s' is not a command: see ivshmemctl --help", name);
    } else {
        fail(error, "no command given: see ivshmemctl --help");
    }
    return NULL;
}

/* The first letter of an option, long or short */
static char first_letter(const char *name)
{
    return name[strspn(name, "-")];
}

static gboolean parse_seconds(const char *name, const char *text, gpointer data,
                              GError **error)
{
    Ctl *ctl = data;
    double *seconds = first_letter(name) == 'i' ? &ctl->interval : &ctl->timeout;
    char *end;

    *seconds = g_ascii_strtod(text, &end);
    if (end == text || *end || !isfinite(*seconds) || *seconds < 0) {
        return fail(error, "%s '%s' must be a number of seconds, such as 0.5", name, text);
    }
    return true;
}

static gboolean parse_number(const char *name, const char *text, gpointer data,
                             GError **error)
{
    bool is_count = first_letter(name) == 'c';
    Ctl *ctl = data;
    uint64_t number;

    if (!ctl_number(name, text, is_count ? UINT32_MAX : MAX_ID, &number, error)) {
        return false;
    }
    *(is_count ? &ctl->count : &ctl->answer) = number;
    return true;
}

static bool parse(Ctl *ctl, int *argc, char ***argv, gboolean *version, GError **error)
{
    const GOptionEntry entries[] = {
        { "control", 0, 0, G_OPTION_ARG_FILENAME, &ctl->control,
          "ivshmemd's control socket (default: " DEFAULT_CONTROL ")", "PATH" },
        { "server", 'S', 0, G_OPTION_ARG_FILENAME, &ctl->server,
          "The server's socket (default: " DEFAULT_SOCKET ")", "PATH" },
        { "timeout", 't', 0, G_OPTION_ARG_CALLBACK, parse_seconds,
          "listen, peers --watch: stop after this time; wait (default: 10), ping (default: "
          "1 per answer): give up after this time", "SECONDS" },
        { "json", 0, 0, G_OPTION_ARG_NONE, &ctl->json,
          "list, top, info, peers, listen, ping, read: print JSON", NULL },
        { "watch", 0, 0, G_OPTION_ARG_NONE, &ctl->watch,
          "list: update every second; peers: show which peers join or leave", NULL },
        { "count", 'c', 0, G_OPTION_ARG_CALLBACK, parse_number,
          "listen: stop after N doorbells; ping: ring N times (default: 1000); top: stop "
          "after N updates", "N" },
        { "interval", 'i', 0, G_OPTION_ARG_CALLBACK, parse_seconds,
          "ping: pause before the next ring, and print a line for each answer; top: time "
          "between updates (default: 1)", "SECONDS" },
        { "qmp", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &ctl->qmp,
          "top: QMP socket of a VM, for its counts; can be repeated", "PATH" },
        { "answer", 0, 0, G_OPTION_ARG_CALLBACK, parse_number,
          "listen: ring this peer back each time", "PEER" },
        { "reply-at", 0, 0, G_OPTION_ARG_STRING, &ctl->reply_at,
          "ping: store at OFFSET the value that the peer must write to its DOORBELL",
          "OFFSET" },
        { "hex", 'x', 0, G_OPTION_ARG_NONE, &ctl->hex,
          "read, write: use hex digits", NULL },
        { "text", 0, 0, G_OPTION_ARG_NONE, &ctl->text,
          "read: use text with the same escapes as write", NULL },
        { "word", 'w', 0, G_OPTION_ARG_NONE, &ctl->word,
          "read, write: use 32-bit numbers", NULL },
        { "big-endian", 0, 0, G_OPTION_ARG_NONE, &ctl->big_endian,
          "Words are big-endian", NULL },
        { "file", 'f', 0, G_OPTION_ARG_FILENAME, &ctl->file,
          "read: write to FILE; write: read from FILE, or from standard input with -",
          "FILE" },
        { "version", 0, 0, G_OPTION_ARG_NONE, version, "Print the version", NULL },
        G_OPTION_ENTRY_NULL
    };
    g_autoptr(GOptionContext) context = g_option_context_new("COMMAND [WORD...]");
    GOptionGroup *group = g_option_group_new("ivshmemctl", "", "", ctl, NULL);

    g_option_group_add_entries(group, entries);
    g_option_context_set_main_group(context, group);
    g_option_context_set_summary(context, summary);
    return g_option_context_parse(context, argc, argv, error);
}

/* Words that begin with '-' follow a "--", which GLib then leaves in @argv. */
static char **words_of(char **argv)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    bool separated = false;
    int i;

    for (i = 1; argv[i]; i++) {
        if (!separated && g_str_equal(argv[i], "--")) {
            separated = true;
        } else {
            g_strv_builder_add(builder, argv[i]);
        }
    }
    return g_strv_builder_end(builder);
}

static int run(Ctl *ctl, char **words, GError **error)
{
    const Command *command = find_command(words[0], error);

    if (!command) {
        return EXIT_USAGE;
    }
    ctl->words = words + 1;
    if (!command_check(command, ctl, error)) {
        return EXIT_USAGE;
    }
    if (!ctl->control) {
        ctl->control = g_strdup(DEFAULT_CONTROL);
    }
    if (!ctl->server && !(command->options & OPT_CONTROL)) {
        ctl->server = g_strdup(DEFAULT_SOCKET);
    }
    fd_raise_limit();   /* each vector of each peer needs an fd */
    return command->func(ctl, error);
}

int main(int argc, char **argv)
{
    Ctl ctl = { .timeout = -1, .interval = -1, .count = -1, .answer = -1 };
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) error = NULL;
    gboolean version = FALSE;
    int result = EXIT_USAGE;

    setlocale(LC_CTYPE, "C.UTF-8");
    if (parse(&ctl, &argc, &argv, &version, &error)) {
        words = words_of(argv);
        if (version) {
            printf("ivshmemctl %s\n", VERSION);
            result = EXIT_DONE;
        } else {
            result = run(&ctl, words, &error);
        }
    }
    if (error) {
        fprintf(stderr, "ivshmemctl: %s\n", error->message);
    }
    g_free(ctl.control);
    g_free(ctl.server);
    g_strfreev(ctl.qmp);
    g_free(ctl.file);
    g_free(ctl.reply_at);
    return result;
}
