/* SPDX-License-Identifier: Apache-2.0 */
/* What bench/uart-send.c and bench/uart-receive.c agree on. */

#ifndef BENCH_UART_STREAM_H
#define BENCH_UART_STREAM_H

#include "stream.h"

#define UART_STREAM_BYTES (8u * 1024)

/* Byte n of the same stream that goes through the shared memory. */
static inline unsigned char uart_stream_byte(uint32_t n)
{
    return (unsigned char)(stream_word(n / 4) >> 8 * (n % 4));
}

#endif /* BENCH_UART_STREAM_H */
