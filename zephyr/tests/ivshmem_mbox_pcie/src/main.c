/*
 * The mailbox driver between a machine with PCIe and one without
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/* Both ends run this program, and may be started in either order. */

#include <ivshmem/mbox.h>

#include <zephyr/drivers/mbox.h>
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

#define CHANNEL 0
#define ROUNDS  100

/* Time limits, even on a busy host where the other end is yet to start */
#define MEET_WITHIN K_SECONDS(100)
#define HEAR_WITHIN K_SECONDS(30)

#define MBOX DT_NODELABEL(mbox)

static const struct device *const mbox = DEVICE_DT_GET(MBOX);
static K_SEM_DEFINE(heard, 0, K_SEM_MAX_LIMIT);

static void hear(const struct device *dev, mbox_channel_id_t channel, void *user_data,
		 struct mbox_msg *data)
{
	ARG_UNUSED(user_data);

	zassert_equal(dev, mbox);
	zassert_equal(channel, CHANNEL);
	zassert_is_null(data);
	k_sem_give(&heard);
}

/* The end without PCIe begins each round, and the other one answers. */
ZTEST(ivshmem_mbox_pcie, test_doorbells_both_ways)
{
	bool begins = strcmp(DT_PROP(MBOX, own_name), "flat") == 0;

	zassert_true(device_is_ready(mbox));
	zassert_ok(mbox_register_callback(mbox, CHANNEL, hear, NULL));
	zassert_ok(mbox_set_enabled(mbox, CHANNEL, true));
	zassert_ok(ivshmem_mbox_meet(mbox, NULL, 0, MEET_WITHIN));

	for (int round = 0; round < ROUNDS; round++) {
		if (begins) {
			zassert_ok(mbox_send(mbox, CHANNEL, NULL));
		}
		zassert_ok(k_sem_take(&heard, HEAR_WITHIN), "no doorbell in round %d", round);
		if (!begins) {
			zassert_ok(mbox_send(mbox, CHANNEL, NULL));
		}
	}
	zassert_equal(k_sem_count_get(&heard), 0, "a doorbell too many");
	zassert_false(ivshmem_mbox_peer_restarted(mbox));
}

ZTEST_SUITE(ivshmem_mbox_pcie, NULL, NULL, NULL, NULL, NULL);
