/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up, traps, interrupts and sleep of a LEON3, a SPARC V8.
 *
 * Everything is compiled with -mflat: the code before a trap has one register
 * window, and the code that serves the trap has the next.  Neither overflows nor
 * underflows.
 */

#include "board.h"
#include "console.h"
#include "cpu.h"

/* The interrupt controller, IRQMP: mask of the first CPU. */
#define IRQMP_MASK (*(volatile uint32_t *)0x80000240)

/* Trap type of interrupt line 0, which does not exist; 1 to 15 follow it. */
#define TRAP_INTERRUPT 0x10u

__asm__(
    "        .section .start, \"ax\"\n"
    "trap_table:\n"
    "        .rept   256\n"
    "        rd      %psr, %l0\n"
    "        sethi   %hi(trap), %l4\n"
    "        jmp     %l4 + %lo(trap)\n"
    "         rd     %tbr, %l3\n"
    "        .endr\n"

    /* Supervisor, traps enabled, every interrupt allowed, window 0 */
    "        .global start\n"
    "start:  wr      %g0, 0xC0, %psr\n"
    "        wr      %g0, 0, %wim\n"
    "        set     trap_table, %g1\n"
    "        wr      %g1, 0, %tbr\n"
    "        nop; nop; nop\n"
    "        wr      %g0, 0xE0, %psr\n"
    "        nop; nop; nop\n"
    "        set     stack_top - 96, %sp\n"
    "        call    reset_handler\n"
    "         mov    0, %fp\n"

    /*
     * %l0: PSR, %l1 and %l2: where to go on, %l3: TBR, with the trap's type.
     * The CPU's own and what C must keep is kept; the rest is saved here.
     */
    "trap:   rd      %y, %l4\n"
    "        sub     %fp, 128, %sp\n"
    "        st      %g1, [%sp + 100]\n"
    "        std     %g2, [%sp + 104]\n"
    "        std     %g4, [%sp + 112]\n"
    "        std     %g6, [%sp + 120]\n"
    /* Traps enabled, to report those of a handler, but no interrupts */
    "        or      %l0, 0xF20, %l5\n"
    "        wr      %l5, 0, %psr\n"
    "        nop; nop; nop\n"
    "        srl     %l3, 4, %o0\n"
    "        and     %o0, 0xFF, %o0\n"
    "        call    serve_trap\n"
    "         mov    %l1, %o1\n"
    /* sleep_while() has to look again, unless it has slept */
    "        set     sleep_while, %l5\n"
    "        set     slept, %l6\n"
    "        cmp     %l1, %l5\n"
    "        blu     1f\n"
    "         cmp    %l1, %l6\n"
    "        bgeu    1f\n"
    "         nop\n"
    "        mov     %l5, %l1\n"
    "        add     %l5, 4, %l2\n"
    "1:      ld      [%sp + 100], %g1\n"
    "        ldd     [%sp + 104], %g2\n"
    "        ldd     [%sp + 112], %g4\n"
    "        ldd     [%sp + 120], %g6\n"
    "        wr      %l4, 0, %y\n"
    "        wr      %l0, 0, %psr\n"
    "        nop; nop; nop\n"
    "        jmp     %l1\n"
    "         rett   %l2\n"

    /* An interrupt between look and power-down starts it over: see above. */
    "        .text\n"
    "        .global sleep_while\n"
    "sleep_while:\n"
    "        ld      [%o0], %g1\n"
    "        cmp     %g1, %o1\n"
    "        bne     slept\n"
    "         nop\n"
    "        wr      %g0, %asr19\n"
    "slept:  retl\n"
    "         nop\n");

/* Called by trap, which the compiler cannot see. */
__attribute__((used)) static void serve_trap(unsigned type, unsigned pc)
{
    if (type > TRAP_INTERRUPT && type < TRAP_INTERRUPT + BOARD_IRQS) {
        cpu_interrupted(type - TRAP_INTERRUPT);
        return;
    }
    uart_init(); /* the fault may have come before board_start() */
    print("FAULT: trap 0x%x at pc 0x%x\n", type, pc);
    halt();
}

void halt(void)
{
    for (;;) {
        __asm__ volatile("wr %g0, %asr19");
    }
}

void cpu_unmask(unsigned line)
{
    IRQMP_MASK |= 1u << line;
}
