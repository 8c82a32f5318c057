/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver for ivshmem-flat, QEMU's inter-VM shared memory for machines that have
 * no PCI bus.  This header is the whole driver.  It needs C99 or C++11, but no
 * libc and no RTOS, and it allocates no memory.
 *
 *     static struct ivshmem_flat shm;
 *
 *     ivshmem_flat_map(&shm, 0x400FF000, 0x60000000, 4 * 1024 * 1024);
 *     if (!ivshmem_flat_present(&shm)) {
 *         ...                                 // QEMU has no such device
 *     }
 *     ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
 *     NVIC_EnableIRQ(29);                     // or your board's own function
 *     ...
 *     ivshmem_flat_store32(word, number);     // word: in the shared memory
 *     ivshmem_flat_ring(&shm, peer, 0);       // peer: the ID of another VM
 *
 *     void irq29_vector(void)                 // in your vector table
 *     {
 *         ivshmem_flat_isr(&shm, 0);
 *     }
 *
 * Addresses, size and interrupt line are those of the QEMU command line
 * (x-bus-address-mmr, x-bus-address-shmem, shmem-size, x-irq-qompath).  A guest
 * cannot read them from the device.
 *
 * Several vectors, up to 64: x-irq-qompath=A;B;C gives vectors 0, 1 and 2 a
 * line each.  The handler of each line in your vector table must call
 * ivshmem_flat_isr() with that line's vector, which is passed to your handler.
 *
 * "Spec" below is docs/specs/ivshmem-spec.rst in QEMU's source tree, section
 * "PCI device registers".  A guest cannot learn the following from the device.
 * Peers have to tell each other in the shared memory:
 *
 * - which peers exist, and when one joins or leaves;
 * - whether a doorbell was delivered: there is no acknowledgement, and ringing
 *   a peer that does not exist has no effect;
 * - who rang, and how many times: doorbells in quick succession become one
 *   interrupt.  A doorbell means "look at the shared memory": keep looking
 *   until nothing is left to do.
 *
 * NEW SESSIONS.  The device itself rings vector 0 when it has reconnected to
 * the server, and when the server has replaced the shared memory.  After the
 * server restarts, the device's own ID, the peers' IDs and the contents of the
 * memory may all be different.  To notice this, keep in the memory a magic word,
 * an epoch and, for each VM, its ID and the epoch that it has joined.  New
 * memory contains zeros: no VM has joined it.  One VM, always the same one, sets
 * it up: first everything else, then the epoch (the last one plus 1), and the
 * magic word last.  At each doorbell, every VM checks these words first:
 *
 *     if (ivshmem_flat_load32(&shared->magic) != MAGIC) {
 *         // the memory is new: set it up, or look again at the next doorbell
 *     } else if (ivshmem_flat_load32(&mine->epoch) !=
 *                    ivshmem_flat_load32(&shared->epoch) ||
 *                ivshmem_flat_load32(&mine->id) != ivshmem_flat_own_id(&shm)) {
 *         // begin again: write both, then find the peers
 *     }
 *
 * A peer may return later than this VM, and doorbells to it are lost until
 * then.  At each doorbell, ring the peers that have not answered in the memory.
 * guest/examples/rejoin.c is a program that does all of this, and
 * ivshmem-names.h does it for two VMs that know each other's names.
 *
 * CONTEXT.  Each function says where it may be called.  "Any context" means
 * that interrupt handlers and several threads may call it at the same time.  No
 * function waits.
 */

#ifndef IVSHMEM_FLAT_H
#define IVSHMEM_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Version of this header, 100 * major + minor: 100 is 1.0.  A program written
 * for one version compiles with all later versions that have the same major
 * number.
 */
#define IVSHMEM_FLAT_DRIVER_VERSION 100

/*
 * IVSHMEM_FLAT_FENCE() - a full barrier for CPU and compiler, between accesses
 * to memory and to registers.  To use your platform's own, define it before you
 * include this header.
 */
#ifndef IVSHMEM_FLAT_FENCE
#if defined(__GNUC__) && !defined(__CC_ARM)
/* GCC, Clang, Arm Compiler 6 */
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
#else
#define IVSHMEM_FLAT_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif
#elif defined(__CMSIS_COMPILER_H)
/* CMSIS-Core was included before this header. */
#define IVSHMEM_FLAT_FENCE() __DMB()
#elif defined(__ICCARM__)
/* IAR */
#include <intrinsics.h>
#define IVSHMEM_FLAT_FENCE() __DMB()
#elif defined(__CC_ARM)
/* Arm Compiler 5, as in Keil MDK 5 */
#define IVSHMEM_FLAT_FENCE() \
    (__memory_changed(), __dmb(0xF), __memory_changed())
#else
#error "Unknown compiler: before you include ivshmem-flat.h, include CMSIS-Core \
or define IVSHMEM_FLAT_FENCE() as a full memory barrier for CPU and compiler"
#endif
#endif

/*
 * Converts a number between the CPU's byte order and little-endian, either way:
 * on a little-endian CPU it returns the number itself.  The registers are
 * little-endian on every CPU.  Use the same order for numbers in the shared
 * memory.
 *
 * Use it for blocks of data: after ivshmem_flat_load32() has read the word that
 * announces them, or before ivshmem_flat_store32() writes that word.  Any
 * context.
 */
static inline uint32_t ivshmem_flat_le32(uint32_t number)
{
    const unsigned char *bytes = (const unsigned char *)&number;

    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[1] << 8 | bytes[0];
}

/*
 * A full memory barrier.  As the peers see them, all accesses to the shared
 * memory before the call happen before all accesses after it.
 *
 * Call it between a store and a later load, which no other function here
 * orders: after ivshmem_flat_store32() has told a peer something, and before
 * ivshmem_flat_load32() looks for what the peer has told this VM.  One example
 * is "I am here" and then "who else is?", another is "I may sleep" and then "is
 * there anything new?".
 *
 * Any context.
 */
static inline void ivshmem_flat_barrier(void)
{
    IVSHMEM_FLAT_FENCE();
}

/*
 * Returns the number in a little-endian word of the shared memory, with acquire
 * order: accesses after the call see what the peer wrote before it stored this
 * number.  Each call reads the memory once, in one 32-bit access, so that a
 * loop can wait for a word:
 *
 *     while (ivshmem_flat_load32(&shared->ready) == 0) {
 *     }
 *
 * word is aligned to 4 bytes.  Any context.
 */
static inline uint32_t ivshmem_flat_load32(const volatile uint32_t *word)
{
    uint32_t number = ivshmem_flat_le32(*word);

    IVSHMEM_FLAT_FENCE();
    return number;
}

/*
 * Writes a number to a word of the shared memory as little-endian, once, in one
 * 32-bit access, with release order: a peer that loads it sees everything that
 * was written before the call.
 *
 * word is aligned to 4 bytes.  Any context.  Two writers of one word overwrite
 * each other's number, even if each loads it first: give each word one writer.
 */
static inline void ivshmem_flat_store32(volatile uint32_t *word,
                                        uint32_t number)
{
    IVSHMEM_FLAT_FENCE();
    *word = ivshmem_flat_le32(number);
}

/*
 * The registers (Spec).  All are little-endian and 32 bits wide.  Access them
 * only with aligned 32-bit loads and stores.
 */
struct ivshmem_flat_registers {
    uint32_t intrmask;   /* 0: no function */
    uint32_t intrstatus; /* 4: no function; reading clears it */
    uint32_t ivposition; /* 8: the device's own ID; read only */
    uint32_t doorbell;   /* 12: peer << 16 | vector; write only */
};

/*
 * Called for doorbells, in interrupt context, with the context given to
 * ivshmem_flat_set_handler() and the vector that was rung.  If the lines of
 * several vectors have different priorities, one call can interrupt another.
 */
typedef void ivshmem_flat_handler(void *context, uint16_t vector);

/*
 * One device.  The caller owns it and may read it; only the functions here
 * change it.  It must exist as long as it is in use.
 */
struct ivshmem_flat {
    volatile struct ivshmem_flat_registers *registers;
    unsigned char *memory; /* first byte of the shared memory */
    size_t size;           /* of the shared memory, in bytes */
    ivshmem_flat_handler *handler;
    void *context;
};

/*
 * Fills *dev.  registers and memory are the addresses of the two windows as the
 * CPU sees them, and size is the length of the shared memory in bytes.  This
 * does not access the windows and cannot fail.  ivshmem_flat_present() detects
 * a wrong address of the registers.
 *
 * Call this first, and only once, with the device's interrupt lines disabled.
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
 * Returns whether an ivshmem device answers at the address of the registers.
 * Its Interrupt Status register (Spec), which has no function, keeps the value
 * written until the first read, and then reads as 0.  Neither memory nor an
 * empty bus does that.  If the device is missing, the result is false on
 * machines whose bus answers every access, such as lm3s6965evb.  On others,
 * such as mps2-an385, the call causes a bus fault.
 *
 * One caller at a time, not in interrupt handlers: two callers would read each
 * other's answer.
 */
static inline bool ivshmem_flat_present(const struct ivshmem_flat *dev)
{
    const uint32_t pattern = 0x1AF41110u;
    uint32_t first, second;

    dev->registers->intrstatus = pattern;
    first = dev->registers->intrstatus;
    second = dev->registers->intrstatus;
    return first == pattern && second == 0;
}

/*
 * Returns the device's own ID, 0 to 65535, by which peers ring this VM (Spec,
 * IVPosition Register).  It changes only in a new session, see above.  A device
 * without interrupts returns 0, too, and the guest cannot tell the difference.
 * Without a device, the result is meaningless: call ivshmem_flat_present()
 * first.
 *
 * Any context.
 */
static inline uint16_t ivshmem_flat_own_id(const struct ivshmem_flat *dev)
{
    return (uint16_t)ivshmem_flat_le32(dev->registers->ivposition);
}

/*
 * Returns the address of the bytes offset to offset + bytes - 1 of the shared
 * memory, or NULL if they do not all lie in the window.  Safe with offsets that
 * a peer wrote.  All peers can write to the memory: each byte can change at any
 * time, and the compiler does not know this.  Read words that announce
 * something with ivshmem_flat_load32(), and copy data before you check it.
 *
 * Any context.
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
 * Rings a vector of a peer (Spec, Doorbell Register).  peer may be this VM's
 * own ID.  When the peer is interrupted, it sees everything that was written to
 * the shared memory before the call.
 *
 * On a peer with ivshmem-flat, only vectors with an interrupt line cause an
 * interrupt.  If the peer or its vector is not connected, or if either side has
 * no interrupts, nothing happens and the caller is not told.
 *
 * Check IDs that you read from the shared memory: a number above 65535 loses
 * its upper bits in this call.  GCC and Clang find such calls with -Wconversion.
 *
 * Any context.
 */
static inline void ivshmem_flat_ring(const struct ivshmem_flat *dev,
                                     uint16_t peer, uint16_t vector)
{
    IVSHMEM_FLAT_FENCE();
    dev->registers->doorbell = ivshmem_flat_le32((uint32_t)peer << 16 | vector);
}

/*
 * Sets the function that ivshmem_flat_isr() calls, or NULL for none.  context
 * is passed to it and must exist as long as the handler is set.  A doorbell
 * that was rung earlier stays pending in the interrupt controller until the
 * line is enabled.
 *
 * One caller at a time, with the device's interrupt lines disabled.  You can
 * disable them right before the call and enable them right after it.
 */
static inline void ivshmem_flat_set_handler(struct ivshmem_flat *dev,
                                            ivshmem_flat_handler *handler,
                                            void *context)
{
    /* The compiler may see the line disabled and enabled as mere stores. */
    IVSHMEM_FLAT_FENCE();
    dev->handler = handler;
    dev->context = context;
    IVSHMEM_FLAT_FENCE();
}

/*
 * Calls the handler that ivshmem_flat_set_handler() has set.  Call this when the
 * line of a vector interrupts, with that vector: 0 if there is one line.  The
 * device pulses the line, so there is nothing to acknowledge in it.
 *
 * Call it in interrupt handlers.  Calls for different vectors may overlap if
 * the handler allows it.
 */
static inline void ivshmem_flat_isr(const struct ivshmem_flat *dev,
                                    uint16_t vector)
{
    IVSHMEM_FLAT_FENCE();
    if (dev->handler != NULL) {
        dev->handler(dev->context, vector);
    }
}

#endif /* IVSHMEM_FLAT_H */
