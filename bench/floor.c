/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * floor MILLISECONDS: the least that a doorbell between two processes takes.
 *
 * Two processes ring each other's eventfd, for so long, and wait for their own
 * with poll(), as programs do that have other files to look at.  Prints
 * microseconds for one way and back.
 */

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 100
#define PATIENCE_MS 5000

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void ring(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) != sizeof(one)) {
        fail("floor: write");
    }
}

static void wait_for_ring(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    uint64_t rings;

    if (poll(&poll_fd, 1, PATIENCE_MS) != 1 ||
        read(fd, &rings, sizeof(rings)) != sizeof(rings)) {
        fail("floor: no answer");
    }
}

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    int there = eventfd(0, EFD_CLOEXEC), here = eventfd(0, EFD_CLOEXEC);
    double start, end;
    long trips = 0;
    pid_t child;

    if (argc != 2) {
        fprintf(stderr, "usage: floor MILLISECONDS\n");
        return 1;
    }
    if (there < 0 || here < 0) {
        fail("floor: eventfd");
    }
    child = fork();
    if (child < 0) {
        fail("floor: fork");
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            wait_for_ring(there);
            ring(here);
        }
    }

    for (int i = 0; i < WARM_UP; i++) {
        ring(there);
        wait_for_ring(here);
    }
    start = now_us();
    end = start + atof(argv[1]) * 1e3;
    while (now_us() < end) {
        ring(there);
        wait_for_ring(here);
        trips++;
    }
    printf("%.3f\n", (now_us() - start) / trips);

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
