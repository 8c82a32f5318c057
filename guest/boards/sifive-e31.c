/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, traps, interrupts and sleep of a SiFive E31, a RISC-V core. */

#include "board.h"
#include "console.h"
#include "cpu.h"

/* The platform-level interrupt controller, for machine mode. */
#define PLIC_PRIORITY ((volatile uint32_t *)0x0C000000)
#define PLIC_ENABLE ((volatile uint32_t *)0x0C002000)
#define PLIC_THRESHOLD (*(volatile uint32_t *)0x0C200000)
#define PLIC_CLAIM (*(volatile uint32_t *)0x0C200004)

#define MCAUSE_EXTERNAL_INTERRUPT (1u << 31 | 11)

#define CSR_READ(name) (__extension__({                        \
    uint32_t value;                                            \
    __asm__ volatile("csrr %0, " #name : "=r"(value));         \
    value;                                                     \
}))
#define CSR_SET(name, bits) \
    __asm__ volatile("csrs " #name ", %0" : : "r"(bits) : "memory")
#define CSR_CLEAR(name, bits) \
    __asm__ volatile("csrc " #name ", %0" : : "r"(bits) : "memory")

#define MIE_MEIE (1u << 11)
#define MSTATUS_MIE (1u << 3)

__attribute__((noreturn)) static void report_fault(unsigned cause)
{
    unsigned pc = CSR_READ(mepc), value = CSR_READ(mtval);

    uart_init(); /* the fault may have come before board_start() */
    print("FAULT: cause 0x%x at pc 0x%x, mtval 0x%x\n", cause, pc, value);
    halt();
}

__attribute__((interrupt("machine"), aligned(4), used)) static void
trap_vector(void)
{
    uint32_t cause = CSR_READ(mcause), line;

    if (cause != MCAUSE_EXTERNAL_INTERRUPT) {
        report_fault(cause);
    }
    line = PLIC_CLAIM;
    if (line != 0) {
        cpu_interrupted(line);
        PLIC_CLAIM = line;
    }
}

/* Where the board's ROM jumps to. */
__attribute__((naked, section(".start"), used)) void start(void)
{
    __asm__ volatile("la sp, stack_top\n\t"
                     "la t0, trap_vector\n\t"
                     "csrw mtvec, t0\n\t"
                     "j reset_handler");
}

void halt(void)
{
    for (;;) {
        __asm__ volatile("wfi");
    }
}

void cpu_unmask(unsigned line)
{
    PLIC_THRESHOLD = 0;
    PLIC_ENABLE[line / 32] |= 1u << (line % 32);
    /* Last: QEMU's PLIC looks for what is pending here, not when it enables. */
    PLIC_PRIORITY[line] = 1;
    CSR_SET(mie, MIE_MEIE);
    CSR_SET(mstatus, MSTATUS_MIE);
}

void sleep_while(const volatile uint32_t *count, uint32_t seen)
{
    /* A pending interrupt ends wfi even where MIE keeps it from being taken. */
    CSR_CLEAR(mstatus, MSTATUS_MIE);
    if (*count == seen) {
        __asm__ volatile("fence\n\twfi" : : : "memory");
    }
    CSR_SET(mstatus, MSTATUS_MIE);
}
