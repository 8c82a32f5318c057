/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory is mapped, not read and written as a file: huge pages do not support
 * write(), and only loads and stores access a word atomically.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "mapping.h"

static int exit_status;

static void end_at_sigbus(int number)
{
    static const char text[] =
        "ivshmemctl: part of the shared memory is missing: it was truncated, or its "
        "file system is full. ivshmemd prevents both\n";
    ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)number;
    (void)written;
    _exit(exit_status);
}

bool mapping_init(Mapping *mapping, int fd, int failure, GError **error)
{
    const struct sigaction action = { .sa_handler = end_at_sigbus };
    struct stat st;
    void *bytes;

    if (fstat(fd, &st) < 0 || st.st_size <= 0) {
        return fail(error, "the server's memory is empty");
    }
    bytes = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return fail(error, "cannot map the shared memory: %s", g_strerror(errno));
    }
    exit_status = failure;
    sigaction(SIGBUS, &action, NULL);
    mapping->bytes = bytes;
    mapping->size = st.st_size;
    return true;
}

void mapping_clear(Mapping *mapping)
{
    munmap(mapping->bytes, mapping->size);
}

uint32_t mapping_load(const Mapping *mapping, uint64_t offset, bool big_endian)
{
    const uint32_t *word = (const void *)(mapping->bytes + offset);
    uint32_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);

    return big_endian ? GUINT32_FROM_BE(value) : GUINT32_FROM_LE(value);
}

void mapping_store(Mapping *mapping, uint64_t offset, uint32_t value, bool big_endian)
{
    uint32_t *word = (void *)(mapping->bytes + offset);

    value = big_endian ? GUINT32_TO_BE(value) : GUINT32_TO_LE(value);
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
