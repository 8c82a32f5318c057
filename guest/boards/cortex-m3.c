/* SPDX-License-Identifier: Apache-2.0 */
/* Vector table, interrupts and sleep of a Cortex-M3. */

#include "board.h"
#include "console.h"
#include "cpu.h"

#define NVIC_ISER ((volatile uint32_t *)0xE000E100)
#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28)
#define SCB_BFAR (*(volatile uint32_t *)0xE000ED38)

/* Enabled, with an interrupt, counting the CPU's clock */
#define SYST_ON 7u
/* 10 ms of mps2-an385's clock, 20 ms of lm3s6965evb's */
#define SYST_TICKS 250000u

/* From the linker script. */
extern uint32_t stack_top[];

/* The registers that the CPU pushes when it takes an exception. */
struct exception_frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, psr;
};

void halt(void)
{
    for (;;) {
        __asm__ volatile("wfi");
    }
}

static uint32_t active_exception(void)
{
    uint32_t ipsr;

    __asm__ volatile("mrs %0, ipsr" : "=r"(ipsr));
    return ipsr;
}

/* Called by fault_vector, which the compiler cannot see. */
__attribute__((used, noreturn)) static void
report_fault(const struct exception_frame *frame)
{
    unsigned exception = active_exception();
    unsigned pc = frame->pc, lr = frame->lr;
    unsigned cfsr = SCB_CFSR, bfar = SCB_BFAR;

    uart_init(); /* the fault may have come before board_start() */
    print("FAULT: exception %u at pc 0x%x (lr 0x%x), CFSR 0x%x, BFAR 0x%x\n",
          exception, pc, lr, cfsr, bfar);
    halt();
}

__attribute__((naked)) static void fault_vector(void)
{
    __asm__ volatile("mov r0, sp\n\t"
                     "b report_fault");
}

static void irq_vector(void)
{
    cpu_interrupted(active_exception() - 16);
}

/* It is enough that the CPU wakes. */
static void timer_vector(void)
{
}

__attribute__((section(".start"), used)) static const struct {
    uint32_t *initial_stack;
    void (*exceptions[15])(void);
    void (*irqs[BOARD_IRQS])(void);
} vectors = {
    .initial_stack = stack_top,
    .exceptions = { reset_handler, [1 ... 13] = fault_vector,
                    [14] = timer_vector },
    .irqs = { [0 ... BOARD_IRQS - 1] = irq_vector },
};

void cpu_unmask(unsigned line)
{
    NVIC_ISER[line / 32] = 1u << (line % 32);
}

void wake_often(void)
{
    SYST_RVR = SYST_TICKS - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_ON;
}

void sleep_while(const volatile uint32_t *count, uint32_t seen)
{
    /* A pending interrupt ends wfi even where PRIMASK keeps it from running. */
    __asm__ volatile("cpsid i" : : : "memory");
    if (*count == seen) {
        __asm__ volatile("dsb\n\twfi" : : : "memory");
    }
    __asm__ volatile("cpsie i\n\tisb" : : : "memory");
}
