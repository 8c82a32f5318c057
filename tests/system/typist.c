/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in a Linux guest.  Starts a program that creates a pseudo-terminal, and
 * uses that terminal as a person would.
 *
 *     typist PROGRAM ARGUMENT...
 *
 * Standard input has one command a line:
 *
 *     open PATH  wait for the terminal, open it, and print what appears there
 *     type TEXT  type a line
 *     close      close the terminal
 *     end PATH   end the program, and print whether the terminal still exists
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 60

static FILE *terminal;
static pid_t program;

static void fail(const char *what)
{
    printf("typist: FAILED: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_terminal(const char *path)
{
    for (int i = 0; i < SECONDS * 10 && access(path, F_OK) < 0; i++) {
        usleep(100000);
    }
    terminal = fopen(path, "r+");
    if (terminal == NULL) {
        fail(path);
    }
    setvbuf(terminal, NULL, _IONBF, 0);
    printf("typist: opened\n");
}

static void end_program(const char *path)
{
    int status;

    kill(program, SIGTERM);
    if (waitpid(program, &status, 0) != program) {
        fail("waitpid");
    }
    printf("typist: ended by signal %d, the terminal is %s\n", WTERMSIG(status),
           access(path, F_OK) == 0 ? "there" : "gone");
}

static void obey(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "open ", 5) == 0) {
        open_terminal(line + 5);
    } else if (strncmp(line, "type ", 5) == 0) {
        fprintf(terminal, "%s\n", line + 5);
    } else if (strcmp(line, "close") == 0) {
        fclose(terminal);
        terminal = NULL;
        printf("typist: closed\n");
    } else if (strncmp(line, "end ", 4) == 0) {
        end_program(line + 4);
        exit(0);
    } else {
        fail(line);
    }
}

static void show(void)
{
    char line[512];

    if (fgets(line, sizeof(line), terminal) == NULL) {
        fail("the terminal");
    }
    printf("typist: reads %s", line);
}

int main(int argc, char **argv)
{
    char line[512];

    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (argc < 2 || mkdir("/dev/pts", 0755) < 0 ||
        mount("devpts", "/dev/pts", "devpts", 0, NULL) < 0) {
        fail("/dev/pts");
    }
    program = fork();
    if (program == 0) {
        snprintf(line, sizeof(line), "/bin/%s", argv[1]);
        execv(line, argv + 1);
        fail(line);
    }
    for (;;) {
        int fd = terminal != NULL ? fileno(terminal) : -1;
        struct pollfd fds[] = {
            { .fd = STDIN_FILENO, .events = POLLIN },
            { .fd = fd, .events = POLLIN },
        };

        poll(fds, 2, -1);
        if (fds[1].revents != 0) {
            show();
        }
        if (fds[0].revents != 0) {
            if (fgets(line, sizeof(line), stdin) == NULL) {
                fail("standard input");
            }
            obey(line);
        }
    }
}
