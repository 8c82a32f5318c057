/*
 * VMs with an ivshmem-flat, for its qtests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The registers are those of docs/specs/ivshmem-spec.rst.  A pulse of the
 * interrupt line is latched in the NVIC's pending registers, where tests see
 * it.
 */

#ifndef TESTS_QTEST_IVSHMEM_FLAT_VM_H
#define TESTS_QTEST_IVSHMEM_FLAT_VM_H

#include "libqtest.h"

#define INTRMASK    0x0
#define INTRSTATUS  0x4
#define IVPOSITION  0x8
#define DOORBELL    0xc

#define MMR         0x400ff000  /* the default */
/* Free on the Cortex-M boards that the tests use */
#define SHMEM       0x60000000
#define IRQ_LINE    29

/* Options of the device for this line */
#define WIRED       "x-bus-qompath=/sysbus," \
                    "x-irq-qompath=nvic/unnamed-gpio-in[" \
                    stringify(IRQ_LINE) "]"
#define AT_SHMEM    "x-bus-address-shmem=" stringify(SHMEM)

/* Option of the chardev: tries again until there is a server */
#define RECONNECT   "reconnect-ms=100"

#define DEVICE_PATH "/machine/peripheral/flat"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QTestState, qtest_quit)

/*
 * Starts a VM that has one device with @options.  Its server listens on the
 * path @socket; more options of the chardev may follow after a comma.  @extra
 * is appended to QEMU's command line, which a shell runs.  The caller ends the
 * VM, for example with g_autoptr(QTestState).
 */
QTestState *vm_start_on(const char *socket, const char *machine,
                        const char *options, const char *extra);

/*
 * The device as its guest sees it
 */

uint32_t reg_read(QTestState *vm, unsigned offset);
void reg_write(QTestState *vm, unsigned offset, uint32_t value);

/* What IVPOSITION reads */
unsigned own_id(QTestState *vm);

/* Writes DOORBELL; @peer and @vector are 0 to 0xffff */
void ring(QTestState *vm, unsigned peer, unsigned vector);

bool irq_pending(QTestState *vm, unsigned line);
void irq_clear(QTestState *vm, unsigned line);

/*
 * The device as its user sees it: QOM properties
 */

unsigned qom_get_number(QTestState *vm, const char *property);
bool connected(QTestState *vm);

/*
 * QEMU's messages, one VM at a time: standard error or the log in a file
 */

/* The path of the file. The caller frees it. */
char *said_path(void);

/* The shell's redirection of standard error to it. The caller frees it. */
char *said_redirect(void);

/* Whether the file contains @text so far */
bool said(const char *text);
void assert_said(const char *text);

/*
 * Starts QEMU with an mps2-an385 and @arguments.  It must exit with status 1
 * and print @reason.
 */
void assert_refused(const char *arguments, const char *reason);

/*
 * Lists of tests, added if this QEMU has the machine
 */

typedef struct Test {
    const char *name;
    void (*run)(void);
} Test;

void add_tests(const char *machine, const Test *tests, unsigned count);

/*
 * A test that runs on each of @boards, with the board's name as its parameter
 */
typedef struct BoardTest {
    const char *name;
    GTestDataFunc run;
} BoardTest;

extern const char *const boards[2];

void add_board_tests(const BoardTest *tests, unsigned count);

/*
 * A directory for the tests' files
 */

extern char *tmpdir;

/* g_test_run() with that directory, which must be empty again at the end */
int run_tests(void);

#include "hw/misc/ivshmem-flat-compat.h"

#endif
