/*
 * Mailbox on the doorbells of an ivshmem device
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Uses Zephyr's ivshmem API, so it works with any device that has a driver for it.
 * That API raises a signal for a doorbell. A thread for each node waits for the signals
 * of all its vectors, and runs the callbacks.
 */

#define DT_DRV_COMPAT qemu_ivshmem_mbox

#include <errno.h>
#include <string.h>

#include <ivshmem-names.h>
#include <ivshmem/mbox.h>

#include <zephyr/device.h>
#include <zephyr/drivers/mbox.h>
#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

LOG_MODULE_REGISTER(ivshmem_mbox, CONFIG_MBOX_LOG_LEVEL);

/* How often to check whether the peer has arrived */
#define MEET_INTERVAL K_MSEC(1)

/* For channel numbers that contain the peer */
#define CHANNEL_ID(channel)     ((uint16_t)(channel))
#define CHANNEL_VECTOR(channel) ((channel) >> 16)

enum peer {
	PEER_IN_CHANNEL,
	PEER_ID,
	PEER_OTHER_OF_TWO,
	PEER_NAME,
};

struct ivshmem_mbox_config {
	const struct device *ivshmem;
	enum peer peer;
	uint16_t peer_id;
	const char *own_name;
	const char *peer_name;
	size_t names_offset;
	uint16_t vectors;
	k_thread_stack_t *stack;
};

struct ivshmem_mbox_channel {
	bool enabled;
	mbox_channel_id_t id;
	mbox_callback_t callback;
	void *user_data;
};

struct ivshmem_mbox_data {
	struct k_thread thread;
	struct k_spinlock lock;
	/* Arrays with one element for each vector */
	struct ivshmem_mbox_channel *channels;
	struct k_poll_signal *signals;
	struct k_poll_event *events;
	/* Only used with a name */
	struct ivshmem_name *names;
	struct ivshmem_name *own;
	uint16_t own_id; /* with which the name was entered */
	bool told;       /* that another guest has entered it, too */
	bool meets; /* ivshmem_mbox_meet() has been called, and enters the name */
	uint32_t met;
};

/* The table of names, or NULL, with the reason in the log */
static struct ivshmem_name *names(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	uintptr_t memory;
	size_t size = ivshmem_get_mem(config->ivshmem, &memory);

	if (size < IVSHMEM_NAMES_BYTES || config->names_offset > size - IVSHMEM_NAMES_BYTES) {
		LOG_ERR("%s: %zu bytes of names at offset 0x%zx are not within the %zu bytes of "
			"shared memory: correct names-offset",
			dev->name, IVSHMEM_NAMES_BYTES, config->names_offset, size);
		return NULL;
	}

	return (struct ivshmem_name *)(memory + config->names_offset);
}

static int enter_name(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;

	data->own_id = ivshmem_get_id(config->ivshmem);
	data->own = ivshmem_names_enter(data->names, config->own_name, data->own_id);
	data->told = false;
	if (data->own == NULL) {
		LOG_ERR("%s: no room for the name '%s': %u others are in use. Restart the server",
			dev->name, config->own_name, IVSHMEM_NAMES_ENTRIES);
		return -ENOSPC;
	}

	return 0;
}

/* At start-up. If a guest with this name is still running, the doorbell tells it to look. */
static int take_name(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	const struct ivshmem_name *entry = ivshmem_names_find(data->names, config->own_name);
	uint16_t id = ivshmem_get_id(config->ivshmem);
	uint16_t last_id = entry != NULL ? ivshmem_names_id(entry) : id;
	int error = enter_name(dev);

	if (error != 0 || last_id == id) {
		return error;
	}

	LOG_INF("%s: takes the name '%s' from peer %u, whose link ends if it still runs",
		dev->name, config->own_name, last_id);
	for (uint16_t vector = 0; vector < config->vectors; vector++) {
		(void)ivshmem_int_peer(config->ivshmem, last_id, vector);
	}

	return 0;
}

/* Whether another guest has entered the name, and has the link. Logs this once. */
static bool is_taken(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	const struct ivshmem_name *entry = NULL;
	uint16_t id;

	if (config->peer == PEER_NAME) {
		entry = ivshmem_names_find(data->names, config->own_name);
	}
	id = entry != NULL ? ivshmem_names_id(entry) : data->own_id;
	if (id == data->own_id) {
		return false;
	}

	if (!data->told) {
		data->told = true;
		LOG_ERR("%s: peer %u also uses the name '%s', and has the link now: stop one of "
			"the two guests, or give it another own-name",
			dev->name, id, config->own_name);
	}

	return true;
}

/* The server may have restarted, with new memory or another ID for this guest. */
static bool is_entered(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;

	return data->own != NULL && ivshmem_names_holds(data->own, config->own_name,
							ivshmem_get_id(config->ivshmem));
}

/* The peer's ID, or a negative error */
static int find_peer(const struct device *dev, mbox_channel_id_t channel)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	const struct ivshmem_name *peer;
	uint32_t own_id;

	switch (config->peer) {
	case PEER_NAME:
		peer = ivshmem_names_find(data->names, config->peer_name);
		return peer != NULL ? ivshmem_names_id(peer) : -ENOTCONN;
	case PEER_ID:
		return config->peer_id;
	case PEER_OTHER_OF_TWO:
		own_id = ivshmem_get_id(config->ivshmem);
		return own_id <= 1 ? 1 - own_id : -ENOTCONN;
	default:
		return CHANNEL_ID(channel);
	}
}

static uint32_t vector_of(const struct device *dev, mbox_channel_id_t channel)
{
	const struct ivshmem_mbox_config *config = dev->config;

	return config->peer == PEER_IN_CHANNEL ? CHANNEL_VECTOR(channel) : channel;
}

static int ivshmem_mbox_send(const struct device *dev, mbox_channel_id_t channel,
			     const struct mbox_msg *msg)
{
	const struct ivshmem_mbox_config *config = dev->config;
	uint32_t vector = vector_of(dev, channel);
	int peer;

	if (msg != NULL) {
		LOG_ERR("%s: a doorbell carries no data: send NULL", dev->name);
		return -EMSGSIZE;
	}
	if (vector > UINT16_MAX) {
		LOG_ERR("%s: channel %u: vectors must be 0 to %u", dev->name, channel, UINT16_MAX);
		return -EINVAL;
	}
	if (is_taken(dev)) {
		return -EADDRINUSE;
	}

	peer = find_peer(dev, channel);
	if (peer < 0) {
		LOG_DBG("%s: channel %u: the peer is not there yet", dev->name, channel);
		return peer;
	}

	return ivshmem_int_peer(config->ivshmem, peer, vector);
}

/* The channel to receive on, or NULL, with the reason in the log */
static struct ivshmem_mbox_channel *receiving(const struct device *dev, mbox_channel_id_t channel)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	uint32_t vector = vector_of(dev, channel);

	if (vector >= config->vectors) {
		LOG_ERR("%s: channel %u: cannot receive on vector %u, there are %u vectors, one "
			"for each interrupt of %s",
			dev->name, channel, vector, config->vectors, config->ivshmem->name);
		return NULL;
	}

	return &data->channels[vector];
}

static int ivshmem_mbox_register_callback(const struct device *dev, mbox_channel_id_t id,
					  mbox_callback_t callback, void *user_data)
{
	struct ivshmem_mbox_data *data = dev->data;
	struct ivshmem_mbox_channel *channel = receiving(dev, id);

	if (channel == NULL) {
		return -EINVAL;
	}

	K_SPINLOCK(&data->lock) {
		channel->id = id;
		channel->callback = callback;
		channel->user_data = user_data;
	}

	return 0;
}

static int ivshmem_mbox_mtu_get(const struct device *dev)
{
	ARG_UNUSED(dev);

	return 0;
}

static uint32_t ivshmem_mbox_max_channels_get(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;

	return config->peer == PEER_IN_CHANNEL ? UINT32_MAX : UINT16_MAX + 1;
}

static bool is_enabled_elsewhere(const struct device *dev, uint32_t vector)
{
#define OTHER(n) DEVICE_DT_INST_GET(n),
	static const struct device *const all[] = {DT_INST_FOREACH_STATUS_OKAY(OTHER)};
	const struct ivshmem_mbox_config *config = dev->config;

	ARRAY_FOR_EACH(all, i) {
		const struct ivshmem_mbox_config *other = all[i]->config;
		const struct ivshmem_mbox_data *its = all[i]->data;

		if (all[i] != dev && other->ivshmem == config->ivshmem &&
		    vector < other->vectors && its->channels[vector].enabled) {
			LOG_ERR("%s: %s already receives on vector %u of %s: give each its own",
				dev->name, all[i]->name, vector, config->ivshmem->name);
			return true;
		}
	}

	return false;
}

static int ivshmem_mbox_set_enabled(const struct device *dev, mbox_channel_id_t id, bool enabled)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	struct ivshmem_mbox_channel *channel = receiving(dev, id);
	uint32_t vector = vector_of(dev, id);
	int error;

	if (channel == NULL) {
		return -EINVAL;
	}
	if (channel->enabled == enabled) {
		return -EALREADY;
	}
	if (enabled && is_enabled_elsewhere(dev, vector)) {
		return -EBUSY;
	}

	error = ivshmem_register_handler(config->ivshmem, enabled ? &data->signals[vector] : NULL,
					 vector);
	if (error == 0) {
		channel->enabled = enabled;
	}

	return error;
}

static void call_back(const struct device *dev, uint16_t vector)
{
	struct ivshmem_mbox_data *data = dev->data;
	struct ivshmem_mbox_channel channel;

	K_SPINLOCK(&data->lock) {
		channel = data->channels[vector];
	}
	if (channel.enabled && channel.callback != NULL) {
		channel.callback(dev, channel.id, channel.user_data, NULL);
	}
}

static void listen(void *device, void *unused1, void *unused2)
{
	const struct device *dev = device;
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	bool is_over;

	ARG_UNUSED(unused1);
	ARG_UNUSED(unused2);

	while (true) {
		(void)k_poll(data->events, config->vectors, K_FOREVER);

		/* A doorbell can also mean that the server has restarted */
		is_over = is_taken(dev) || ivshmem_mbox_server_restarted(dev);
		if (config->peer == PEER_NAME && !data->meets && !is_over && !is_entered(dev)) {
			(void)enter_name(dev);
		}
		for (uint16_t vector = 0; vector < config->vectors; vector++) {
			if (data->events[vector].state != K_POLL_STATE_SIGNALED) {
				continue;
			}
			/* Before the callback reads the memory, so that a later ring is not missed */
			data->events[vector].state = K_POLL_STATE_NOT_READY;
			k_poll_signal_reset(&data->signals[vector]);
			/* The session's memory may be gone */
			if (!is_over) {
				call_back(dev, vector);
			}
		}
	}
}

static int ivshmem_mbox_init(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	uint16_t vectors;

	if (!device_is_ready(config->ivshmem)) {
		LOG_ERR("%s: %s is not ready", dev->name, config->ivshmem->name);
		return -ENODEV;
	}
	vectors = ivshmem_get_vectors(config->ivshmem);
	if (vectors < config->vectors) {
		LOG_ERR("%s: %s has %u vectors, %u are needed: give its node more interrupts",
			dev->name, config->ivshmem->name, vectors, config->vectors);
		return -ENODEV;
	}

	if (config->peer == PEER_NAME) {
		data->names = names(dev);
		if (data->names == NULL) {
			return -EINVAL;
		}
		if (take_name(dev) != 0) {
			return -ENOSPC;
		}
	}

	for (uint16_t vector = 0; vector < config->vectors; vector++) {
		k_poll_signal_init(&data->signals[vector]);
		k_poll_event_init(&data->events[vector], K_POLL_TYPE_SIGNAL,
				  K_POLL_MODE_NOTIFY_ONLY, &data->signals[vector]);
	}
	k_thread_create(&data->thread, config->stack, CONFIG_IVSHMEM_MBOX_STACK_SIZE, listen,
			(void *)dev, NULL, NULL, K_PRIO_COOP(CONFIG_IVSHMEM_MBOX_PRIORITY), 0,
			K_NO_WAIT);
	k_thread_name_set(&data->thread, dev->name);

	return 0;
}

bool ivshmem_mbox_name_taken(const struct device *dev)
{
	return is_taken(dev);
}

bool ivshmem_mbox_server_restarted(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;

	return config->peer == PEER_NAME && data->met != 0 && !is_taken(dev) && !is_entered(dev);
}

bool ivshmem_mbox_peer_restarted(const struct device *dev)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	const struct ivshmem_name *peer;

	if (config->peer != PEER_NAME || data->met == 0) {
		return false;
	}
	if (is_taken(dev) || ivshmem_mbox_server_restarted(dev)) {
		return true;
	}
	peer = ivshmem_names_find(data->names, config->peer_name);

	return peer == NULL || ivshmem_names_restarted(peer, data->met);
}

int ivshmem_mbox_meet(const struct device *dev, void *clear, size_t size, k_timeout_t timeout)
{
	const struct ivshmem_mbox_config *config = dev->config;
	struct ivshmem_mbox_data *data = dev->data;
	k_timepoint_t end = sys_timepoint_calc(timeout);
	bool is_cleared = false;
	uint32_t start = 0;
	int error;

	if (config->peer != PEER_NAME) {
		return -ENOTSUP;
	}
	data->meets = true;

	/* If the session has not ended for another reason, this end ends it */
	if (data->met != 0 && !ivshmem_mbox_peer_restarted(dev)) {
		error = enter_name(dev);
		if (error != 0) {
			return error;
		}
	}
	data->met = 0;

	while (true) {
		const struct ivshmem_name *peer;

		if (is_taken(dev)) {
			return -EADDRINUSE;
		}
		if (!is_entered(dev)) {
			error = enter_name(dev);
			if (error != 0) {
				return error;
			}
			start = 0;
		}
		peer = ivshmem_names_find(data->names, config->peer_name);
		if (peer != NULL && (start == 0 || ivshmem_names_restarted(peer, start))) {
			start = ivshmem_names_start(peer);
			is_cleared = false;
		}
		if (peer != NULL && !is_cleared && ivshmem_names_closed(data->own, peer, start)) {
			if (size > 0) {
				memset(clear, 0, size);
			}
			is_cleared = true;
		}
		if (peer != NULL && is_cleared && ivshmem_names_clean(data->own, peer, start)) {
			data->met = start;
			return 0;
		}

		if (sys_timepoint_expired(end)) {
			return -EAGAIN;
		}
		k_sleep(MEET_INTERVAL);
	}
}

/* Zephyr after 3.7 keeps driver APIs in their own section */
#ifdef DEVICE_API
static DEVICE_API(mbox, ivshmem_mbox_api) = {
#else
static const struct mbox_driver_api ivshmem_mbox_api = {
#endif
	.send = ivshmem_mbox_send,
	.register_callback = ivshmem_mbox_register_callback,
	.mtu_get = ivshmem_mbox_mtu_get,
	.max_channels_get = ivshmem_mbox_max_channels_get,
	.set_enabled = ivshmem_mbox_set_enabled,
};

#define HAS(n, property) DT_INST_NODE_HAS_PROP(n, property)

#define PEER(n)                                                                                    \
	(HAS(n, peer_name)                ? PEER_NAME                                              \
	 : HAS(n, peer_id)                ? PEER_ID                                                \
	 : DT_INST_PROP(n, other_of_two)  ? PEER_OTHER_OF_TWO                                      \
					  : PEER_IN_CHANNEL)

/* The PCIe device's node has no interrupts, but the device has one vector */
#define VECTORS(n) MAX(1, DT_NUM_IRQS(DT_INST_PHANDLE(n, ivshmem)))

#define IS_NAME(n, property)                                                                       \
	(IN_RANGE(sizeof(DT_INST_PROP_OR(n, property, "-")), 2, IVSHMEM_NAME_BYTES))

#define IVSHMEM_MBOX_DEFINE(n)                                                                     \
	BUILD_ASSERT(HAS(n, own_name) == HAS(n, peer_name),                                        \
		     "qemu,ivshmem-mbox: own-name and peer-name must be set together");            \
	BUILD_ASSERT(HAS(n, peer_name) + HAS(n, peer_id) + DT_INST_PROP(n, other_of_two) <= 1,     \
		     "qemu,ivshmem-mbox: set only one of peer-name, peer-id and other-of-two");    \
	BUILD_ASSERT(IN_RANGE(DT_INST_PROP_OR(n, peer_id, 0), 0, UINT16_MAX),                      \
		     "qemu,ivshmem-mbox: peer-id must be 0 to 65535");                             \
	BUILD_ASSERT(IS_NAME(n, own_name) && IS_NAME(n, peer_name),                                \
		     "qemu,ivshmem-mbox: a name must have 1 to 31 characters");                    \
	BUILD_ASSERT(DT_INST_PROP(n, names_offset) % sizeof(uint32_t) == 0,                        \
		     "qemu,ivshmem-mbox: names-offset must be a multiple of 4");                   \
                                                                                                   \
	static struct ivshmem_mbox_channel channels_##n[VECTORS(n)];                               \
	static struct k_poll_signal signals_##n[VECTORS(n)];                                       \
	static struct k_poll_event events_##n[VECTORS(n)];                                         \
	static K_THREAD_STACK_DEFINE(stack_##n, CONFIG_IVSHMEM_MBOX_STACK_SIZE);                   \
                                                                                                   \
	static const struct ivshmem_mbox_config ivshmem_mbox_config_##n = {                        \
		.ivshmem = DEVICE_DT_GET(DT_INST_PHANDLE(n, ivshmem)),                             \
		.peer = PEER(n),                                                                   \
		.peer_id = DT_INST_PROP_OR(n, peer_id, 0),                                         \
		.own_name = DT_INST_PROP_OR(n, own_name, NULL),                                    \
		.peer_name = DT_INST_PROP_OR(n, peer_name, NULL),                                  \
		.names_offset = DT_INST_PROP(n, names_offset),                                     \
		.vectors = VECTORS(n),                                                             \
		.stack = stack_##n,                                                                \
	};                                                                                         \
	static struct ivshmem_mbox_data ivshmem_mbox_data_##n = {                                  \
		.channels = channels_##n,                                                          \
		.signals = signals_##n,                                                            \
		.events = events_##n,                                                              \
	};                                                                                         \
                                                                                                   \
	DEVICE_DT_INST_DEFINE(n, ivshmem_mbox_init, NULL, &ivshmem_mbox_data_##n,                  \
			      &ivshmem_mbox_config_##n, POST_KERNEL,                               \
			      CONFIG_IVSHMEM_MBOX_INIT_PRIORITY, &ivshmem_mbox_api);

DT_INST_FOREACH_STATUS_OKAY(IVSHMEM_MBOX_DEFINE)
