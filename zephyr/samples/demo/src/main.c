/*
 * A member of the demo under Zephyr
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * guest/demo/member.c contains what a member does on any platform. This file connects it
 * to Zephyr's ivshmem API: the shared memory, the device's own ID, ringing another
 * member, and waiting for a doorbell.
 */

#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "demo/member.h"

static const struct device *const ivshmem = DEVICE_DT_GET(DT_NODELABEL(ivshmem0));

static struct k_poll_signal doorbell = K_POLL_SIGNAL_INITIALIZER(doorbell);

uint16_t demo_own_id(void)
{
	return (uint16_t)ivshmem_get_id(ivshmem);
}

void demo_ring(uint16_t id)
{
	(void)ivshmem_int_peer(ivshmem, id, 0);
}

unsigned int demo_wait(void)
{
	struct k_poll_event event = K_POLL_EVENT_INITIALIZER(K_POLL_TYPE_SIGNAL,
							     K_POLL_MODE_NOTIFY_ONLY, &doorbell);

	(void)k_poll(&event, 1, K_FOREVER);

	/* Before the member reads the memory, so that a later ring is not missed */
	k_poll_signal_reset(&doorbell);

	return 1;
}

void demo_print(const char *format, va_list arguments)
{
	vprintk(format, arguments);
}

void demo_give_up(void)
{
	k_thread_abort(k_current_get());
	CODE_UNREACHABLE;
}

int main(void)
{
	uintptr_t memory;
	size_t size;
	int error;

	if (!device_is_ready(ivshmem)) {
		printk("demo: FAILED %s is not ready: is it on QEMU's command line?\n",
		       ivshmem->name);
		return 0;
	}

	size = ivshmem_get_mem(ivshmem, &memory);
	if (size < DEMO_MEMORY_BYTES) {
		printk("demo: FAILED the shared memory has %zu bytes, the demo needs %u: correct "
		       "the devicetree node's reg\n",
		       size, DEMO_MEMORY_BYTES);
		return 0;
	}

	error = ivshmem_register_handler(ivshmem, &doorbell, 0);
	if (error != 0) {
		printk("demo: FAILED no doorbell to wait for (error %d): give the devicetree node "
		       "an interrupt\n",
		       error);
		return 0;
	}

	demo_run("zephyr", (volatile struct demo_memory *)memory);

	return 0;
}
