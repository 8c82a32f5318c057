/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, vector table, interrupts and sleep of a Cortex-M3. */

#include <stddef.h>

#include "board.h"
#include "console.h"

#define NVIC_ISER ((volatile uint32_t *)0xE000E100)
#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28)
#define SCB_BFAR (*(volatile uint32_t *)0xE000ED38)

/* From the linker script. */
extern uint32_t stack_top[];
extern uint32_t data_start[], data_end[], data_load[];
extern uint32_t bss_start[], bss_end[];

static void (*irq_handlers[BOARD_IRQS])(void);

/* The registers that the CPU pushes when it takes an exception. */
struct exception_frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, psr;
};

void board_start(void)
{
    volatile uint32_t *to;
    const volatile uint32_t *from = data_load;

    for (to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    for (to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    uart_init();
    main();
    halt();
}

__attribute__((weak)) void reset_handler(void)
{
    board_start();
}

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
    unsigned line = active_exception() - 16;

    if (irq_handlers[line] == NULL) {
        print("FAULT: interrupt line %u has no handler\n", line);
        halt();
    }
    irq_handlers[line]();
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *initial_stack;
    void (*exceptions[15])(void);
    void (*irqs[BOARD_IRQS])(void);
} vectors = {
    .initial_stack = stack_top,
    .exceptions = { reset_handler, [1 ... 14] = fault_vector },
    .irqs = { [0 ... BOARD_IRQS - 1] = irq_vector },
};

void irq_enable(unsigned line, void (*handler)(void))
{
    irq_handlers[line] = handler;
    __asm__ volatile("dmb" : : : "memory");
    NVIC_ISER[line / 32] = 1u << (line % 32);
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
