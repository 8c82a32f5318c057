/*
 * The ivshmem-flat driver, with all its instances in one machine
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The devices a, b and memory_only are clients of one server: peers with IDs 0, 1 and 2,
 * and three windows to the same memory. The device "absent" does not exist.
 */

#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

/* Time limit for a doorbell, even on a busy host */
#define RINGS_WITHIN K_SECONDS(10)

/* How long to wait for a doorbell that must not arrive */
#define SILENCE K_MSEC(50)

#define SIZE DT_REG_SIZE_BY_NAME(DT_NODELABEL(ivshmem_a), memory)

static const struct device *const a = DEVICE_DT_GET(DT_NODELABEL(ivshmem_a));
static const struct device *const b = DEVICE_DT_GET(DT_NODELABEL(ivshmem_b));
static const struct device *const memory_only = DEVICE_DT_GET(DT_NODELABEL(ivshmem_memory_only));
static const struct device *const absent = DEVICE_DT_GET(DT_NODELABEL(ivshmem_absent));

static struct k_poll_signal doorbell_a, doorbell_a_1, doorbell_b;

/* Whether this vector raises the signal in time. Resets the signal. */
static bool rings_vector(struct k_poll_signal *doorbell, int expected, k_timeout_t patience)
{
	struct k_poll_event event = K_POLL_EVENT_INITIALIZER(K_POLL_TYPE_SIGNAL,
							     K_POLL_MODE_NOTIFY_ONLY, doorbell);
	unsigned int raised;
	int vector;

	if (k_poll(&event, 1, patience) != 0) {
		return false;
	}
	k_poll_signal_check(doorbell, &raised, &vector);
	zassert_equal(vector, expected, "vector %d was rung, not %d", vector, expected);
	k_poll_signal_reset(doorbell);

	return true;
}

static bool rings(struct k_poll_signal *doorbell, k_timeout_t patience)
{
	return rings_vector(doorbell, 0, patience);
}

static void listen(const struct device *dev, struct k_poll_signal *doorbell)
{
	zassert_ok(ivshmem_register_handler(dev, doorbell, 0));
}

static void ring_vector(const struct device *from, const struct device *to, uint16_t vector)
{
	zassert_ok(ivshmem_int_peer(from, ivshmem_get_id(to), vector));
}

static void ring(const struct device *from, const struct device *to)
{
	ring_vector(from, to, 0);
}

static volatile uint32_t *word(const struct device *dev, size_t offset)
{
	uintptr_t memory;

	zassert_equal(ivshmem_get_mem(dev, &memory), SIZE);

	return (volatile uint32_t *)(memory + offset);
}

static void *all_there(void)
{
	zassert_true(device_is_ready(a), "%s is not ready", a->name);
	zassert_true(device_is_ready(b), "%s is not ready", b->name);
	zassert_true(device_is_ready(memory_only), "%s is not ready", memory_only->name);

	return NULL;
}

/* Discard doorbells of earlier tests */
static void start_listening(void *fixture)
{
	ARG_UNUSED(fixture);

	k_poll_signal_init(&doorbell_a);
	k_poll_signal_init(&doorbell_a_1);
	k_poll_signal_init(&doorbell_b);
	listen(a, &doorbell_a);
	zassert_ok(ivshmem_register_handler(a, &doorbell_a_1, 1));
	listen(b, &doorbell_b);
	k_sleep(SILENCE);
	k_poll_signal_reset(&doorbell_a);
	k_poll_signal_reset(&doorbell_a_1);
	k_poll_signal_reset(&doorbell_b);
}

ZTEST(ivshmem_flat, test_absent_device_is_not_ready)
{
	zassert_false(device_is_ready(absent), "%s is ready, but not there", absent->name);
}

ZTEST(ivshmem_flat, test_own_ids)
{
	zassert_equal(ivshmem_get_id(a), 0, "a has ID %u", ivshmem_get_id(a));
	zassert_equal(ivshmem_get_id(b), 1, "b has ID %u", ivshmem_get_id(b));
}

ZTEST(ivshmem_flat, test_memory_is_shared_from_end_to_end)
{
	static const size_t offsets[] = {0, SIZE / 2, SIZE - sizeof(uint32_t)};

	ARRAY_FOR_EACH(offsets, i) {
		uint32_t value = 0xcafe0000 + i;

		*word(a, offsets[i]) = value;
		zassert_equal(*word(b, offsets[i]), value, "b reads 0x%x at offset 0x%zx",
			      *word(b, offsets[i]), offsets[i]);
		zassert_equal(*word(memory_only, offsets[i]), value,
			      "memory_only reads 0x%x at offset 0x%zx",
			      *word(memory_only, offsets[i]), offsets[i]);
	}
}

ZTEST(ivshmem_flat, test_doorbell_reaches_the_one_that_is_rung)
{
	ring(a, b);
	zassert_true(rings(&doorbell_b, RINGS_WITHIN), "a rang b, which has heard nothing");
	zassert_false(rings(&doorbell_a, SILENCE), "a rang b, and a has heard it");

	ring(b, a);
	zassert_true(rings(&doorbell_a, RINGS_WITHIN), "b rang a, which has heard nothing");
	zassert_false(rings(&doorbell_b, SILENCE), "b rang a, and b has heard it");
}

ZTEST(ivshmem_flat, test_doorbell_rings_once)
{
	for (int i = 0; i < 20; i++) {
		ring(a, b);
		zassert_true(rings(&doorbell_b, RINGS_WITHIN), "doorbell %d was not heard", i);
	}
	zassert_false(rings(&doorbell_b, SILENCE), "a doorbell was heard twice");
}

ZTEST(ivshmem_flat, test_rings_itself)
{
	ring(a, a);
	zassert_true(rings(&doorbell_a, RINGS_WITHIN), "a rang itself and has heard nothing");
}

ZTEST(ivshmem_flat, test_one_signal_for_two_devices)
{
	listen(b, &doorbell_a);

	ring(a, b);
	zassert_true(rings(&doorbell_a, RINGS_WITHIN));
	ring(b, a);
	zassert_true(rings(&doorbell_a, RINGS_WITHIN));
}

ZTEST(ivshmem_flat, test_doorbell_waits_for_a_handler)
{
	listen(b, NULL);

	ring(a, b);
	zassert_false(rings(&doorbell_b, SILENCE), "a handler that is no longer set was called");

	listen(b, &doorbell_b);
	zassert_true(rings(&doorbell_b, RINGS_WITHIN),
		     "a doorbell that came when there was no handler is lost");
}

ZTEST(ivshmem_flat, test_as_many_vectors_as_interrupts)
{
	zassert_equal(ivshmem_get_vectors(a), 2);
	zassert_equal(ivshmem_get_vectors(b), 1);
	zassert_equal(ivshmem_register_handler(a, &doorbell_a, 2), -EINVAL);
	zassert_equal(ivshmem_register_handler(b, &doorbell_b, 1), -EINVAL);
}

ZTEST(ivshmem_flat, test_each_vector_has_its_signal)
{
	ring_vector(b, a, 1);
	zassert_true(rings_vector(&doorbell_a_1, 1, RINGS_WITHIN), "vector 1 was not heard");
	zassert_false(rings(&doorbell_a, SILENCE), "vector 1 was rung, and 0 has heard it");

	ring_vector(b, a, 0);
	zassert_true(rings_vector(&doorbell_a, 0, RINGS_WITHIN), "vector 0 was not heard");
	zassert_false(rings(&doorbell_a_1, SILENCE), "vector 0 was rung, and 1 has heard it");
}

ZTEST(ivshmem_flat, test_one_signal_for_all_vectors)
{
	zassert_ok(ivshmem_register_handler(a, &doorbell_a, 1));

	for (int vector = 0; vector < 2; vector++) {
		ring_vector(b, a, vector);
		zassert_true(rings_vector(&doorbell_a, vector, RINGS_WITHIN),
			     "vector %d was not heard", vector);
	}
}

ZTEST(ivshmem_flat, test_each_vector_waits_for_its_handler)
{
	zassert_ok(ivshmem_register_handler(a, NULL, 1));

	ring_vector(b, a, 1);
	ring_vector(b, a, 0);
	zassert_true(rings(&doorbell_a, RINGS_WITHIN), "vector 1 without a handler stops vector 0");
	zassert_false(rings_vector(&doorbell_a_1, 1, SILENCE), "a handler not set was called");

	zassert_ok(ivshmem_register_handler(a, &doorbell_a_1, 1));
	zassert_true(rings_vector(&doorbell_a_1, 1, RINGS_WITHIN), "the doorbell is lost");
}

ZTEST(ivshmem_flat, test_peers)
{
	/* The driver cannot know that these do not exist */
	zassert_ok(ivshmem_int_peer(a, 9, 0));
	zassert_ok(ivshmem_int_peer(a, UINT16_MAX, UINT16_MAX));

	zassert_equal(ivshmem_int_peer(a, UINT16_MAX + 1, 0), -EINVAL);
	zassert_equal(ivshmem_int_peer(a, UINT32_MAX, 0), -EINVAL);
}

ZTEST(ivshmem_flat, test_without_interrupt)
{
	zassert_equal(ivshmem_get_vectors(memory_only), 0);
	zassert_equal(ivshmem_int_peer(memory_only, 0, 0), -ENOSYS);
	zassert_equal(ivshmem_register_handler(memory_only, &doorbell_a, 0), -ENOSYS);
}

ZTEST_SUITE(ivshmem_flat, NULL, all_there, start_listening, NULL, NULL);
