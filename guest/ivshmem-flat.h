/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver for ivshmem-flat, QEMU's inter-VM shared memory for machines that
 * have no PCI bus.  This header is all of it: C99 (or C++), no libc, no RTOS.
 *
 *     static struct ivshmem_flat shm;
 *
 *     ivshmem_flat_map(&shm, 0x400FF000, 0x60000000, 4 * 1024 * 1024);
 *     ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
 *     enable_irq(29);                        // your board's own function
 *     ...
 *     ivshmem_flat_ring(&shm, peer, 0);      // peer: the ID of another VM
 *
 *     void irq29_vector(void)                // in your vector table
 *     {
 *         ivshmem_flat_isr(&shm);
 *     }
 *
 * Addresses, size and line are the ones of the QEMU command line
 * (x-bus-address-mmr, x-bus-address-shmem, shmem-size, x-irq-qompath).
 * The device itself cannot tell any of them.
 *
 * "Spec" below is docs/specs/ivshmem-spec.rst in QEMU's source tree.  What a
 * guest never learns from the device, and therefore has to agree on with its
 * peers in shared memory:
 *
 * - which peers there are, and when one comes or goes;
 * - whether a doorbell was delivered: there is no acknowledgement, and ringing
 *   a peer that is not there does nothing;
 * - who rang, and how often: doorbells that follow each other closely become
 *   one interrupt.  Take a doorbell as "look at the shared memory", and look
 *   until there is nothing left to do.
 */

#ifndef IVSHMEM_FLAT_H
#define IVSHMEM_FLAT_H

#include <stddef.h>
#include <stdint.h>

/*
 * IVSHMEM_FLAT_FENCE() - a full barrier for CPU and compiler, between accesses
 * to memory and to registers.  Define it before including this header to use
 * your platform's own.
 */
#ifndef IVSHMEM_FLAT_FENCE
#if defined(__aarch64__) || (defined(__arm__) && \
    (__ARM_ARCH >= 7 || __ARM_ARCH_PROFILE == 'M'))
/* Covers the register write too: a fence for Normal memory alone may not. */
#define IVSHMEM_FLAT_FENCE() __asm__ volatile("dmb sy" : : : "memory")
#elif defined(__riscv)
#define IVSHMEM_FLAT_FENCE() __asm__ volatile("fence iorw, iorw" : : : "memory")
#elif defined(__sparc__) && !defined(__arch64__)
/* GCC's own for LEON is a mere store, which is not enough in QEMU. */
#define IVSHMEM_FLAT_FENCE() \
    __asm__ volatile("ldstub [%%sp - 1], %%g0" : : : "memory")
#elif defined(__GNUC__)
#define IVSHMEM_FLAT_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#else
#error "define IVSHMEM_FLAT_FENCE() as this compiler's full memory barrier"
#endif
#endif

/*
 * Returns a number of the CPU's as a little-endian one, and the other way
 * round: on a little-endian CPU, the number itself.  Registers are
 * little-endian whatever the CPU is.  So, better, is each number in shared
 * memory that another VM is to understand: read it with
 *
 *     number = ivshmem_flat_le32(*word);
 */
static inline uint32_t ivshmem_flat_le32(uint32_t number)
{
    const unsigned char *bytes = (const unsigned char *)&number;

    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[1] << 8 | bytes[0];
}

/*
 * The registers, Spec "PCI device registers".  All are little-endian, 32 bits
 * wide, and take aligned 32-bit accesses only.
 */
struct ivshmem_flat_registers {
    uint32_t intrmask;   /* 0: reserved, masks nothing */
    uint32_t intrstatus; /* 4: reserved, tells nothing */
    uint32_t ivposition; /* 8: own ID; read only */
    uint32_t doorbell;   /* 12: peer << 16 | vector; write only */
};

/* Called for doorbells, in interrupt context, with the context given. */
typedef void ivshmem_flat_handler(void *context);

/* One device.  Owned by the caller, who may read it; the functions fill it. */
struct ivshmem_flat {
    volatile struct ivshmem_flat_registers *registers;
    unsigned char *memory; /* first byte of the shared memory */
    size_t size;           /* bytes of shared memory */
    ivshmem_flat_handler *handler;
    void *context;
};

/*
 * Fills *dev.  registers and memory are the addresses of the two windows as
 * the CPU sees them, size the length of the shared memory in bytes.  Touches
 * neither window and cannot fail: a wrong address shows at the first access.
 */
static inline void ivshmem_flat_map(struct ivshmem_flat *dev,
                                    uintptr_t registers, uintptr_t memory,
                                    size_t size)
{
    dev->registers = (volatile struct ivshmem_flat_registers *)registers;
    dev->memory = (unsigned char *)memory;
    dev->size = size;
    dev->handler = NULL;
    dev->context = NULL;
}

/*
 * Returns the own ID, 0 to 65535: the number by which peers ring this VM
 * (Spec, IVPosition Register).  It stays the same until QEMU ends, unless QEMU
 * joins a server that was restarted: then it is another one, and so are the
 * peers' IDs.  Values above 65535 mean that no ivshmem-flat answers at the
 * register address.
 *
 * 0 is the ID of the first VM that connected, and also what a device without
 * interrupts reads: the guest cannot tell these apart.
 */
static inline uint32_t ivshmem_flat_own_id(const struct ivshmem_flat *dev)
{
    return ivshmem_flat_le32(dev->registers->ivposition);
}

/*
 * Returns the address of the bytes offset to offset + bytes - 1 of the shared
 * memory, or NULL where they do not all lie in the window.  Safe with offsets
 * that came from a peer.
 */
static inline void *ivshmem_flat_at(const struct ivshmem_flat *dev,
                                    size_t offset, size_t bytes)
{
    if (offset > dev->size || bytes > dev->size - offset) {
        return NULL;
    }
    return dev->memory + offset;
}

/*
 * Orders every access to shared memory before it against every one after it,
 * as the peers see them.  Needed
 *
 * - after writing data, before writing the word that says the data is there;
 * - after reading such a word, before reading the data;
 * - after saying "I am here", before looking who else is.
 *
 * ivshmem_flat_ring() and ivshmem_flat_isr() contain one each: what was
 * written before a ring is there for the handler that the ring starts.
 */
static inline void ivshmem_flat_barrier(void)
{
    IVSHMEM_FLAT_FENCE();
}

/*
 * Rings vector (0 to 65535) of peer (an ID, 0 to 65535; the own ID works too).
 * Spec, Doorbell Register.  Everything written to shared memory before the call
 * is visible to the peer when its interrupt comes.  Another ivshmem-flat hears
 * vector 0 only; a PCI peer has as many vectors as its server gave it.
 *
 * Ignored, with no way to notice, where the peer or the vector is not
 * connected, or where this device or the peer's has no interrupts.
 */
static inline void ivshmem_flat_ring(const struct ivshmem_flat *dev,
                                     uint16_t peer, uint16_t vector)
{
    ivshmem_flat_barrier();
    dev->registers->doorbell = ivshmem_flat_le32((uint32_t)peer << 16 | vector);
}

/*
 * Sets the function that ivshmem_flat_isr() calls, NULL for none.  context is
 * handed through and must live as long as the handler is set.  Call it while
 * the device's interrupt line is disabled.  A doorbell that came earlier is
 * kept by the interrupt controller and arrives once the line is enabled.
 */
static inline void ivshmem_flat_set_handler(struct ivshmem_flat *dev,
                                            ivshmem_flat_handler *handler,
                                            void *context)
{
    dev->handler = handler;
    dev->context = context;
}

/*
 * To be called from the interrupt vector of the device's line.  There is
 * nothing to acknowledge in the device: its line is pulsed, and the interrupt
 * controller's pending bit goes when the vector is entered.
 */
static inline void ivshmem_flat_isr(const struct ivshmem_flat *dev)
{
    ivshmem_flat_barrier();
    if (dev->handler != NULL) {
        dev->handler(dev->context);
    }
}

#endif /* IVSHMEM_FLAT_H */
