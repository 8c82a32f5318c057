/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem: shared memory and doorbells from the command line of a Linux guest
 * that has QEMU's ivshmem-doorbell.  ivshmem-pci.h says what it needs.
 */

#define _GNU_SOURCE /* getopt_long() */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "escape.h"
#include "ivshmem-pci.h"

#define ANSWER_MILLISECONDS 10000
#define PING_COUNT 1000u

static const char usage[] =
    "Usage: ivshmem [OPTION...] COMMAND\n"
    "\n"
    "Shared memory and doorbells of QEMU's ivshmem-doorbell, in a Linux guest.\n"
    "\n"
    "  info                   show device, own ID and size of the memory\n"
    "  read OFFSET BYTES      copy shared memory to standard output\n"
    "  write OFFSET TEXT      write text to shared memory\n"
    "  ring PEER [VECTOR...]  ring these vectors of a peer (default: 0)\n"
    "  listen [SECONDS]       report doorbells until none has arrived for\n"
    "                         this long (default: forever)\n"
    "  ping PEER [COUNT [VECTOR]]\n"
    "                         ring a peer that answers each doorbell with one\n"
    "                         of the same vector (default: 1000, vector 0)\n"
    "\n"
    "  -d, --device ADDRESS   the device's address on the PCI bus, as in\n"
    "                         0000:00:01.0 (default: the first ivshmem)\n"
    "  -r, --raw              read: copy bytes unchanged even to a terminal,\n"
    "                         instead of control bytes as \\xNN\n"
    "  -h, --help             show this help\n"
    "      --version          print the version\n"
    "\n"
    "Numbers may be hexadecimal, as in 0x100. Only listen and ping need VFIO.\n"
    "The exit status is 1 if something fails, 2 if the command is wrong.\n";

static struct ivshmem_pci dev;
static bool raw;

__attribute__((noreturn)) static void fail(void)
{
    fprintf(stderr, "ivshmem: %s\n", dev.error);
    exit(1);
}

static uint64_t number(const char *what, const char *argument, uint64_t most)
{
    return parse_number("ivshmem", what, argument, most);
}

static void info(char **arguments)
{
    (void)arguments;
    printf("device %s\nown ID %u\nmemory %zu bytes\n", dev.address,
           ivshmem_flat_own_id(&dev.shm), dev.shm.size);
}

/* Returns the address of a range of shared memory, or exits. */
static void *range(uint64_t offset, uint64_t bytes)
{
    void *start = ivshmem_flat_at(&dev.shm, offset, bytes);

    if (start == NULL) {
        fprintf(stderr, "ivshmem: %" PRIu64 " bytes at %" PRIu64 " do not fit "
                "into the %zu bytes of shared memory\n", bytes, offset,
                dev.shm.size);
        exit(1);
    }
    return start;
}

static void read_memory(char **arguments)
{
    size_t length = number("BYTES", arguments[1], SIZE_MAX);
    const void *start = range(number("OFFSET", arguments[0], SIZE_MAX),
                              length);

    if (!raw && isatty(STDOUT_FILENO)) {
        print_escaped(start, length);
    } else {
        fwrite(start, 1, length, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("ivshmem: cannot write to standard output");
        exit(1);
    }
}

static void write_memory(char **arguments)
{
    const char *text = arguments[1];
    size_t length = strlen(text);

    memcpy(range(number("OFFSET", arguments[0], SIZE_MAX), length), text,
           length);
}

static uint16_t vector_number(const char *argument)
{
    return (uint16_t)number("VECTOR", argument, UINT16_MAX);
}

static void ring(char **arguments)
{
    uint16_t id = (uint16_t)number("PEER", arguments[0], UINT16_MAX);
    char **vectors = arguments + 1;

    /* Check all of them before ringing any. */
    for (int i = 0; vectors[i] != NULL; i++) {
        vector_number(vectors[i]);
    }
    if (vectors[0] == NULL) {
        ivshmem_flat_ring(&dev.shm, id, 0);
    }
    for (int i = 0; vectors[i] != NULL; i++) {
        ivshmem_flat_ring(&dev.shm, id, vector_number(vectors[i]));
    }
}

static void listen_for(char **arguments)
{
    int timeout = arguments[0] == NULL ? -1 :
                  (int)number("SECONDS", arguments[0], INT_MAX / 1000) * 1000;
    int vector;

    if (ivshmem_pci_enable_interrupts(&dev) < 0) {
        fail();
    }
    printf("id %u: listening, vectors: %u\n", ivshmem_flat_own_id(&dev.shm),
           dev.vectors);
    while ((vector = ivshmem_pci_wait(&dev, timeout)) >= 0) {
        printf("vector %d was rung\n", vector);
    }
    if (errno != ETIMEDOUT) {
        fail();
    }
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void ping(char **arguments)
{
    uint16_t id = (uint16_t)number("PEER", arguments[0], UINT16_MAX);
    const char *times = arguments[1];
    unsigned count = times == NULL ? PING_COUNT :
                     (unsigned)number("COUNT", times, UINT_MAX);
    uint16_t rung = times == NULL || arguments[2] == NULL ? 0 :
                    vector_number(arguments[2]);
    double start;

    if (ivshmem_pci_enable_interrupts(&dev) < 0) {
        fail();
    }
    start = now();
    for (unsigned i = 1; i <= count; i++) {
        int answer;

        ivshmem_flat_ring(&dev.shm, id, rung);
        answer = ivshmem_pci_wait(&dev, ANSWER_MILLISECONDS);
        if (answer >= 0 && answer != rung) {
            fprintf(stderr, "ivshmem: peer %u answered doorbell %u on vector "
                    "%u with vector %d\n", id, i, rung, answer);
            exit(1);
        }
        if (answer < 0) {
            fprintf(stderr, "ivshmem: peer %u did not answer doorbell %u of "
                    "%u: %s\n", id, i, count, dev.error);
            exit(1);
        }
    }
    printf("peer %u answered %u of %u doorbells, %.1f us each\n", id, count,
           count, count == 0 ? 0 : (now() - start) * 1e6 / count);
}

static const struct command commands[] = {
    { "info", "info", 0, 0, info },
    { "read", "read OFFSET BYTES", 2, 2, read_memory },
    { "write", "write OFFSET TEXT", 2, 2, write_memory },
    { "ring", "ring PEER [VECTOR...]", 1, INT_MAX, ring },
    { "listen", "listen [SECONDS]", 0, 1, listen_for },
    { "ping", "ping PEER [COUNT [VECTOR]]", 1, 3, ping },
};

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "device", required_argument, NULL, 'd' },
        { "raw", no_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    const char *address = NULL;
    const struct command *command;
    int option;

    while ((option = getopt_long(argc, argv, "+d:rh", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            address = optarg;
            break;
        case 'r':
            raw = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            print_version("ivshmem");
            return 0;
        default:
            misused("ivshmem");
        }
    }
    command = parse_command("ivshmem", commands,
                            sizeof(commands) / sizeof(commands[0]),
                            argv + optind);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (ivshmem_pci_open(&dev, address) < 0) {
        fail();
    }
    command->run(argv + optind + 1);
    ivshmem_pci_close(&dev);
    return 0;
}
