/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * top: the peers, and how often each rings and is interrupted. The list of peers comes
 * from ivshmemd's control socket, or from any server, which top then joins. It also
 * counts the doorbells that it receives. A VM's counts come from its QEMU, over QMP.
 */
#include <curses.h>
#include <stdio.h>
#include <term.h>
#include <unistd.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"
#include "qmp.h"
#include "top.h"

#define DEFAULT_INTERVAL 1.0
#define LEAST_INTERVAL 0.1

typedef struct Top {
    const Ctl *ctl;
    Client *client;         /* NULL: use the control socket */
    uint64_t rung;          /* doorbells received by the client */
    GPtrArray *qmps;        /* of Qmp; lost connections are removed */
    char *lost;             /* why the last one was lost, or NULL */
    TopSample *sample;
} Top;

static int add_channels(Top *top, TopSample *sample, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    int result;
    JsonArray *channels = ctl_channels(top->ctl->control, parser, &result, error);
    guint i, j;

    if (!channels) {
        return result;
    }
    sample->channels = json_array_get_length(channels);
    for (i = 0; i < sample->channels; i++) {
        JsonObject *channel = json_array_get_object_element(channels, i);
        const char *name = json_object_get_string_member(channel, "name");
        JsonArray *peers = json_object_get_array_member(channel, "peers");

        for (j = 0; j < json_array_get_length(peers); j++) {
            JsonObject *peer = json_array_get_object_element(peers, j);

            top_sample_add(sample, name, json_object_get_int_member(peer, "id"),
                           json_object_get_int_member(peer, "pid"),
                           json_object_get_string_member(peer, "command"));
        }
    }
    return EXIT_DONE;
}

static int add_peers_of_client(Top *top, TopSample *sample, GError **error)
{
    unsigned vector, own = client_id(top->client);
    g_autofree char *channel = NULL;
    ClientMessage message;
    ClientResult result;
    int id;

    while ((result = client_next(top->client, 0, &message, error)) == CLIENT_MESSAGE) {
    }
    if (result == CLIENT_LOST) {
        return EXIT_NO_SERVER;
    }
    for (vector = 0; vector < client_vectors(top->client, own); vector++) {
        top->rung += client_take(top->client, vector);
    }
    sample->channels = 1;
    channel = g_path_get_basename(top->ctl->server);
    top_sample_add(sample, channel, own, getpid(), "ivshmemctl");
    top_sample_count(sample, getpid(), own, 0, top->rung);
    for (id = client_next_peer(top->client, 0); id >= 0;
         id = client_next_peer(top->client, id + 1)) {
        top_sample_add(sample, channel, id, 0, "");
    }
    return EXIT_DONE;
}

static void add_counts(Top *top, TopSample *sample)
{
    guint i = 0, j;

    while (i < top->qmps->len) {
        Qmp *qmp = top->qmps->pdata[i];
        g_autoptr(GError) error = NULL;
        g_autoptr(GArray) devices = qmp_devices(qmp, &error);

        if (!devices) {
            g_free(top->lost);
            top->lost = g_strdup(error->message);
            g_ptr_array_remove_index(top->qmps, i);
            continue;
        }
        for (j = 0; j < devices->len; j++) {
            const QmpDevice *device = &g_array_index(devices, QmpDevice, j);

            top_sample_count(sample, qmp_pid(qmp), device->id, device->doorbells,
                             device->interrupts);
        }
        i++;
    }
}

static int take_sample(Top *top, GError **error)
{
    g_autoptr(TopSample) sample = top_sample_new();
    int result = top->client ? add_peers_of_client(top, sample, error) :
                 add_channels(top, sample, error);

    if (result == EXIT_DONE) {
        add_counts(top, sample);
        top_sample_finish(sample, top->sample);
        g_clear_pointer(&top->sample, top_sample_free);
        top->sample = g_steal_pointer(&sample);
    }
    return result;
}

/*
 * On the screen
 */

static char *format_row(const TopRow *row)
{
    g_autofree char *pid = row->pid ? g_strdup_printf("%d", row->pid) : g_strdup("-");
    g_autofree char *start = g_strdup_printf("%-10.10s %5u %7s %-15.15s", row->channel,
                                             row->id, pid, row->command);

    if (!row->counted) {
        return g_strdup_printf("%s %9s %9s %9s %9s", start, "-", "-", "-", "-");
    }
    return g_strdup_printf("%s %9.0f %9.0f %9" G_GUINT64_FORMAT " %9" G_GUINT64_FORMAT,
                           start, row->doorbell_rate, row->interrupt_rate,
                           (guint64)row->doorbells, (guint64)row->interrupts);
}

/* Cut off what does not fit on the line. */
static void show_line(int y, attr_t attributes, const char *text)
{
    attrset(attributes);
    mvaddnstr(y, 0, text, COLS);
    attrset(A_NORMAL);
}

static char *heading(const Top *top)
{
    unsigned channels = top->sample->channels, peers = top->sample->rows->len;
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *time = g_date_time_format(now, "%H:%M:%S");

    return g_strdup_printf("%s  %u channel%s, %u peer%s, %u QMP socket%s; q quits", time,
                           channels, channels == 1 ? "" : "s", peers,
                           peers == 1 ? "" : "s", top->qmps->len,
                           top->qmps->len == 1 ? "" : "s");
}

static void draw(const Top *top)
{
    const GPtrArray *rows = top->sample->rows;
    g_autofree char *first = heading(top), *titles = NULL;
    int y = 2, last = LINES - 1;
    guint i;

    erase();
    show_line(0, A_NORMAL, first);
    titles = g_strdup_printf("%-10s %5s %7s %-15s %9s %9s %9s %9s", "CHANNEL", "ID", "PID",
                              "COMMAND", "OUT/s", "IN/s", "OUT", "IN");
    show_line(1, A_REVERSE, titles);
    for (i = 0; i < rows->len && y < last; i++) {
        g_autofree char *line = format_row(rows->pdata[i]);

        show_line(y++, A_NORMAL, line);
    }
    if (i < rows->len) {
        g_autofree char *more = g_strdup_printf("%u more", rows->len - i);

        show_line(last, A_BOLD, more);
    } else if (top->lost) {
        show_line(last, A_BOLD, top->lost);
    }
    refresh();
}

/* False: the user wants to quit. Redraws if the terminal's size changes. */
static bool wait_for_key(const Top *top, double interval)
{
    gint64 deadline = deadline_in_seconds(interval);

    do {
        int key;

        timeout(deadline_left_ms(deadline));
        key = getch();
        if (key == 'q' || key == 'Q') {
            return false;
        }
        if (key == KEY_RESIZE) {
            draw(top);
        }
    } while (deadline_left_ms(deadline));
    return true;
}

/* newterm() leaks memory for unknown terminals, so check first. */
static bool terminal_is_known(void)
{
    int unused;
    bool known = setupterm(NULL, STDOUT_FILENO, &unused) == OK;

    if (known) {
        del_curterm(cur_term);
    }
    return known;
}

static int show(Top *top, double interval, GError **error)
{
    int64_t left = top->ctl->count;
    SCREEN *screen;
    int result;

    /* With these, curses would not ask the terminal for its size. */
    g_unsetenv("LINES");
    g_unsetenv("COLUMNS");
    screen = terminal_is_known() ? newterm(NULL, stdout, stdin) : NULL;
    if (!screen) {
        fail(error, "the terminal type '%s' is not supported: set TERM, or use --json",
             g_getenv("TERM") ? g_getenv("TERM") : "");
        return EXIT_USAGE;
    }
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, true);
    do {
        result = take_sample(top, error);
        if (result == EXIT_DONE) {
            draw(top);
        }
    } while (result == EXIT_DONE && --left && wait_for_key(top, interval));
    endwin();
    delscreen(screen);
    return result;
}

/*
 * As JSON
 */

static int print_sample(const Top *top, GError **error)
{
    const GPtrArray *rows = top->sample->rows;
    g_autoptr(JsonBuilder) builder = ctl_json_new();
    guint i;

    ctl_json_int(builder, "time_us", g_get_real_time());
    json_builder_set_member_name(builder, "peers");
    json_builder_begin_array(builder);
    for (i = 0; i < rows->len; i++) {
        const TopRow *row = rows->pdata[i];

        json_builder_begin_object(builder);
        ctl_json_string(builder, "channel", row->channel);
        ctl_json_int(builder, "id", row->id);
        if (row->pid) {
            ctl_json_int(builder, "pid", row->pid);
            ctl_json_string(builder, "command", row->command);
        }
        if (row->counted) {
            ctl_json_int(builder, "doorbells", row->doorbells);
            ctl_json_int(builder, "interrupts", row->interrupts);
            ctl_json_double(builder, "doorbells_per_second", row->doorbell_rate);
            ctl_json_double(builder, "interrupts_per_second", row->interrupt_rate);
        }
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    if (top->lost) {
        ctl_json_string(builder, "lost", top->lost);
    }
    ctl_json_print(builder);
    return ctl_flush(error);
}

static int print_samples(Top *top, double interval, GError **error)
{
    int64_t left = top->ctl->count;

    while (true) {
        int result = take_sample(top, error);

        if (result == EXIT_DONE) {
            result = print_sample(top, error);
        }
        if (result != EXIT_DONE || !--left) {
            return result;
        }
        g_usleep(interval * G_USEC_PER_SEC);
    }
}

static bool connect_qmps(Top *top, GError **error)
{
    char **path;

    for (path = top->ctl->qmp; path && *path; path++) {
        Qmp *qmp = qmp_new(*path, error);

        if (!qmp) {
            return false;
        }
        g_ptr_array_add(top->qmps, qmp);
    }
    return true;
}

int ctl_top(const Ctl *ctl, GError **error)
{
    double interval = ctl->interval >= 0 ? ctl->interval : DEFAULT_INTERVAL;
    g_autoptr(GPtrArray) qmps = g_ptr_array_new_with_free_func((GDestroyNotify)qmp_free);
    g_autoptr(Client) client = NULL;
    Top top = { .ctl = ctl, .qmps = qmps };
    int result;

    if (!ctl->count) {
        return EXIT_DONE;
    }
    if (interval < LEAST_INTERVAL) {
        fail(error, "--interval '%g' must be %g seconds or more for top", interval,
             LEAST_INTERVAL);
        return EXIT_USAGE;
    }
    if (!ctl->json && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
        fail(error, "top needs a terminal, or --json");
        return EXIT_USAGE;
    }
    if (ctl->server) {
        client = ctl_join_peers(ctl, error);
        if (!client) {
            return EXIT_NO_SERVER;
        }
        top.client = client;
    }
    if (!connect_qmps(&top, error)) {
        return EXIT_NO_SERVER;
    }
    result = ctl->json ? print_samples(&top, interval, error) :
             show(&top, interval, error);
    g_clear_pointer(&top.sample, top_sample_free);
    g_free(top.lost);
    return result;
}
