/*
 * Loads ivshmem-flat into the QEMU that Debian installed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * LD_PRELOAD loads this object into any program.  It uses nothing of QEMU, so
 * it can check the program before it loads the device, which depends on the
 * types, functions and structures of one particular build.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "refuse.h"

#define DEVICE "ivshmem-flat-device.so"

/* BUILD_ID is QEMU's build ID in hexadecimal, PACKAGE its name and version */
static const char build_id[] = BUILD_ID;

static bool same_file(const char *path, const struct stat *file)
{
    struct stat found;

    return stat(path, &found) == 0 && found.st_dev == file->st_dev &&
           found.st_ino == file->st_ino;
}

/* Removes this object from LD_PRELOAD, for child processes */
static void leave_environment(const char *own_path)
{
    const char *preload = getenv("LD_PRELOAD");
    char *list, *others, *path, *rest = NULL;
    struct stat own;

    if (!preload || stat(own_path, &own) < 0) {
        return;
    }
    list = strdup(preload);
    others = calloc(1, strlen(preload) + 1);
    if (!list || !others) {
        refuse("out of memory");
    }
    for (path = strtok_r(list, ": ", &rest); path;
         path = strtok_r(NULL, ": ", &rest)) {
        if (!same_file(path, &own)) {
            strcat(others, *others ? ":" : "");
            strcat(others, path);
        }
    }
    if (*others) {
        setenv("LD_PRELOAD", others, 1);
    } else {
        unsetenv("LD_PRELOAD");
    }
    free(others);
    free(list);
}

static bool is_build_id(const ElfW(Nhdr) *note, const unsigned char *id)
{
    if (note->n_type != NT_GNU_BUILD_ID ||
        note->n_descsz * 2 != strlen(build_id)) {
        return false;
    }
    for (size_t i = 0; i < note->n_descsz; i++) {
        char digits[3];

        snprintf(digits, sizeof(digits), "%02x", id[i]);
        if (memcmp(digits, build_id + 2 * i, 2)) {
            return false;
        }
    }
    return true;
}

static size_t padded(size_t size, size_t alignment)
{
    return (size + alignment - 1) / alignment * alignment;
}

/* The program itself is visited first; stop after it */
static int look_for_build_id(struct dl_phdr_info *program, size_t size,
                             void *found)
{
    for (unsigned i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        size_t alignment = segment->p_align > 4 ? segment->p_align : 4;
        const char *at = (const char *)program->dlpi_addr + segment->p_vaddr;
        const char *end = at + segment->p_memsz;

        if (segment->p_type != PT_NOTE) {
            continue;
        }
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *description =
                at + padded(sizeof(*note) + note->n_namesz, alignment);

            if (is_build_id(note, (const unsigned char *)description)) {
                *(bool *)found = true;
            }
            at = description + padded(note->n_descsz, alignment);
        }
    }
    return 1;
}

__attribute__((constructor))
static void load_device(void)
{
    char program[PATH_MAX] = "an unknown program";
    char device[PATH_MAX];
    bool right_build = false;
    const char *slash;
    Dl_info own;

    if (!dladdr((void *)load_device, &own)) {
        refuse("cannot find its own path: %s", dlerror());
    }
    leave_environment(own.dli_fname);

    dl_iterate_phdr(look_for_build_id, &right_build);
    if (!right_build) {
        ssize_t length = readlink("/proc/self/exe", program,
                                  sizeof(program) - 1);

        if (length > 0) {
            program[length] = '\0';
        }
        refuse("%s is not the build of QEMU that this was compiled for, %s.\n"
               "If the package was updated, run 'make qemu QEMU=stock' again, "
               "then 'make install' if this is installed. Do not preload it "
               "yourself: run the qemu-system-arm beside it.", program,
               PACKAGE);
    }

    slash = strrchr(own.dli_fname, '/');
    if (snprintf(device, sizeof(device), "%.*s%s",
                 slash ? (int)(slash + 1 - own.dli_fname) : 0, own.dli_fname,
                 DEVICE) >= (int)sizeof(device)) {
        refuse("its path is too long: %s", own.dli_fname);
    }
    if (!dlopen(device, RTLD_NOW)) {
        refuse("cannot load the device into %s: %s.\n"
               "Run 'make qemu QEMU=stock' again.", PACKAGE, dlerror());
    }
}
