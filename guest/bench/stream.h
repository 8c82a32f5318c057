/* SPDX-License-Identifier: Apache-2.0 */
/* The stream that bench/stream.c and bench/uart-send.c send. */

#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdint.h>

/* The word with this number, from 0: no two of them are the same. */
static inline uint32_t stream_word(uint32_t number)
{
    return number * 2654435761u + 1;
}

#endif /* BENCH_STREAM_H */
