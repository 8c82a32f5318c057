/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same on every CPU. */

#include "board.h"

#include <stddef.h>

#include "console.h"
#include "cpu.h"

/* From the linker script. */
extern uint32_t data_start[], data_end[], data_load[];
extern uint32_t bss_start[], bss_end[];

static void (*irq_handlers[BOARD_IRQS])(void);

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

bool board_is(const char *name)
{
    const char *own = board_name;

    while (*own == *name && *own != '\0') {
        own++;
        name++;
    }
    return *own == *name;
}

__attribute__((weak)) void reset_handler(void)
{
    board_start();
}

void irq_set_handler(unsigned line, void (*handler)(void))
{
    irq_handlers[line] = handler;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void irq_enable(unsigned line, void (*handler)(void))
{
    irq_set_handler(line, handler);
    cpu_unmask(line);
}

void cpu_interrupted(unsigned line)
{
    if (line >= BOARD_IRQS || irq_handlers[line] == NULL) {
        print("FAULT: interrupt line %u has no handler\n", line);
        halt();
    }
    irq_handlers[line]();
}
