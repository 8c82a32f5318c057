/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for functions that Zephyr generates from the result of the first link.
 * Zephyr 3.7's linker script defines them as addresses, but GNU ld 2.44 and newer
 * does not link calls of Thumb code to symbols without a type.
 */
    .syntax unified
    .section .kobject_data.text.stand_in, "ax", %progbits
    .thumb

    .macro stand_in name
    .weak \name
    .thumb_func
    .type \name, %function
\name:
    .endm

    stand_in k_object_find
    stand_in k_object_wordlist_foreach
    stand_in z_object_gperf_find
    stand_in z_object_gperf_wordlist_foreach
    nop
