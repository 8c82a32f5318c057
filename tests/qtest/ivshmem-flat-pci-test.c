/*
 * QTest comparison of ivshmem-flat with the PCI device ivshmem-doorbell
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Both devices go through the same random steps, and everything that a guest or
 * a peer can see must be the same.  Each has its own server, and both servers
 * send the same.
 *
 * Intended differences are left out: accesses other than aligned 32-bit ones,
 * and vectors above 255, where the PCI device may drop the upper 8 bits.  No ID
 * is used again after its peer has left, because the PCI device would store the
 * new peer in freed memory.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqos/generic-pcihost.h"
#include "hw/pci/pci_regs.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define SHMEM_SIZE  (64 * KiB)

/* RAM for the PCI device's interrupts, each a write of 1 */
#define PCI_MESSAGE(vector) (0x44000000 + (vector) * 4)
#define PCI_SLOT_NO 1

#define FIRST_LINE  24
#define LINE(n)     "nvic/unnamed-gpio-in[" #n "]"

#define MAX_PEERS   8
#define MAX_VECTORS 4
#define STEPS       20000
#define SECONDS     10

typedef struct Side Side;

struct Side {
    const char *command_line;
    void (*attach)(Side *side);         /* after each reset */
    bool (*interrupted)(Side *side, unsigned vector);
    void (*acknowledge)(Side *side, unsigned vector);

    QTestState *vm;
    uint64_t mmr, shmem;

    FakeServer *server;
    int shm_fd;
    FakePeer *own;
    FakePeer *peers[MAX_PEERS];
    uint16_t gone;                      /* the last peer that left */
};

/*
 * ivshmem-flat
 */

static void flat_attach(Side *side)
{
    side->mmr = MMR;
    side->shmem = SHMEM;
}

static bool flat_interrupted(Side *side, unsigned vector)
{
    return irq_pending(side->vm, FIRST_LINE + vector);
}

static void flat_acknowledge(Side *side, unsigned vector)
{
    irq_clear(side->vm, FIRST_LINE + vector);
}

/*
 * ivshmem-doorbell
 */

static void pci_attach(Side *side)
{
    QGenericPCIBus host = { };
    g_autofree QPCIDevice *dev = NULL;
    QPCIBar table;

    qpci_init_generic(&host, side->vm, NULL, false);
    dev = qpci_device_find(&host.bus, QPCI_DEVFN(PCI_SLOT_NO, 0));
    g_assert_nonnull(dev);
    qpci_device_enable(dev);
    side->mmr = qpci_iomap(dev, 0, NULL).addr;
    side->shmem = qpci_iomap(dev, 2, NULL).addr;

    qpci_msix_enable(dev);
    table = dev->msix_table_bar;
    table.addr += dev->msix_table_off;
    for (unsigned i = 0; i < MAX_VECTORS; i++) {
        qpci_io_writel(dev, table, PCI_MSIX_ENTRY_LOWER_ADDR, PCI_MESSAGE(i));
        qpci_io_writel(dev, table, PCI_MSIX_ENTRY_UPPER_ADDR, 0);
        qpci_io_writel(dev, table, PCI_MSIX_ENTRY_DATA, 1);
        qpci_io_writel(dev, table, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
        table.addr += PCI_MSIX_ENTRY_SIZE;
    }
}

static bool pci_interrupted(Side *side, unsigned vector)
{
    return qtest_readl(side->vm, PCI_MESSAGE(vector));
}

static void pci_acknowledge(Side *side, unsigned vector)
{
    qtest_writel(side->vm, PCI_MESSAGE(vector), 0);
}

static const Side flat_side = {
    .command_line = "-machine mps2-an385 -device 'ivshmem-flat,chardev=iv,"
                    "x-bus-qompath=/sysbus,x-irq-qompath="
                    LINE(24) ";" LINE(25) ";" LINE(26) ";" LINE(27) ","
                    AT_SHMEM ",shmem-size=64K'",
    .attach = flat_attach,
    .interrupted = flat_interrupted,
    .acknowledge = flat_acknowledge,
};

static const Side pci_side = {
    .command_line = "-machine virt -nic none -device "
                    "ivshmem-doorbell,chardev=iv,vectors=4,addr=1",
    .attach = pci_attach,
    .interrupted = pci_interrupted,
    .acknowledge = pci_acknowledge,
};

/*
 * Either
 */

static void side_greet(FakeServer *server, void *opaque)
{
    Side *side = opaque;

    fake_server_greet(server, side->own->id, side->shm_fd);
    fake_server_announce(server, side->own);
}

static Side *side_new(const Side *kind, unsigned own_id)
{
    Side *side = g_memdup2(kind, sizeof(*kind));

    side->server = fake_server_new(tmpdir);
    side->own = fake_peer_new(own_id, MAX_VECTORS);
    side->shm_fd = fake_shm_new(SHMEM_SIZE);
    fake_server_expect(side->server, side_greet, side);
    side->vm = qtest_initf("-chardev socket,path=%s,id=iv %s",
                           fake_server_socket(side->server),
                           side->command_line);
    fake_server_join(side->server);
    side->attach(side);
    return side;
}

static void side_free(Side *side)
{
    qtest_quit(side->vm);
    for (unsigned i = 0; i < MAX_PEERS; i++) {
        fake_peer_free(side->peers[i]);
    }
    fake_peer_free(side->own);
    fake_server_free(side->server);
    close(side->shm_fd);
    g_free(side);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Side, side_free)

static void side_join(Side *side, unsigned slot, unsigned id,
                      unsigned n_vectors)
{
    side->peers[slot] = fake_peer_new(id, n_vectors);
    fake_server_announce(side->server, side->peers[slot]);
    WAIT_FOR(fake_server_all_read(side->server));
}

static void side_leave(Side *side, unsigned slot)
{
    fake_server_send(side->server, side->peers[slot]->id, -1);
    WAIT_FOR(fake_server_all_read(side->server));
    side->gone = side->peers[slot]->id;
    fake_peer_free(g_steal_pointer(&side->peers[slot]));
}

static void side_acknowledge(Side *side)
{
    for (unsigned i = 0; i < MAX_VECTORS; i++) {
        side->acknowledge(side, i);
    }
}

static void side_reset(Side *side)
{
    qtest_system_reset(side->vm);
    side->attach(side);
    side_acknowledge(side);
}

/*
 * Both
 */

static void both_acknowledge(Side *flat, Side *pci)
{
    side_acknowledge(flat);
    side_acknowledge(pci);
}

/* For a doorbell rung after both_acknowledge(), which clears earlier ones */
static void expect_interrupts(Side *flat, Side *pci, unsigned vector)
{
    WAIT_FOR(flat->interrupted(flat, vector));
    WAIT_FOR(pci->interrupted(pci, vector));
}

static void compare_read(Side *flat, Side *pci, unsigned offset)
{
    g_assert_cmphex(qtest_readl(flat->vm, flat->mmr + offset), ==,
                    qtest_readl(pci->vm, pci->mmr + offset));
}

static void both_write(Side *flat, Side *pci, unsigned offset, uint32_t value)
{
    qtest_writel(flat->vm, flat->mmr + offset, value);
    qtest_writel(pci->vm, pci->mmr + offset, value);
}

static void compare_shmem(Side *flat, Side *pci)
{
    unsigned offset = g_test_rand_int_range(0, SHMEM_SIZE / 4) * 4;
    uint32_t value = g_test_rand_int();

    qtest_writel(flat->vm, flat->shmem + offset, value);
    qtest_writel(pci->vm, pci->shmem + offset, value);
    offset = g_test_rand_int_range(0, SHMEM_SIZE / 4) * 4;
    g_assert_cmphex(qtest_readl(flat->vm, flat->shmem + offset), ==,
                    qtest_readl(pci->vm, pci->shmem + offset));
}

static void compare_effects(Side *flat, Side *pci)
{
    for (unsigned i = 0; i < MAX_VECTORS; i++) {
        g_assert_cmpint(flat->interrupted(flat, i), ==,
                        pci->interrupted(pci, i));
    }
    for (unsigned i = 0; i < MAX_PEERS; i++) {
        for (unsigned v = 0; flat->peers[i] && v < flat->peers[i]->n_vectors;
             v++) {
            g_assert_cmpuint(fake_peer_rung(flat->peers[i], v), ==,
                             fake_peer_rung(pci->peers[i], v));
        }
    }
}

static unsigned random_id(Side *side)
{
    FakePeer *peer = side->peers[g_test_rand_int_range(0, MAX_PEERS)];

    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return g_test_rand_int() & 0xffff;
    case 1:
        return side->own->id;
    default:
        return peer ? peer->id : side->gone;
    }
}

static void both_ring(Side *flat, Side *pci)
{
    unsigned id = random_id(flat);
    unsigned vector = g_test_rand_int_range(0, MAX_VECTORS + 2);

    if (g_test_rand_int_range(0, 8) == 0) {
        vector = g_test_rand_int_range(0, 256);
    }
    if (id == flat->own->id && vector < MAX_VECTORS) {
        both_acknowledge(flat, pci);
        both_write(flat, pci, DOORBELL, id << 16 | vector);
        expect_interrupts(flat, pci, vector);
    } else {
        both_write(flat, pci, DOORBELL, id << 16 | vector);
    }
}

static void peers_change(Side *flat, Side *pci, GHashTable *used)
{
    unsigned slot = g_test_rand_int_range(0, MAX_PEERS);
    unsigned id = g_test_rand_int() & 0xffff;
    unsigned n_vectors = g_test_rand_int_range(1, MAX_VECTORS + 1);

    if (flat->peers[slot]) {
        side_leave(flat, slot);
        side_leave(pci, slot);
    } else if (g_hash_table_add(used, GUINT_TO_POINTER(id))) {
        side_join(flat, slot, id, n_vectors);
        side_join(pci, slot, id, n_vectors);
    }
}

static void step(Side *flat, Side *pci, GHashTable *used)
{
    uint32_t value = g_test_rand_int();
    unsigned vector;

    switch (g_test_rand_int_range(0, 100)) {
    case 0 ... 39:
        both_ring(flat, pci);
        break;
    case 40 ... 59:
        compare_read(flat, pci, g_test_rand_int_range(0, 4) * 4);
        break;
    case 60 ... 79:
        both_write(flat, pci, g_test_rand_int_range(0, 3) * 4, value);
        break;
    case 80 ... 84:
        compare_shmem(flat, pci);
        break;
    case 85 ... 89:
        both_acknowledge(flat, pci);
        break;
    case 90 ... 94:
        both_acknowledge(flat, pci);
        vector = g_test_rand_int_range(0, MAX_VECTORS);
        fake_peer_ring(flat->own, vector);
        fake_peer_ring(pci->own, vector);
        expect_interrupts(flat, pci, vector);
        break;
    case 95 ... 98:
        peers_change(flat, pci, used);
        break;
    case 99:
        side_reset(flat);
        side_reset(pci);
        break;
    }
    compare_effects(flat, pci);
}

static void test_same_answers(const void *own_id)
{
    g_autoptr(Side) flat = side_new(&flat_side, GPOINTER_TO_UINT(own_id));
    g_autoptr(Side) pci = side_new(&pci_side, GPOINTER_TO_UINT(own_id));
    g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
    gint64 end = g_get_monotonic_time() + SECONDS * G_TIME_SPAN_SECOND;
    unsigned steps;

    g_hash_table_add(used, (void *)own_id);
    for (unsigned offset = 0; offset <= DOORBELL; offset += 4) {
        compare_read(flat, pci, offset);
    }
    for (steps = 0; steps < STEPS && g_get_monotonic_time() < end; steps++) {
        step(flat, pci, used);
    }
    g_test_message("fuzz: %u steps on both devices, with own ID %u", steps,
                   GPOINTER_TO_UINT(own_id));
}

int main(int argc, char **argv)
{
    static const unsigned own_ids[] = { 0, 1, 0x7fff, 0xffff };

    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_machine("mps2-an385") || !qtest_has_machine("virt") ||
        !qtest_has_device("ivshmem-doorbell")) {
        return 0;
    }

    for (unsigned i = 0; i < ARRAY_SIZE(own_ids); i++) {
        g_autofree char *path =
            g_strdup_printf("ivshmem-flat/same-as-pci/own-id-%u", own_ids[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(own_ids[i]),
                            test_same_answers);
    }

    return run_tests();
}
