/* SPDX-License-Identifier: Apache-2.0 */

#include "console.h"

#include "board.h"

static void put(char c)
{
    if (c == '\n') {
        uart_put('\r');
    }
    uart_put(c);
}

static void put_string(const char *s)
{
    while (*s != '\0') {
        put(*s++);
    }
}

static void put_number(unsigned value, unsigned base)
{
    char digits[10]; /* 4294967295 */
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        put(digits[--count]);
    }
}

void print_list(const char *format, va_list arguments)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_string(va_arg(arguments, const char *));
            break;
        case 'u':
            put_number(va_arg(arguments, unsigned), 10);
            break;
        case 'x':
            put_number(va_arg(arguments, unsigned), 16);
            break;
        default:
            put(*format);
            break;
        }
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
}
