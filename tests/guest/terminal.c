/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A terminal of guest/linux: shows what is on standard input there, and on
 * standard output what is typed there.
 *
 *     terminal TIMEOUT [LINK]
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "terminal.h"

int main(int argc, char **argv)
{
    struct terminal terminal;
    struct pollfd stdin_fd = { .fd = STDIN_FILENO, .events = POLLIN };
    char data[4096];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || terminal_open(&terminal, argv[2]) < 0) {
        printf("%s\n", terminal.error);
        return 1;
    }
    printf("%s\n", terminal.name);
    for (;;) {
        size_t typed = terminal_read(&terminal, data, sizeof(data));

        if (typed > 0) {
            printf("typed: %.*s", (int)typed, data);
        } else if (poll(&stdin_fd, 1, 10) > 0) {
            ssize_t length = read(STDIN_FILENO, data, sizeof(data));

            if (length <= 0) {
                return 0;
            }
            terminal_write(&terminal, data, (size_t)length, atoi(argv[1]));
        }
    }
}
