/*
 * A link over ipc_service that survives restarts of either end
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The host sends messages of all sizes, and the remote returns them. The devicetree
 * chooses the role and the backend, icmsg or RPMsg. Either end can be started first, and
 * restarted at any time.
 *
 * The backends do not support restarts. So both ends meet before they open the link (see
 * ivshmem/mbox.h), and close it as soon as the other end has restarted. To do this in your
 * own program, copy link_up() and link_down(). If another guest has this end's name, it
 * also has the link, and this end stops.
 */

#include <string.h>

#include <ivshmem/mbox.h>

#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/mbox.h>
#include <zephyr/ipc/ipc_service.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/sys/sys_io.h>

#define LINK DT_NODELABEL(ipc0)
#define MBOX DT_MBOX_CTLR_BY_NAME(LINK, tx)

#define IS_HOST  (strcmp(DT_PROP(MBOX, own_name), "host") == 0)
#define IS_RPMSG DT_NODE_HAS_COMPAT(LINK, zephyr_ipc_openamp_static_vrings)

/* Memory that this end clears for a new session: icmsg's tx-region, or all of RPMsg's */
#if IS_RPMSG
#define PART       DT_PHANDLE(LINK, memory_region)
#define PART_BYTES (IS_HOST ? DT_REG_SIZE(PART) : 0)
#else
#define PART       DT_PHANDLE(LINK, tx_region)
#define PART_BYTES DT_REG_SIZE(PART)
#endif

/* Value of the status byte at the start of RPMsg's region when the host's vrings exist */
#define DRIVER_OK 0x4

#define MESSAGES     1000
#define MESSAGE_MAX  496
#define LOOK         K_MSEC(10)
#define REPLY_WITHIN K_SECONDS(10)

static const struct device *const ipc = DEVICE_DT_GET(LINK);
static const struct device *const mbox = DEVICE_DT_GET(MBOX);

static K_SEM_DEFINE(bound, 0, 1);
static K_SEM_DEFINE(replied, 0, 1);

static struct ipc_ept endpoint;
static uint8_t sent[MESSAGE_MAX];
static size_t sent_length;
static bool is_same;

static void on_bound(void *unused)
{
	ARG_UNUSED(unused);

	k_sem_give(&bound);
}

static void on_received(const void *data, size_t length, void *unused)
{
	int result;

	ARG_UNUSED(unused);

	if (IS_HOST) {
		is_same = length == sent_length && memcmp(data, sent, length) == 0;
		k_sem_give(&replied);
		return;
	}

	result = ipc_service_send(&endpoint, data, length);
	if (result < 0) {
		printk("echo: cannot send %zu bytes back (error %d)\n", length, result);
	}
}

static const struct ipc_ept_cfg endpoint_config = {
	.name = "echo",
	.cb = {
		.bound = on_bound,
		.received = on_received,
	},
};

/* Whether it was given before the other end restarted, and in time */
static bool take(struct k_sem *semaphore, k_timeout_t timeout)
{
	k_timepoint_t end = sys_timepoint_calc(timeout);

	while (k_sem_take(semaphore, LOOK) != 0) {
		if (ivshmem_mbox_peer_restarted(mbox) || sys_timepoint_expired(end)) {
			return false;
		}
	}

	return true;
}

/* RPMsg's remote would wait for the host in the library, even after the host has restarted */
static bool is_host_ready(void)
{
	while (IS_RPMSG && !IS_HOST && !(sys_read8(DT_REG_ADDR(PART)) & DRIVER_OK)) {
		if (ivshmem_mbox_peer_restarted(mbox)) {
			return false;
		}
		k_sleep(LOOK);
	}

	return true;
}

static void link_down(void)
{
	int error;

	if (ivshmem_mbox_name_taken(mbox)) {
		/* The link's memory is another guest's now */
		return;
	}
	if (IS_RPMSG && ivshmem_mbox_server_restarted(mbox)) {
		/* OpenAMP cannot close a link whose rings are gone */
		printk("echo: the server has restarted\n");
		sys_reboot(SYS_REBOOT_COLD);
	}

	error = ipc_service_deregister_endpoint(&endpoint);
	if (error == 0 && IS_RPMSG) {
		error = ipc_service_close_instance(ipc);
	}
	if (error != 0) {
		printk("echo: FAILED to close the link (error %d)\n", error);
		k_panic();
	}
}

/* Returns when the link is up: false if it has ended meanwhile. */
static bool link_up(void)
{
	int error = ivshmem_mbox_meet(mbox, (void *)DT_REG_ADDR(PART), PART_BYTES, K_FOREVER);

	k_sem_reset(&bound);
	k_sem_reset(&replied);
	if (error == -EADDRINUSE || (error == 0 && !is_host_ready())) {
		return false;
	}
	if (error == 0) {
		error = ipc_service_open_instance(ipc);
	}
	if (error == 0) {
		error = ipc_service_register_endpoint(ipc, &endpoint, &endpoint_config);
	}
	if (error != 0) {
		printk("echo: FAILED to open the link (error %d)\n", error);
		k_panic();
	}

	if (!take(&bound, K_FOREVER)) {
		link_down();
		return false;
	}

	return true;
}

/* Sends one message and returns whether it came back as it was. */
static bool is_echoed(unsigned int number)
{
	int result;

	sent_length = 1 + number % MESSAGE_MAX;
	for (size_t i = 0; i < sent_length; i++) {
		sent[i] = (uint8_t)(number + i);
	}

	result = ipc_service_send(&endpoint, sent, sent_length);
	if (result < 0) {
		printk("echo: FAILED to send message %u of %zu bytes (error %d)\n", number,
		       sent_length, result);
		return false;
	}
	if (!take(&replied, REPLY_WITHIN)) {
		return false;
	}
	if (!is_same) {
		printk("echo: FAILED: message %u of %zu bytes came back changed\n", number,
		       sent_length);
	}

	return is_same;
}

static void send_messages(void)
{
	unsigned int number = 0;

	while (number < MESSAGES && is_echoed(number)) {
		number++;
		if (number % 100 == 0) {
			printk("echo: %u messages\n", number);
		}
	}
	printk("echo: %u of %u messages came back\n", number, MESSAGES);
}

int main(void)
{
	if (!device_is_ready(mbox)) {
		printk("echo: FAILED: %s is not ready\n", mbox->name);
		return 0;
	}

	while (!ivshmem_mbox_name_taken(mbox)) {
		printk("echo: %s is waiting for the other end\n", DT_PROP(MBOX, own_name));
		if (!link_up()) {
			continue;
		}
		printk("echo: linked\n");

		if (IS_HOST) {
			send_messages();
		}
		while (!ivshmem_mbox_peer_restarted(mbox)) {
			k_sleep(LOOK);
		}
		printk("echo: the link has ended\n");
		link_down();
	}
	printk("echo: FAILED: another guest also uses the name '%s': stop one of them\n",
	       DT_PROP(MBOX, own_name));

	return 0;
}
