/* SPDX-License-Identifier: Apache-2.0 */
/* The interface between board.c and the CPU's file.  Programs use board.h. */

#ifndef CPU_H
#define CPU_H

/* CPU.c: enables a line (below BOARD_IRQS). */
void cpu_unmask(unsigned line);

/* board.c: calls the handler of the line that has interrupted. */
void cpu_interrupted(unsigned line);

#endif /* CPU_H */
