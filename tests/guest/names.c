/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of names, with all guests of it in one process. */

#include <stddef.h>
#include <string.h>

static void nothing_happens(void)
{
}

/* What the other guests do meanwhile */
static void (*at_fence)(void) = nothing_happens;

#define IVSHMEM_FLAT_FENCE() at_fence()

#include "byte-order.h"
#include "ivshmem-names.h"
#include "check.h"

#define LONGEST "a-name-of-31-characters-no-more"

static struct ivshmem_name table[IVSHMEM_NAMES_ENTRIES];
static struct ivshmem_name *sensor, *logger;

static void begin(void)
{
    at_fence = nothing_happens;
    memset(table, 0, sizeof(table));
    sensor = ivshmem_names_enter(table, "sensor", 0);
    logger = ivshmem_names_enter(table, "logger", 1);
}

static void test_layout(void)
{
    begin();
    CHECK(IVSHMEM_NAMES_BYTES == 1024 && sizeof(struct ivshmem_name) == 64);
    CHECK(sizeof(LONGEST) == IVSHMEM_NAME_BYTES);
    CHECK(ivshmem_names_enter(table, LONGEST, 0xFFFE) == &table[2]);
    CHECK(number_at(table, 0x80) == 0xFFFF);
    CHECK(number_at(table, 0x84) == 0xFFFF);
    CHECK(number_at(table, 0x88) == 1);
    ivshmem_names_closed(&table[2], sensor, 0x01020304);
    CHECK(number_at(table, 0x8C) == 0x01020304 && number_at(table, 0x90) == 0);
    ivshmem_names_clean(&table[2], sensor, 0x05060708);
    CHECK(number_at(table, 0x90) == 0x05060708);
    CHECK(memcmp((char *)table + 0xA0, LONGEST, sizeof(LONGEST)) == 0);
}

static void test_find(void)
{
    begin();
    CHECK(sensor == &table[0] && logger == &table[1]);
    CHECK(ivshmem_names_find(table, "sensor") == sensor);
    CHECK(ivshmem_names_find(table, "logger") == logger);
    CHECK(ivshmem_names_id(sensor) == 0 && ivshmem_names_id(logger) == 1);
    CHECK(ivshmem_names_find(table, "sens") == NULL);
    CHECK(ivshmem_names_find(table, "sensors") == NULL);
    CHECK(ivshmem_names_find(table, "") == NULL);
    CHECK(ivshmem_names_enter(table, LONGEST, 0xFFFF) == &table[2]);
    CHECK(ivshmem_names_id(ivshmem_names_find(table, LONGEST)) == 0xFFFF);
    CHECK(ivshmem_names_find(table, LONGEST "s") == NULL);
}

static void test_full(void)
{
    char name[] = "name a";

    begin();
    for (uint16_t id = 2; id < IVSHMEM_NAMES_ENTRIES; id++) {
        CHECK(ivshmem_names_enter(table, name, id) == &table[id]);
        name[5]++;
    }
    CHECK(ivshmem_names_enter(table, name, 16) == NULL);
    CHECK(ivshmem_names_enter(table, "logger", 16) == logger);
}

static void test_restart(void)
{
    uint32_t start;

    begin();
    start = ivshmem_names_start(logger);
    CHECK(start == 1 && !ivshmem_names_restarted(logger, start));
    ivshmem_names_closed(logger, sensor, 1);
    ivshmem_names_clean(logger, sensor, 1);
    CHECK(ivshmem_names_enter(table, "logger", 2) == logger);
    CHECK(ivshmem_names_restarted(logger, start));
    CHECK(ivshmem_names_id(logger) == 2);
    CHECK(number_at(logger, 0x0C) == 0 && number_at(logger, 0x10) == 0);
}

/* Where a number gets another byte, and where it begins anew */
static void test_starts(uint32_t before, uint32_t after)
{
    begin();
    ivshmem_flat_store32(&logger->starts, before);
    CHECK(ivshmem_names_start(logger) == before);
    ivshmem_names_enter(table, "logger", 1);
    CHECK(ivshmem_names_start(logger) == after);
    CHECK(ivshmem_names_restarted(logger, before));
}

static void test_holds(void)
{
    begin();
    CHECK(ivshmem_names_holds(logger, "logger", 1));
    CHECK(!ivshmem_names_holds(logger, "logger", 0));
    CHECK(!ivshmem_names_holds(logger, "sensor", 1));
    memset(table, 0, sizeof(table));
    CHECK(!ivshmem_names_holds(logger, "logger", 1));
    CHECK(!ivshmem_names_taken(table, "logger", 1));
    /* In new memory the entries may be those of others. */
    ivshmem_names_enter(table, "logger", 1);
    CHECK(!ivshmem_names_holds(logger, "logger", 1));
    CHECK(!ivshmem_names_taken(table, "logger", 1));
}

static void test_taken(void)
{
    begin();
    CHECK(!ivshmem_names_taken(table, "logger", 1));
    ivshmem_names_enter(table, "logger", 2);
    CHECK(ivshmem_names_taken(table, "logger", 1));
    CHECK(!ivshmem_names_taken(table, "logger", 2));
    CHECK(!ivshmem_names_taken(table, "sensor", 0));
}

static void enter_logger(void)
{
    at_fence = nothing_happens;
    logger = ivshmem_names_enter(table, "logger", 1);
}

/* Both have found the first entry free. */
static void test_two_enter_at_once(void)
{
    memset(table, 0, sizeof(table));
    at_fence = enter_logger;
    sensor = ivshmem_names_enter(table, "sensor", 0);
    CHECK(logger == &table[0] && sensor == &table[1]);
    CHECK(ivshmem_names_find(table, "sensor") == sensor);
    CHECK(ivshmem_names_find(table, "logger") == logger);

    /* The same name: it is one guest's, and the other is told. */
    memset(table, 0, sizeof(table));
    at_fence = enter_logger;
    ivshmem_names_enter(table, "logger", 0);
    CHECK(ivshmem_names_taken(table, "logger", 0));
    CHECK(!ivshmem_names_taken(table, "logger", 1));
}

static void see_name_when_found(void)
{
    void (*const see)(void) = at_fence;
    const struct ivshmem_name *found;

    at_fence = nothing_happens;
    found = ivshmem_names_find(table, "logger");
    CHECK(found == NULL || ivshmem_names_start(found) == 1);
    at_fence = see;
}

static void see_nothing_said(void)
{
    void (*const see)(void) = at_fence;

    at_fence = nothing_happens;
    if (ivshmem_names_restarted(logger, 1)) {
        CHECK(number_at(logger, 0x0C) == 0 && number_at(logger, 0x10) == 0);
    }
    at_fence = see;
}

/* At no moment does a peer see half of it. */
static void test_order(void)
{
    memset(table, 0, sizeof(table));
    at_fence = see_name_when_found;
    ivshmem_names_enter(table, "logger", 1);

    begin();
    ivshmem_names_closed(logger, sensor, 1);
    ivshmem_names_clean(logger, sensor, 1);
    at_fence = see_nothing_said;
    ivshmem_names_enter(table, "logger", 1);
    at_fence = nothing_happens;
}

static void test_meeting(void)
{
    begin();
    CHECK(!ivshmem_names_closed(sensor, logger, 1));
    CHECK(ivshmem_names_closed(logger, sensor, 1));
    CHECK(ivshmem_names_closed(sensor, logger, 1));
    CHECK(!ivshmem_names_clean(sensor, logger, 1));
    CHECK(ivshmem_names_clean(logger, sensor, 1));
    CHECK(ivshmem_names_clean(sensor, logger, 1));

    /* What was said before a restart does not count after it. */
    ivshmem_names_enter(table, "logger", 2);
    CHECK(!ivshmem_names_closed(logger, sensor, 1));
    CHECK(!ivshmem_names_clean(logger, sensor, 1));
    CHECK(ivshmem_names_closed(sensor, logger, 2));
    CHECK(ivshmem_names_clean(sensor, logger, 2));
    CHECK(ivshmem_names_closed(logger, sensor, 1));
    CHECK(ivshmem_names_clean(logger, sensor, 1));
}

int main(void)
{
    test_layout();
    test_find();
    test_full();
    test_restart();
    test_starts(0xFF, 0x100);
    test_starts(UINT32_MAX, 0);
    test_holds();
    test_taken();
    test_two_enter_at_once();
    test_order();
    test_meeting();
    return failures;
}
