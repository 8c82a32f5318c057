/*
 * QTest fuzzer for ivshmem-flat: a guest's accesses of every size, aligned and
 * not, in and around both windows
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "ivshmem-flat-fuzz.h"
#include "ivshmem-flat-wait.h"

#define ROUNDS 1000000

static unsigned random_id(World *w)
{
    switch (pick(8)) {
    case 0:
        return random_u32() & 0xffff;
    case 1:
        return w->own->id;
    case 2:
        return w->gone;
    default:
        return w->n_peers ? w->peers[pick(w->n_peers)].fake->id : w->gone;
    }
}

static uint64_t random_value(World *w)
{
    uint32_t doorbell;

    switch (pick(8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return random_u64();
    default:
        doorbell = random_id(w) << 16 |
                   (one_in(8) ? random_u32() & 0xffff : pick(MAX_VECTORS + 1));
        /* Some at other byte offsets, where it is not a doorbell */
        return (uint64_t)doorbell << pick(5) * 8 | doorbell;
    }
}

static uint64_t random_address(void)
{
    switch (pick(4)) {
    case 0:
        return SHMEM + pick(SHMEM_SIZE);
    case 1:
        return SHMEM + pick(2) * SHMEM_SIZE - 16 + pick(32);
    case 2:
        return MMR + (one_in(2) ? DOORBELL : pick(MMR_SIZE / 4) * 4);
    default:
        return MMR - 16 + pick(16 + MMR_SIZE + 16);
    }
}

static uint64_t vm_read(World *w, uint64_t address, unsigned size)
{
    switch (size) {
    case 1:
        return qtest_readb(w->vm, address);
    case 2:
        return qtest_readw(w->vm, address);
    case 4:
        return qtest_readl(w->vm, address);
    case 8:
        return qtest_readq(w->vm, address);
    }
    g_assert_not_reached();
}

static void vm_write(World *w, uint64_t address, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        qtest_writeb(w->vm, address, value);
        break;
    case 2:
        qtest_writew(w->vm, address, value);
        break;
    case 4:
        qtest_writel(w->vm, address, value);
        break;
    case 8:
        qtest_writeq(w->vm, address, value);
        break;
    default:
        g_assert_not_reached();
    }
}

static uint32_t expect_register_read(World *w, unsigned offset)
{
    uint32_t value = 0;

    switch (offset) {
    case INTRMASK:
        value = w->intrmask;
        break;
    case INTRSTATUS:
        value = w->intrstatus;
        w->intrstatus = 0;
        break;
    case IVPOSITION:
        value = w->own->id;
        break;
    }
    return value;
}

static void expect_register_write(World *w, unsigned offset, uint32_t value)
{
    unsigned vector = value & 0xffff;
    Peer *p = NULL;

    switch (offset) {
    case INTRMASK:
        w->intrmask = value;
        break;
    case INTRSTATUS:
        w->intrstatus = value;
        break;
    case DOORBELL:
        p = world_find_peer(w, value >> 16);
        if (p && vector < p->fake->n_vectors) {
            p->rings[vector]++;
        }
        break;
    }
}

/*
 * QEMU splits an access where the registers begin, and the rest into powers of
 * two.  The registers accept aligned pieces of 32 bits.
 */
static unsigned cut_access(uint64_t address, unsigned size, bool *is_register)
{
    unsigned piece = address - MMR < MMR_SIZE ? pow2floor(size) : 1;

    *is_register = piece == 4 && address % 4 == 0;
    return piece;
}

static void check_mmr_read(World *w, uint64_t address, unsigned size)
{
    uint8_t known[8] = { }, expected[8] = { };
    uint64_t value;
    bool is_register;
    unsigned piece;

    for (unsigned i = 0; i < size; i += piece) {
        piece = cut_access(address + i, size - i, &is_register);
        if (address + i - MMR < MMR_SIZE) {
            memset(known + i, 0xff, piece);
        }
        if (is_register) {
            stl_le_p(expected + i,
                     expect_register_read(w, address + i - MMR));
        }
    }

    value = vm_read(w, address, size);
    g_assert_cmphex(value & ldq_le_p(known), ==, ldq_le_p(expected));
}

static void check_mmr_write(World *w, uint64_t address, unsigned size)
{
    uint64_t value = random_value(w);
    bool is_register;
    unsigned piece;

    for (unsigned i = 0; i < size; i += piece) {
        piece = cut_access(address + i, size - i, &is_register);
        if (is_register) {
            expect_register_write(w, address + i - MMR, value >> i * 8);
        }
    }

    vm_write(w, address, value, size);
}

static void check_shmem_read(World *w, uint64_t address, unsigned size)
{
    uint64_t value = vm_read(w, address, size);

    for (unsigned i = 0; i < size; i++) {
        uint64_t offset = address + i - SHMEM;

        if (offset < SHMEM_SIZE) {
            g_assert_cmphex(value >> i * 8 & 0xff, ==, w->shm[offset]);
        }
    }
}

static void check_shmem_write(World *w, uint64_t address, unsigned size)
{
    uint64_t value = random_u64();

    vm_write(w, address, value, size);
    for (unsigned i = 0; i < size; i++) {
        uint64_t offset = address + i - SHMEM;

        if (offset < SHMEM_SIZE) {
            g_assert_cmphex(w->shm[offset], ==, value >> i * 8 & 0xff);
        }
    }
}

/* Each peer was rung as often as the guest rang it, and nobody else was */
static void check_rings(World *w)
{
    GPollFD fds[MAX_PEERS * MAX_VECTORS];
    uint64_t *rings[ARRAY_SIZE(fds)];
    unsigned count = 0;

    for (unsigned i = 0; i < w->n_peers; i++) {
        Peer *p = &w->peers[i];

        for (unsigned v = 0; v < p->fake->n_vectors && !p->deaf; v++) {
            fds[count] = (GPollFD) { p->fake->vectors[v], G_IO_IN };
            rings[count++] = &p->rings[v];
        }
    }
    g_poll(fds, count, 0);
    for (unsigned i = 0; i < count; i++) {
        uint64_t rung = 0;

        if (fds[i].revents) {
            g_assert_cmpint(read(fds[i].fd, &rung, sizeof(rung)), ==,
                            sizeof(rung));
        }
        g_assert_cmpuint(rung, ==, *rings[i]);
        *rings[i] = 0;
    }
}

static void peer_go_deaf(World *w, Peer *p)
{
    world_sync(w);
    p->deaf = true;
    for (unsigned i = 0; i < p->fake->n_vectors; i++) {
        fake_peer_rung(p->fake, i);
        fill_eventfd(p->fake->vectors[i], one_in(2));
    }
}

static void let_peers_act(World *w)
{
    unsigned id;

    switch (pick(5)) {
    case 0:
        id = random_u32() & 0xffff;
        if (w->n_peers < MAX_PEERS - 1 && id != w->own->id &&
            id != (w->own->id ^ 0x5555) && !world_find_peer(w, id)) {
            /* The peer that had this ID must have left */
            world_sync(w);
            world_join(w, id);
        }
        break;
    case 1:
        if (w->n_peers) {
            world_leave(w, &w->peers[pick(w->n_peers)]);
        }
        break;
    case 2:
        if (w->n_peers && one_in(4)) {
            Peer *p = &w->peers[pick(w->n_peers)];

            if (!p->deaf) {
                peer_go_deaf(w, p);
            }
        }
        break;
    case 3:
        fake_peer_ring(w->own, pick(LINES));
        break;
    case 4:
        irq_clear(w->vm, FIRST_LINE + pick(LINES));
        break;
    }
}

static void test_guest(void)
{
    g_autoptr(World) w = world_new();
    Run run = run_start("guest accesses", ROUNDS);
    unsigned returns = 0;
    unsigned fds;

    fds = world_count_fds(w);
    world_check(w);
    while (run_on(&run)) {
        uint64_t address = random_address();
        unsigned size = one_in(2) ? 4 : 1 << pick(4);

        if (address < MMR + 2 * MMR_SIZE) {
            (one_in(2) ? check_mmr_read : check_mmr_write)(w, address, size);
            check_rings(w);
        } else {
            (one_in(2) ? check_shmem_read : check_shmem_write)(w, address,
                                                               size);
        }
        if (one_in(64)) {
            let_peers_act(w);
        }
        if (one_in(4096)) {
            world_check(w);
        }
        if (one_in(20000)) {
            world_return(w);
            returns++;
        }
    }

    while (w->n_peers) {
        world_leave(w, w->peers);
    }
    world_check(w);
    /* Departed peers are kept for a moment */
    WAIT_FOR(world_count_fds(w) == fds);
    g_test_message("fuzz: %u %s in %.1f s, %u returns of the server",
                   run.rounds, run.what, run_seconds(&run), returns);
}

int main(int argc, char **argv)
{
    static const Test tests[] = { { "fuzz/guest", test_guest } };

    g_test_init(&argc, &argv, NULL);
    add_tests("mps2-an385", tests, ARRAY_SIZE(tests));

    return run_tests();
}
