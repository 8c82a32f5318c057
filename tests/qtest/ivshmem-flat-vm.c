/*
 * VMs with an ivshmem-flat, for its qtests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define NVIC_ISPR   0xe000e200
#define NVIC_ICPR   0xe000e280

char *tmpdir;

const char *const boards[2] = { "lm3s6965evb", "mps2-an385" };

QTestState *vm_start_on(const char *socket, const char *machine,
                        const char *options, const char *extra)
{
    return qtest_initf("-machine %s -chardev socket,path=%s,id=iv "
                       "-device 'ivshmem-flat,id=flat,chardev=iv,%s' %s",
                       machine, socket, options, extra);
}

uint32_t reg_read(QTestState *vm, unsigned offset)
{
    return qtest_readl(vm, MMR + offset);
}

void reg_write(QTestState *vm, unsigned offset, uint32_t value)
{
    qtest_writel(vm, MMR + offset, value);
}

unsigned own_id(QTestState *vm)
{
    return reg_read(vm, IVPOSITION);
}

void ring(QTestState *vm, unsigned peer, unsigned vector)
{
    reg_write(vm, DOORBELL, peer << 16 | vector);
}

bool irq_pending(QTestState *vm, unsigned line)
{
    return qtest_readl(vm, NVIC_ISPR + line / 32 * 4) & 1u << line % 32;
}

void irq_clear(QTestState *vm, unsigned line)
{
    qtest_writel(vm, NVIC_ICPR + line / 32 * 4, 1u << line % 32);
}

unsigned qom_get_number(QTestState *vm, const char *property)
{
    QDict *reply = qtest_qmp(vm, "{'execute': 'qom-get', 'arguments': "
                             "{'path': %s, 'property': %s}}",
                             DEVICE_PATH, property);
    unsigned value = qdict_get_int(reply, "return");

    qobject_unref(reply);
    return value;
}

bool connected(QTestState *vm)
{
    return qtest_qom_get_bool(vm, DEVICE_PATH, "connected");
}

char *said_path(void)
{
    return g_strdup_printf("%s/said", tmpdir);
}

char *said_redirect(void)
{
    g_autofree char *path = said_path();

    return g_strdup_printf("2>%s", path);
}

bool said(const char *text)
{
    g_autofree char *path = said_path();
    g_autofree char *all = NULL;

    return g_file_get_contents(path, &all, NULL, NULL) && strstr(all, text);
}

void assert_said(const char *text)
{
    g_autofree char *path = said_path();
    g_autofree char *all = NULL;

    g_assert_true(g_file_get_contents(path, &all, NULL, NULL));
    if (!strstr(all, text)) {
        g_error("expected \"%s\", QEMU said:\n%s", text, all);
    }
}

void assert_refused(const char *arguments, const char *reason)
{
    g_autofree char *redirect = said_redirect();
    g_autofree char *command =
        g_strdup_printf("exec timeout %d %s -display none -S "
                        "-machine mps2-an385 %s %s", TIMEOUT_S,
                        getenv("QTEST_QEMU_BINARY"), arguments, redirect);
    int status = system(command);

    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    assert_said(reason);
}

void add_tests(const char *machine, const Test *tests, unsigned count)
{
    for (unsigned i = 0; i < count && qtest_has_machine(machine); i++) {
        g_autofree char *path = g_strdup_printf("ivshmem-flat/%s",
                                                tests[i].name);

        qtest_add_func(path, tests[i].run);
    }
}

void add_board_tests(const BoardTest *tests, unsigned count)
{
    for (unsigned i = 0; i < count * ARRAY_SIZE(boards); i++) {
        const BoardTest *test = &tests[i % count];
        const char *board = boards[i / count];
        g_autofree char *path = g_strdup_printf("ivshmem-flat/%s/%s", board,
                                                test->name);

        if (qtest_has_machine(board)) {
            qtest_add_data_func(path, board, test->run);
        }
    }
}

int run_tests(void)
{
    g_autofree char *path = NULL;
    int ret;

    tmpdir = g_dir_make_tmp("ivshmem-flat-test.XXXXXX", NULL);
    g_assert_nonnull(tmpdir);

    ret = g_test_run();

    path = said_path();
    unlink(path);
    g_assert_cmpint(rmdir(tmpdir), ==, 0);
    g_clear_pointer(&tmpdir, g_free);
    return ret;
}
