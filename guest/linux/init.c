/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init process of a minimal Linux guest.  It loads the modules in /modules
 * in order of their names, runs programs from /bin one after the other, and
 * powers off the machine.  The programs and their arguments follow "--" on the
 * kernel's command line, separated by ";":
 *
 *     -append "console=ttyAMA0 quiet -- ivshmem info ; ivshmem listen"
 */

#define _GNU_SOURCE /* syscall() */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MODULES "/modules"

__attribute__((noreturn)) static void power_off(void)
{
    printf("init: powering off\n");
    fflush(stdout);
    tcdrain(STDOUT_FILENO); /* or the last output on the console is lost */
    sync();
    reboot(RB_POWER_OFF);
    _exit(1); /* not reached; the kernel would panic */
}

__attribute__((noreturn)) static void failed(const char *what, const char *name)
{
    printf("init: FAILED to %s %s: %s\n", what, name, strerror(errno));
    power_off();
}

static void mount_at(const char *type, const char *path)
{
    if (mount(type, path, type, 0, NULL) < 0) {
        failed("mount", path);
    }
}

static int is_module(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load_modules(void)
{
    struct dirent **modules;
    int count = scandir(MODULES, &modules, is_module, alphasort);

    if (count < 0) {
        failed("list", MODULES);
    }
    for (int i = 0; i < count; i++) {
        char path[300];
        int fd;

        snprintf(path, sizeof(path), MODULES "/%s", modules[i]->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 &&
                       errno != EEXIST)) {
            failed("load", path);
        }
        close(fd);
        free(modules[i]);
    }
    free(modules);
}

/* Runs the program argv[0] and prints how it ended. */
static void run(char **argv)
{
    char path[300];
    int status;
    pid_t child;

    snprintf(path, sizeof(path), "/bin/%s", argv[0]);
    child = fork();
    if (child == 0) {
        execv(path, argv);
        printf("init: FAILED to run %s: %s\n", path, strerror(errno));
        fflush(stdout);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        failed("start", path);
    }
    if (WIFSIGNALED(status)) {
        printf("init: FAILED: %s was killed by signal %d\n", argv[0],
               WTERMSIG(status));
    } else {
        printf("init: %s ended with status %d\n", argv[0],
               WEXITSTATUS(status));
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    mount_at("devtmpfs", "/dev");
    mount_at("sysfs", "/sys");
    load_modules();
    if (argc < 2) {
        printf("init: FAILED: the kernel's command line names no program:"
               " -append \"... -- PROGRAM ARGUMENT...\"\n");
    }
    for (char **program = argv + 1; program < argv + argc;) {
        char **end = program;

        while (*end != NULL && strcmp(*end, ";") != 0) {
            end++;
        }
        *end = NULL;
        if (*program != NULL) {
            run(program);
        }
        program = end + 1;
    }
    power_off();
}
