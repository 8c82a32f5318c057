/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-rpmsg: RPMsg messages between this Linux guest and a board, from the
 * command line.  rpmsg-link.h says what it needs.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "escape.h"
#include "rpmsg-link.h"
#include "terminal.h"

#define PING_COUNT 1000u
#define BOARD_MEMORY 0x60000000u
#define LOOK_MS 10

/*
 * The number of buffers in each direction: each side always finds a free one.
 */
#define WINDOW_MAX 32u

static const char usage[] =
    "Usage: ivshmem-rpmsg [OPTION...] COMMAND SERVICE\n"
    "\n"
    "RPMsg between a Linux guest with QEMU's ivshmem-doorbell and a board that\n"
    "announces a service. Linux is the host.\n"
    "\n"
    "  ping SERVICE [COUNT]  send messages of 1 to 496 bytes to a service that\n"
    "                        sends each back, and check them (default: 1000)\n"
    "  echo SERVICE [COUNT]  send back what the service sends (default: forever)\n"
    "  console SERVICE       send each line of standard input to the service, and\n"
    "                        show what it sends\n"
    "  pty SERVICE [LINK]    the same for terminal programs: print the name of a\n"
    "                        pseudo-terminal for them to open, and make LINK a\n"
    "                        symbolic link to it\n"
    "\n"
    "  -d, --device ADDRESS  the device's address on the PCI bus, as in\n"
    "                        0000:00:01.0 (default: the first ivshmem)\n"
    "  -m, --memory ADDRESS  where the board sees the shared memory (default:\n"
    "                        0x60000000)\n"
    "  -s, --size BYTES      ping: message size, 1 to 496 (default: all in turn)\n"
    "  -w, --window COUNT    ping: the most unanswered messages at a time, 1 to 32\n"
    "                        (default: 1)\n"
    "  -t, --timeout SECONDS how long to wait for the board, and for each answer\n"
    "                        (default: 60)\n"
    "  -h, --help            show this help\n"
    "      --version         print the version\n"
    "\n"
    "If the board restarts, the link is opened again. The exit status is 1 if\n"
    "something fails, 2 if the command is wrong.\n";

static const char *address; /* of the device, NULL for the first */
static struct ivshmem_pci dev;
static struct rpmsg_link link_to_board = { .board_memory = BOARD_MEMORY };
static int timeout_ms = 60000;
static unsigned ping_size;       /* of each message, or 0 for all in turn */
static unsigned ping_window = 1; /* maximum number of unanswered messages */

__attribute__((noreturn)) static void fail(const char *reason)
{
    fprintf(stderr, "ivshmem-rpmsg: %s\n", reason);
    exit(1);
}

static uint64_t number(const char *what, const char *argument, uint64_t most)
{
    return parse_number("ivshmem-rpmsg", what, argument, most);
}

static unsigned number_above_0(const char *what, const char *argument,
                               unsigned most)
{
    return (unsigned)parse_number_from("ivshmem-rpmsg", what, argument, 1, most);
}

/* Returns COUNT, or the default if there is no such argument. */
static unsigned count_or(const char *argument, unsigned by_default)
{
    return argument == NULL ? by_default
                            : number_above_0("COUNT", argument, UINT_MAX - 1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void open_link(const char *service, rpmsg_link_received *received,
                      void *context)
{
    if (ivshmem_pci_open(&dev, address) < 0 ||
        ivshmem_pci_enable_interrupts(&dev) < 0) {
        fail(dev.error);
    }
    link_to_board.dev = &dev;
    link_to_board.service = service;
    link_to_board.received = received;
    link_to_board.context = context;
    if (rpmsg_link_open(&link_to_board, timeout_ms) < 0) {
        fail(link_to_board.error);
    }
    printf("linked with '%s'\n", service);
}

/* Opens the link again if the board has restarted. Returns whether it has. */
static bool has_restarted(void)
{
    if (!rpmsg_link_is_lost(&link_to_board)) {
        return false;
    }
    printf("the board has restarted\n");
    rpmsg_link_close(&link_to_board);
    if (rpmsg_link_open(&link_to_board, timeout_ms) < 0) {
        fail(link_to_board.error);
    }
    printf("linked with '%s'\n", link_to_board.service);
    return true;
}

/*
 * ping
 */

struct ping {
    unsigned sent, answered;
    int64_t *times; /* when each message was sent, then its round trip */
};

static size_t make_message(unsigned message,
                           unsigned char data[RPMSG_LINK_MESSAGE_MAX])
{
    size_t length = ping_size > 0 ? ping_size
                                  : 1 + message % RPMSG_LINK_MESSAGE_MAX;

    for (size_t i = 0; i < length; i++) {
        data[i] = (unsigned char)(message + i);
    }
    return length;
}

static void ping_answered(void *context, const void *data, size_t length)
{
    struct ping *ping = context;
    unsigned char expected[RPMSG_LINK_MESSAGE_MAX];

    if (ping->answered == ping->sent) {
        fail("received a message that is not an answer");
    }
    if (length != make_message(ping->answered, expected) ||
        memcmp(data, expected, length) != 0) {
        fail("a message came back changed");
    }
    ping->times[ping->answered] = now_ns() - ping->times[ping->answered];
    ping->answered++;
}

static void ping_send(struct ping *ping)
{
    unsigned char data[RPMSG_LINK_MESSAGE_MAX];
    size_t length = make_message(ping->sent, data);

    ping->times[ping->sent] = now_ns();
    ping->sent++;
    if (rpmsg_link_send(&link_to_board, data, length, timeout_ms) < 0) {
        fail(link_to_board.error);
    }
}

static void exchange(struct ping *ping, unsigned count)
{
    while (ping->answered < count) {
        if (has_restarted()) {
            ping->sent = ping->answered; /* the others are lost */
        }
        while (ping->sent < count &&
               ping->sent - ping->answered < ping_window) {
            ping_send(ping);
        }
        if (rpmsg_link_serve(&link_to_board, LOOK_MS) < 0) {
            fail(link_to_board.error);
        }
        if (ping->answered < ping->sent &&
            now_ns() - ping->times[ping->answered] >
            (int64_t)timeout_ms * 1000000) {
            fail("a message did not come back in time");
        }
    }
}

static int compare(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

    return first < second ? -1 : first > second;
}

static void ping(char **arguments)
{
    unsigned count = count_or(arguments[1], PING_COUNT);
    struct ping ping = { 0 };
    int64_t start;
    double seconds;

    ping.times = calloc(count, sizeof(*ping.times));
    if (ping.times == NULL) {
        fail("out of memory for the times: choose a smaller COUNT");
    }
    open_link(arguments[0], ping_answered, &ping);
    start = now_ns();
    exchange(&ping, count);
    seconds = (double)(now_ns() - start) / 1e9;
    qsort(ping.times, count, sizeof(*ping.times), compare);
    printf("%u of %u messages came back in %.1f s: %.0f messages a second, "
           "round trip %.0f us (median), %.0f us (99 %%)\n", count, count,
           seconds, count / seconds, (double)ping.times[count / 2] / 1e3,
           (double)ping.times[count - 1 - count / 100] / 1e3);
    free(ping.times);
}

/*
 * echo
 */

static void echo_message(void *context, const void *data, size_t length)
{
    unsigned char copy[RPMSG_LINK_MESSAGE_MAX];
    unsigned *count = context;

    length = length < sizeof(copy) ? length : sizeof(copy);
    memcpy(copy, data, length);
    if (rpmsg_link_send(&link_to_board, copy, length, timeout_ms) < 0) {
        fail(link_to_board.error);
    }
    (*count)++;
}

static void echo(char **arguments)
{
    unsigned most = count_or(arguments[1], UINT_MAX);
    unsigned count = 0;

    open_link(arguments[0], echo_message, &count);
    while (count < most) {
        if (!has_restarted() &&
            rpmsg_link_serve(&link_to_board, LOOK_MS) < 0) {
            fail(link_to_board.error);
        }
    }
    printf("sent back %u messages\n", count);
}

/*
 * console
 */

static void write_out(void *context, const void *data, size_t length)
{
    (void)context;
    if (isatty(STDOUT_FILENO)) {
        print_escaped(data, length);
    } else {
        fwrite(data, 1, length, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fail("cannot write to standard output");
    }
}

/* Returns whether there may be more. */
static bool send_typed(void)
{
    unsigned char typed[RPMSG_LINK_MESSAGE_MAX];
    ssize_t length = read(STDIN_FILENO, typed, sizeof(typed));

    if (length > 0 && rpmsg_link_send(&link_to_board, typed, (size_t)length,
                                      timeout_ms) < 0) {
        fail(link_to_board.error);
    }
    return length > 0;
}

static void console(char **arguments)
{
    struct pollfd fds[] = {
        { .fd = STDIN_FILENO, .events = POLLIN },
        { .events = POLLIN },
    };

    open_link(arguments[0], write_out, NULL);
    fds[1].fd = ivshmem_pci_fd(&dev, 0);
    do {
        poll(fds, 2, LOOK_MS);
        has_restarted();
        if (rpmsg_link_serve(&link_to_board, 0) < 0) {
            fail(link_to_board.error);
        }
    } while (fds[0].revents == 0 || send_typed());
}

/*
 * pty
 */

static void show(void *context, const void *data, size_t length)
{
    terminal_write(context, data, length, timeout_ms);
}

__attribute__((noreturn)) static void pty(char **arguments)
{
    struct terminal terminal;
    struct pollfd fds[] = { { .events = POLLIN }, { .events = POLLIN } };

    if (terminal_open(&terminal, arguments[1]) < 0) {
        fail(terminal.error);
    }
    printf("%s is the terminal\n", terminal.name);
    open_link(arguments[0], show, &terminal);
    fds[1].fd = ivshmem_pci_fd(&dev, 0);
    for (;;) {
        unsigned char typed[RPMSG_LINK_MESSAGE_MAX];
        size_t length;

        /* poll() returns at once for a terminal that no program has open. */
        fds[0].fd = terminal_is_open(&terminal) ? terminal.fd : -1;
        poll(fds, 2, LOOK_MS);
        has_restarted();
        if (rpmsg_link_serve(&link_to_board, 0) < 0) {
            fail(link_to_board.error);
        }
        length = terminal_read(&terminal, typed, sizeof(typed));
        if (length > 0 && rpmsg_link_send(&link_to_board, typed, length,
                                          timeout_ms) < 0) {
            fail(link_to_board.error);
        }
    }
}

static const struct command commands[] = {
    { "ping", "ping SERVICE [COUNT]", 1, 2, ping },
    { "echo", "echo SERVICE [COUNT]", 1, 2, echo },
    { "console", "console SERVICE", 1, 1, console },
    { "pty", "pty SERVICE [LINK]", 1, 2, pty },
};

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "device", required_argument, NULL, 'd' },
        { "memory", required_argument, NULL, 'm' },
        { "size", required_argument, NULL, 's' },
        { "window", required_argument, NULL, 'w' },
        { "timeout", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "+d:m:s:w:t:h", options,
                                 NULL)) != -1) {
        switch (option) {
        case 'd':
            address = optarg;
            break;
        case 'm':
            link_to_board.board_memory = number("ADDRESS", optarg, UINT32_MAX);
            break;
        case 's':
            ping_size = number_above_0("BYTES", optarg, RPMSG_LINK_MESSAGE_MAX);
            break;
        case 'w':
            ping_window = number_above_0("COUNT", optarg, WINDOW_MAX);
            break;
        case 't':
            timeout_ms = (int)number("SECONDS", optarg, INT_MAX / 1000) * 1000;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        case 'V':
            print_version("ivshmem-rpmsg");
            exit(0);
        default:
            misused("ivshmem-rpmsg");
        }
    }
}

int main(int argc, char **argv)
{
    const struct command *command;

    parse_options(argc, argv);
    command = parse_command("ivshmem-rpmsg", commands,
                            sizeof(commands) / sizeof(commands[0]),
                            argv + optind);
    setvbuf(stdout, NULL, _IOLBF, 0);
    command->run(argv + optind + 1);
    rpmsg_link_close(&link_to_board);
    ivshmem_pci_close(&dev);
    return 0;
}
