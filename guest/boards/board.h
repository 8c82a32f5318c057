/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs here need from their board: a CPU with its interrupt
 * controller (cortex-m3.c, sifive-e31.c or leon3.c), and a UART (BOARD.c).
 */

#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The device's addresses and interrupt line, which are free on each board.
 * QEMU's options for them:
 *
 *   -chardev socket,path=SOCKET,id=iv
 *   -device ivshmem-flat,x-bus-qompath=/sysbus,chardev=iv,shmem-size=4M,
 *           x-irq-qompath=CONTROLLER/unnamed-gpio-in[BOARD_SHM_IRQ],
 *           x-bus-address-mmr=BOARD_SHM_REGISTERS,
 *           x-bus-address-shmem=BOARD_SHM_MEMORY
 *
 * On a Cortex-M, 0x60000000 is Normal memory, where any access works.
 */
#define BOARD_SHM_MEMORY 0x60000000u
#define BOARD_SHM_BYTES (4u * 1024 * 1024)

/* Interrupt lines are numbered from 0 to BOARD_IRQS - 1. */
#if defined(__arm__)
/* lm3s6965evb, mps2-an385: the NVIC, "nvic" */
#define BOARD_SHM_REGISTERS 0x400FF000u
#define BOARD_SHM_IRQ 29u
#define BOARD_IRQS 32u
#elif defined(__riscv)
/* sifive_e: the PLIC, "unattached/device[0]" */
#define BOARD_SHM_REGISTERS 0x400FF000u
#define BOARD_SHM_IRQ 52u
#define BOARD_IRQS 53u
#elif defined(__sparc__)
/* leon3_generic: the IRQMP, "unattached/device[3]".  RAM is at 0x400FF000. */
#define BOARD_SHM_REGISTERS 0x200FF000u
#define BOARD_SHM_IRQ 10u
#define BOARD_IRQS 16u
#else
#error "no board here has this CPU"
#endif

/* Returns whether this is the machine with this name in QEMU. */
bool board_is(const char *name);

/* BOARD.c: the machine's name in QEMU, and its first UART, for sending only. */
extern const char board_name[];
void uart_init(void);
void uart_put(char c);

/*
 * BOARD.c: a second UART, for data.  received is called in interrupt context
 * for each byte that arrives.  lm3s6965evb and mps2-an385 only.
 */
void link_init(void (*received)(unsigned char byte));
void link_put(unsigned char byte);

/*
 * Returns the machine's time in ticks of BOARD_TICKS_HZ, modulo 2^32.  While the
 * machine runs, this time passes as fast as the host's.  mps2-an385 only.
 */
#define BOARD_TICKS_HZ 25000000u
uint32_t board_ticks(void);

/*
 * Where the CPU starts, once it has a stack.  A program may define its own
 * reset_handler() to do something before static data and the UART are ready.  It
 * must end with board_start(), which prepares both, calls main(), and sleeps
 * when main() returns.
 */
void reset_handler(void);
void board_start(void) __attribute__((noreturn));
int main(void);

/* Sleeps forever, but still serves interrupts. */
void halt(void) __attribute__((noreturn));

/* Sets the handler of a line (below BOARD_IRQS).  The line stays disabled. */
void irq_set_handler(unsigned line, void (*handler)(void));

/* Sets the handler, and enables the line. */
void irq_enable(unsigned line, void (*handler)(void));

/*
 * Sleeps until an interrupt, unless a handler has changed *count since the
 * caller saw it.  So no interrupt between the caller's check and the sleep is
 * missed:
 *
 *     seen = count;
 *     if (there is nothing to do) {
 *         sleep_while(&count, seen);
 *     }
 *
 * May return early: call it in a loop.
 */
void sleep_while(const volatile uint32_t *count, uint32_t seen);

/*
 * Starts a timer that interrupts the CPU 50 or 100 times each second, so that
 * sleep_while() returns.  lm3s6965evb and mps2-an385 only.
 */
void wake_often(void);

#endif /* BOARD_H */
