/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * eventfd_baseline MILLISECONDS: the shortest time for a doorbell round trip.
 *
 * For this long, two processes ring each other's eventfd, and wait for their
 * own with poll(), like programs that wait for several files.  Prints the mean
 * time of all round trips and of the fastest in a row, in microseconds.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 100
#define IN_A_ROW 4 /* as in guest/bench/doorbell.c */
#define PATIENCE_MS 5000

static void fail(const char *what)
{
    fprintf(stderr, "eventfd_baseline: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void ring(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) != sizeof(one)) {
        fail("write");
    }
}

static void wait_for_ring(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    uint64_t rings;

    errno = ETIMEDOUT; /* unless poll() sets it */
    if (poll(&poll_fd, 1, PATIENCE_MS) != 1 ||
        read(fd, &rings, sizeof(rings)) != sizeof(rings)) {
        fail("waiting for the other process");
    }
}

static void make_trips(int count, int there, int here)
{
    for (int i = 0; i < count; i++) {
        ring(there);
        wait_for_ring(here);
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
    double start, before, now, end, fastest = 0;
    long trips = 0;
    pid_t child;

    if (argc != 2) {
        fprintf(stderr, "usage: eventfd_baseline MILLISECONDS\n");
        return 1;
    }
    if (there < 0 || here < 0) {
        fail("eventfd");
    }
    child = fork();
    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            wait_for_ring(there);
            ring(here);
        }
    }

    make_trips(WARM_UP, there, here);
    start = before = now_us();
    end = start + atof(argv[1]) * 1e3;
    do {
        make_trips(IN_A_ROW, there, here);
        trips += IN_A_ROW;
        now = now_us();
        if (fastest == 0 || now - before < fastest) {
            fastest = now - before;
        }
        before = now;
    } while (now < end);
    printf("%.3f %.3f\n", (now - start) / trips, fastest / IN_A_ROW);

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
