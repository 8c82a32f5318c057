/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member of the demo, for any platform: member.c does what protocol.h asks
 * for, and says so on the console.  The platform calls demo_run() and provides
 * the functions below it.
 */

#ifndef DEMO_MEMBER_H
#define DEMO_MEMBER_H

#include <stdarg.h>
#include <stdint.h>

#include "protocol.h"

/*
 * Runs the whole demo and returns when everything is verified.  name is that of
 * the board or program, of which DEMO_NAME_BYTES are kept.  shared is the start
 * of the shared memory, DEMO_MEMORY_BYTES of it.  Call this once.
 */
void demo_run(const char *name, volatile struct demo_memory *shared);

/* The member's own ID (spec: IVPosition Register). */
uint16_t demo_own_id(void);

/*
 * Rings vector 0 of the member with this ID (spec: Doorbell Register), after a
 * full barrier: that member finds what was written to the memory before.
 */
void demo_ring(uint16_t id);

/*
 * Sleeps until this member's doorbell rings.  Returns at once if it has rung since
 * this function last returned or, in the first call, since the start.  Returns
 * how many times it rang, or 1 if the platform cannot tell.
 */
unsigned demo_wait(void);

/*
 * Prints as vprintf() does.  Lines end in \n; of the formats only %s, %u, %x
 * and %% are used, without widths.
 */
void demo_print(const char *format, va_list arguments);

/* Called when the demo has failed and has said why: ends the program. */
void demo_give_up(void) __attribute__((noreturn));

#endif /* DEMO_MEMBER_H */
