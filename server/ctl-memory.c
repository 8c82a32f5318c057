/* SPDX-License-Identifier: GPL-2.0-or-later */
/* read, dump and write: the contents of the shared memory */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "ctl.h"
#include "deadline.h"
#include "error.h"
#include "mapping.h"
#include "range.h"
#include "size.h"

#define WORD_BYTES sizeof(uint32_t)
#define DUMP_BYTES 256

/* Join, and map the memory. *@client stays connected. EXIT_DONE on success. */
static int open_memory(const Ctl *ctl, Client **client, Mapping *mapping, GError **error)
{
    *client = ctl_join(ctl, error);
    if (!*client) {
        return EXIT_NO_SERVER;
    }
    return mapping_init(mapping, client_memory(*client), EXIT_REFUSED, error)
           ? EXIT_DONE : EXIT_REFUSED;
}

/* The length of the string at @offset: up to a NUL byte or the end of the memory */
static uint64_t string_size(const Mapping *mapping, uint64_t offset)
{
    const uint8_t *begin = mapping->bytes + offset;
    const uint8_t *end = memchr(begin, 0, mapping->size - offset);

    return end ? (uint64_t)(end - begin) : mapping->size - offset;
}

/* The command's OFFSET and SIZE; SIZE is 0 if not given. */
static bool parse_range(const Ctl *ctl, Range *range, GError **error)
{
    *range = (Range) { 0, 0 };
    if (ctl->words[0] && !range_parse_offset(ctl->words[0], &range->offset, error)) {
        return false;
    }
    if (ctl->words[0] && ctl->words[1] &&
        !size_parse(ctl->words[1], &range->size, error)) {
        return false;
    }
    return !ctl->word || range_check_words(range, error);
}

static int save(const Ctl *ctl, const uint8_t *bytes, size_t size, GError **error)
{
    FILE *file = fopen(ctl->file, "we");
    bool written = file && fwrite(bytes, 1, size, file) == size;

    if ((file && fclose(file)) || !written) {
        fail(error, "cannot write %s: %s", ctl->file, g_strerror(errno));
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

static void print_words(const Ctl *ctl, const Mapping *mapping, const Range *range)
{
    uint64_t i;

    for (i = 0; i < range->size; i += WORD_BYTES) {
        printf("0x%08x\n", mapping_load(mapping, range->offset + i, ctl->big_endian));
    }
}

static void print_json(const Range *range, const char *hex)
{
    g_autoptr(JsonBuilder) builder = ctl_json_new();

    ctl_json_int(builder, "offset", range->offset);
    ctl_json_int(builder, "size", range->size);
    ctl_json_string(builder, "hex", hex);
    ctl_json_print(builder);
}

/* Raw bytes go only to files and pipes: a terminal might take them for commands. */
static int print_bytes(const Ctl *ctl, const Mapping *mapping, const Range *range,
                       GError **error)
{
    const uint8_t *bytes = mapping->bytes + range->offset;

    if (ctl->file) {
        return save(ctl, bytes, range->size, error);
    }
    if (ctl->word) {
        print_words(ctl, mapping, range);
    } else if (ctl->hex || ctl->json) {
        g_autofree char *hex = bytes_to_hex(bytes, range->size);

        if (ctl->json) {
            print_json(range, hex);
        } else {
            printf("%s\n", hex);
        }
    } else if (ctl->text || isatty(STDOUT_FILENO)) {
        g_autofree char *text = bytes_to_text(bytes, range->size);

        printf("%s\n", text);
    } else {
        fwrite(bytes, 1, range->size, stdout);
    }
    return ctl_flush(error);
}

static int read_range(const Ctl *ctl, const Mapping *mapping, Range *range,
                      GError **error)
{
    if (!range_check(range, mapping->size, error)) {
        return EXIT_REFUSED;
    }
    if (!range->size) {
        range->size = ctl->word ? WORD_BYTES : string_size(mapping, range->offset);
    }
    if (!range_check(range, mapping->size, error)) {
        return EXIT_REFUSED;
    }
    return print_bytes(ctl, mapping, range, error);
}

static int dump_range(const Ctl *ctl, const Mapping *mapping, Range *range,
                      GError **error)
{
    (void)ctl;
    if (!range_check(range, mapping->size, error)) {
        return EXIT_REFUSED;
    }
    if (!range->size) {
        range->size = MIN(DUMP_BYTES, mapping->size - range->offset);
    }
    bytes_dump(stdout, mapping->bytes + range->offset, range->size, range->offset);
    return ctl_flush(error);
}

/* A command with the words OFFSET and SIZE. @show chooses those not given. */
static int show_range(const Ctl *ctl,
                      int (*show)(const Ctl *ctl, const Mapping *mapping, Range *range,
                                  GError **error),
                      GError **error)
{
    g_autoptr(Client) client = NULL;
    Mapping mapping;
    Range range;
    int result;

    if (!parse_range(ctl, &range, error)) {
        return EXIT_USAGE;
    }
    result = open_memory(ctl, &client, &mapping, error);
    if (result == EXIT_DONE) {
        result = show(ctl, &mapping, &range, error);
        mapping_clear(&mapping);
    }
    return result;
}

int ctl_read(const Ctl *ctl, GError **error)
{
    return show_range(ctl, read_range, error);
}

int ctl_dump(const Ctl *ctl, GError **error)
{
    return show_range(ctl, dump_range, error);
}

/* /dev/stdin cannot be opened if it is a socket, as under sshd. */
static GBytes *load_stdin(GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint8_t piece[65536];
    ssize_t got;

    while ((got = read(STDIN_FILENO, piece, sizeof(piece)))) {
        if (got > 0) {
            g_byte_array_append(bytes, piece, got);
        } else if (errno == EAGAIN) {
            deadline_poll(STDIN_FILENO, POLLIN, DEADLINE_NEVER);
        } else if (errno != EINTR) {
            fail(error, "cannot read standard input: %s", g_strerror(errno));
            return NULL;
        }
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

/* The contents of --file, or of standard input for "-" */
static GBytes *load(const char *path, GError **error)
{
    g_autofree char *contents = NULL;
    gsize length;

    if (!strcmp(path, "-")) {
        return load_stdin(error);
    }
    if (!g_file_get_contents(path, &contents, &length, error)) {
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&contents), length);
}

/* What to write; NULL for a word, which is in *@value. */
static bool parse_contents(const Ctl *ctl, GBytes **bytes, uint64_t *value,
                           GError **error)
{
    const char *text = ctl->words[1];

    if (!text == !ctl->file) {
        return fail(error, "write OFFSET needs either the data or --file");
    }
    if (ctl->word) {
        return ctl_number("word", text, UINT32_MAX, value, error);
    }
    if (ctl->file) {
        *bytes = load(ctl->file, error);
    } else if (ctl->hex) {
        *bytes = bytes_from_hex(text, error);
    } else {
        *bytes = bytes_from_text(text, error);
    }
    return *bytes;
}

static int write_range(const Ctl *ctl, Mapping *mapping, const Range *range,
                       GBytes *bytes, uint64_t value, GError **error)
{
    if (!range_check(range, mapping->size, error)) {
        return EXIT_REFUSED;
    }
    if (bytes) {
        memcpy(mapping->bytes + range->offset, g_bytes_get_data(bytes, NULL),
               range->size);
    } else {
        mapping_store(mapping, range->offset, value, ctl->big_endian);
    }
    return EXIT_DONE;
}

int ctl_write(const Ctl *ctl, GError **error)
{
    g_autoptr(Client) client = NULL;
    g_autoptr(GBytes) bytes = NULL;
    Range range = { .size = WORD_BYTES };
    uint64_t value = 0;
    Mapping mapping;
    int result;

    if (!range_parse_offset(ctl->words[0], &range.offset, error) ||
        !parse_contents(ctl, &bytes, &value, error) ||
        (ctl->word && !range_check_words(&range, error))) {
        return EXIT_USAGE;
    }
    if (bytes) {
        range.size = g_bytes_get_size(bytes);
    }
    result = open_memory(ctl, &client, &mapping, error);
    if (result == EXIT_DONE) {
        result = write_range(ctl, &mapping, &range, bytes, value, error);
        mapping_clear(&mapping);
    }
    return result;
}
