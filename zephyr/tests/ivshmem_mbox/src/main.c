/*
 * The mailbox driver, with both ends in one machine
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/* The devices a and b are clients of one server: peers with IDs 0 and 1. */

#include <ivshmem-names.h>
#include <ivshmem/mbox.h>

#include <zephyr/drivers/mbox.h>
#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

/* Time limit for a doorbell or a meeting, even on a busy host */
#define WITHIN K_SECONDS(10)

/* How long to wait for a doorbell that must not arrive */
#define SILENCE K_MSEC(50)

#define DEVICE(label) DEVICE_DT_GET(DT_NODELABEL(label))

static const struct device *const named_a = DEVICE(named_a);
static const struct device *const named_b = DEVICE(named_b);
static const struct device *const alone_a = DEVICE(alone_a);
static const struct device *const replaced_a = DEVICE(replaced_a);
static const struct device *const id_a = DEVICE(id_a);
static const struct device *const other_a = DEVICE(other_a);
static const struct device *const other_b = DEVICE(other_b);
static const struct device *const any_a = DEVICE(any_a);
static const struct device *const any_b = DEVICE(any_b);

/* A callback that counts its calls */
struct ear {
	const struct device *mbox;
	mbox_channel_id_t channel;
	struct k_sem heard;
};

static struct ear ears[4];
static size_t ear_count;

static void hear(const struct device *mbox, mbox_channel_id_t channel, void *user_data,
		 struct mbox_msg *data)
{
	struct ear *ear = user_data;

	zassert_equal(mbox, ear->mbox, "%s called back for %s", mbox->name, ear->mbox->name);
	zassert_equal(channel, ear->channel, "channel %u called back for %u", channel,
		      ear->channel);
	zassert_is_null(data);
	k_sem_give(&ear->heard);
}

static struct ear *listen(const struct device *mbox, mbox_channel_id_t channel)
{
	struct ear *ear = &ears[ear_count++];

	ear->mbox = mbox;
	ear->channel = channel;
	k_sem_init(&ear->heard, 0, K_SEM_MAX_LIMIT);
	zassert_ok(mbox_register_callback(mbox, channel, hear, ear));
	zassert_ok(mbox_set_enabled(mbox, channel, true));

	return ear;
}

static bool hears(struct ear *ear)
{
	return k_sem_take(&ear->heard, WITHIN) == 0;
}

static bool hears_nothing(struct ear *ear)
{
	return k_sem_take(&ear->heard, SILENCE) != 0;
}

static void *all_there(void)
{
	static const struct device *const all[] = {DEVICE(named_a), DEVICE(named_b),
						   DEVICE(alone_a), DEVICE(replaced_a),
						   DEVICE(id_a),    DEVICE(other_a),
						   DEVICE(other_b), DEVICE(any_a),
						   DEVICE(any_b)};

	ARRAY_FOR_EACH(all, i) {
		zassert_true(device_is_ready(all[i]), "%s is not ready", all[i]->name);
	}

	return NULL;
}

static void stop_listening(void *fixture)
{
	ARG_UNUSED(fixture);

	while (ear_count > 0) {
		struct ear *ear = &ears[--ear_count];

		(void)mbox_set_enabled(ear->mbox, ear->channel, false);
		zassert_ok(mbox_register_callback(ear->mbox, ear->channel, NULL, NULL));
	}
}

/* A channel is a vector, and reaches only that vector's callback. */
static void check_two_channels(const struct device *from, const struct device *to)
{
	struct ear *first = listen(to, 0);
	struct ear *second = listen(to, 1);

	zassert_ok(mbox_send(from, 0, NULL));
	zassert_true(hears(first), "%s rang %s, which has heard nothing", from->name, to->name);
	zassert_true(hears_nothing(second), "channel 0 was heard on channel 1");
	zassert_true(hears_nothing(first), "channel 0 was heard twice");

	zassert_ok(mbox_send(from, 1, NULL));
	zassert_true(hears(second), "%s rang %s, which has heard nothing", from->name, to->name);
	zassert_true(hears_nothing(first), "channel 1 was heard on channel 0");
}

ZTEST(ivshmem_mbox, test_peer_with_a_name)
{
	check_two_channels(named_a, named_b);
	stop_listening(NULL);
	check_two_channels(named_b, named_a);
}

ZTEST(ivshmem_mbox, test_peer_with_an_id)
{
	check_two_channels(id_a, named_b);
}

ZTEST(ivshmem_mbox, test_other_of_two)
{
	check_two_channels(other_a, other_b);
	stop_listening(NULL);
	check_two_channels(other_b, other_a);
}

/* As with linaro,ivshmem-mbox: on vector 0 the channel is the peer's ID. */
ZTEST(ivshmem_mbox, test_peer_in_the_channel)
{
	struct ear *first = listen(any_b, 7);
	struct ear *second = listen(any_b, 1 << 16);
	struct ear *own;

	zassert_ok(mbox_send(any_a, 1, NULL));
	zassert_true(hears(first), "vector 0 of peer 1 was not heard");
	zassert_true(hears_nothing(second), "vector 0 was rung, and 1 has heard it");

	zassert_ok(mbox_send(any_a, 1 << 16 | 1, NULL));
	zassert_true(hears(second), "vector 1 of peer 1 was not heard");

	own = listen(any_a, 0);
	zassert_ok(mbox_send(any_a, 0, NULL));
	zassert_true(hears(own), "peer 0 has not heard itself");
	zassert_true(hears_nothing(first), "peer 0 was rung, and 1 has heard it");
}

ZTEST(ivshmem_mbox, test_devicetree_channels)
{
	static const struct mbox_dt_spec tx = MBOX_DT_SPEC_GET(DT_NODELABEL(consumer), tx);
	static const struct mbox_dt_spec rx = MBOX_DT_SPEC_GET(DT_NODELABEL(consumer), rx);
	struct ear *ear = listen(rx.dev, rx.channel_id);

	zassert_ok(mbox_send_dt(&tx, NULL));
	zassert_true(hears(ear));
}

ZTEST(ivshmem_mbox, test_doorbell_waits_until_enabled)
{
	struct ear *ear = listen(named_b, 0);

	zassert_ok(mbox_set_enabled(named_b, 0, false));
	zassert_ok(mbox_send(named_a, 0, NULL));
	zassert_true(hears_nothing(ear), "a channel that is not enabled was heard");

	zassert_ok(mbox_set_enabled(named_b, 0, true));
	zassert_true(hears(ear), "the doorbell is lost");
}

ZTEST(ivshmem_mbox, test_nobody_has_the_name)
{
	zassert_equal(mbox_send(alone_a, 0, NULL), -ENOTCONN);
	zassert_equal(ivshmem_mbox_meet(alone_a, NULL, 0, SILENCE), -EAGAIN);
}

/* The name and the link are that guest's, and this end does not take them back. */
ZTEST(ivshmem_mbox, test_another_guest_enters_the_name)
{
	const struct device *ivshmem_b = DEVICE(ivshmem_b);
	const struct ivshmem_name *entry;
	struct ear *ear = listen(replaced_a, 0);
	uintptr_t memory;

	zassert_false(ivshmem_mbox_name_taken(replaced_a));
	(void)ivshmem_get_mem(ivshmem_b, &memory);
	entry = ivshmem_names_enter((struct ivshmem_name *)(memory + 0x1000), "replaced",
				    ivshmem_get_id(ivshmem_b));

	zassert_ok(mbox_send(any_b, 0, NULL));
	zassert_true(hears_nothing(ear), "the callback ran for the other guest's link");
	zassert_equal(ivshmem_names_id(entry), 1, "the name was taken back");
	zassert_true(ivshmem_mbox_name_taken(replaced_a));
	zassert_false(ivshmem_mbox_name_taken(any_a));
	zassert_equal(mbox_send(replaced_a, 0, NULL), -EADDRINUSE);
	zassert_equal(ivshmem_mbox_meet(replaced_a, NULL, 0, K_NO_WAIT), -EADDRINUSE);
	zassert_equal(ivshmem_names_id(entry), 1, "the name was taken back by a meeting");
}

ZTEST(ivshmem_mbox, test_bad_arguments)
{
	struct mbox_msg message = {.data = "data", .size = 4};

	zassert_equal(mbox_send(named_a, 0, &message), -EMSGSIZE);
	zassert_equal(mbox_send(named_a, UINT16_MAX + 1, NULL), -EINVAL);
	zassert_equal(mbox_register_callback(named_a, 2, hear, NULL), -EINVAL);
	zassert_equal(mbox_set_enabled(named_a, 2, true), -EINVAL);
	zassert_equal(mbox_register_callback(any_a, 2 << 16, hear, NULL), -EINVAL);
	zassert_equal(mbox_mtu_get(named_a), 0);
	zassert_equal(mbox_max_channels_get(named_a), UINT16_MAX + 1);
}

ZTEST(ivshmem_mbox, test_each_vector_is_enabled_once)
{
	(void)listen(named_a, 0);

	zassert_equal(mbox_set_enabled(named_a, 0, true), -EALREADY);
	zassert_equal(mbox_set_enabled(other_a, 0, true), -EBUSY);
	(void)listen(other_a, 1);
	zassert_equal(mbox_set_enabled(named_a, 1, true), -EBUSY);
	zassert_equal(mbox_set_enabled(id_a, 0, false), -EALREADY);
}

/* The other end of a meeting */
static K_THREAD_STACK_DEFINE(b_stack, 1024);
static struct k_thread b_thread;
static int b_met;
static uint8_t *b_part;

#define PART_BYTES 64

static void meet_as_b(void *unused1, void *unused2, void *unused3)
{
	ARG_UNUSED(unused1);
	ARG_UNUSED(unused2);
	ARG_UNUSED(unused3);

	b_met = ivshmem_mbox_meet(named_b, b_part, PART_BYTES, WITHIN);
}

static void begin_as_b(void)
{
	b_met = 1;
	k_thread_create(&b_thread, b_stack, K_THREAD_STACK_SIZEOF(b_stack), meet_as_b, NULL, NULL,
			NULL, K_PRIO_PREEMPT(1), 0, K_NO_WAIT);
}

static void check_b_has_met(void)
{
	zassert_ok(k_thread_join(&b_thread, WITHIN), "b still waits");
	zassert_ok(b_met, "b has not met a: error %d", b_met);
}

static void check_cleared(const uint8_t *part)
{
	for (size_t i = 0; i < PART_BYTES; i++) {
		zassert_equal(part[i], 0, "byte %zu is 0x%x", i, part[i]);
	}
}

ZTEST(ivshmem_mbox, test_meeting)
{
	const struct device *ivshmem_a = DEVICE(ivshmem_a);
	uintptr_t memory;
	uint8_t *a_part;

	(void)ivshmem_get_mem(ivshmem_a, &memory);
	a_part = (uint8_t *)memory + 0x2000;
	(void)ivshmem_get_mem(DEVICE(ivshmem_b), &memory);
	b_part = (uint8_t *)memory + 0x3000;
	memset(a_part, 0xaa, PART_BYTES);
	memset(b_part, 0xbb, PART_BYTES);

	/* Nothing may be cleared while the other end can still use it */
	zassert_equal(ivshmem_mbox_meet(named_a, a_part, PART_BYTES, SILENCE), -EAGAIN);
	zassert_equal(a_part[0], 0xaa, "cleared before b has closed its session");

	begin_as_b();
	zassert_ok(ivshmem_mbox_meet(named_a, a_part, PART_BYTES, WITHIN));
	check_b_has_met();
	check_cleared(a_part);
	check_cleared(b_part);
	zassert_false(ivshmem_mbox_peer_restarted(named_a), "b has not restarted");
	zassert_false(ivshmem_mbox_peer_restarted(named_b), "a has not restarted");

	/* b restarts: a has to notice, and b waits until then */
	begin_as_b();
	zassert_not_ok(k_thread_join(&b_thread, SILENCE), "b did not wait for a");
	zassert_true(ivshmem_mbox_peer_restarted(named_a), "a has not noticed");
	zassert_ok(ivshmem_mbox_meet(named_a, a_part, PART_BYTES, WITHIN));
	check_b_has_met();
	zassert_false(ivshmem_mbox_peer_restarted(named_a));
	zassert_false(ivshmem_mbox_peer_restarted(named_b));

	zassert_equal(ivshmem_mbox_meet(other_a, NULL, 0, K_NO_WAIT), -ENOTSUP);
	zassert_false(ivshmem_mbox_peer_restarted(other_a));
}

ZTEST_SUITE(ivshmem_mbox, NULL, all_there, NULL, stop_listening, NULL);
