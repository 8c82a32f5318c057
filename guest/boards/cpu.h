/* SPDX-License-Identifier: Apache-2.0 */
/* Between board.c and the file of the CPU.  Programs use board.h. */

#ifndef CPU_H
#define CPU_H

/* CPU.c: lets a line (below BOARD_IRQS) interrupt. */
void cpu_unmask(unsigned line);

/* board.c: calls the handler of the line that interrupts. */
void cpu_interrupted(unsigned line);

#endif /* CPU_H */
