/*
 * Inter-VM shared memory and doorbells without PCI: QEMU's ivshmem-flat
 *
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The registers are those of docs/specs/ivshmem-spec.rst in QEMU's source tree.
 * Interrupt Mask and Interrupt Status have no function in this device.
 */

#define DT_DRV_COMPAT qemu_ivshmem_flat

#include <errno.h>

#include <zephyr/device.h>
#include <zephyr/drivers/virtualization/ivshmem.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/barrier.h>
#include <zephyr/sys/device_mmio.h>
#include <zephyr/sys/sys_io.h>

LOG_MODULE_REGISTER(ivshmem_flat, CONFIG_IVSHMEM_LOG_LEVEL);

BUILD_ASSERT(!IS_ENABLED(CONFIG_IVSHMEM_V2), "ivshmem-flat does not support CONFIG_IVSHMEM_V2");

#define INTRSTATUS 0x4
#define IVPOSITION 0x8
#define DOORBELL   0xc

#define REGISTERS_SIZE 0x10

/* Peer IDs and vector numbers have 16 bits in DOORBELL */
#define ID_MAX UINT16_MAX

#ifdef CONFIG_IVSHMEM_DOORBELL
struct ivshmem_flat_vector {
	const struct device *dev;
	uint16_t number;
	unsigned int irq;
	struct k_poll_signal **signal;
};
#endif

struct ivshmem_flat_config {
	DEVICE_MMIO_NAMED_ROM(registers);
	DEVICE_MMIO_NAMED_ROM(memory);
	size_t size;
#ifdef CONFIG_IVSHMEM_DOORBELL
	const struct ivshmem_flat_vector *vectors;
	uint16_t vector_count;
	/* NULL if there are no vectors */
	void (*connect_irqs)(void);
#endif
};

struct ivshmem_flat_data {
	DEVICE_MMIO_NAMED_RAM(registers);
	DEVICE_MMIO_NAMED_RAM(memory);
#ifdef CONFIG_IVSHMEM_DOORBELL
	/* Protects the signals of all vectors */
	struct k_spinlock lock;
#endif
};

#define DEV_CFG(dev)  ((const struct ivshmem_flat_config *)(dev)->config)
#define DEV_DATA(dev) ((struct ivshmem_flat_data *)(dev)->data)

static mm_reg_t ivshmem_flat_register(const struct device *dev, uint32_t offset)
{
	return DEVICE_MMIO_NAMED_GET(dev, registers) + offset;
}

static size_t ivshmem_flat_get_mem(const struct device *dev, uintptr_t *memmap)
{
	*memmap = DEVICE_MMIO_NAMED_GET(dev, memory);

	return DEV_CFG(dev)->size;
}

#ifdef CONFIG_IVSHMEM_DOORBELL

static uint16_t ivshmem_flat_get_vectors(const struct device *dev)
{
	return DEV_CFG(dev)->vector_count;
}

static uint32_t ivshmem_flat_get_id(const struct device *dev)
{
	return sys_read32(ivshmem_flat_register(dev, IVPOSITION));
}

/* A peer can have more vectors than this device, so any can be rung */
static int ivshmem_flat_int_peer(const struct device *dev, uint32_t peer_id, uint16_t vector)
{
	if (ivshmem_flat_get_vectors(dev) == 0) {
		return -ENOSYS;
	}
	if (peer_id > ID_MAX) {
		LOG_ERR("%s: peer %u: IDs must be 0 to %u", dev->name, peer_id, ID_MAX);
		return -EINVAL;
	}

	/* The peer must see earlier writes to the memory when it wakes */
	barrier_dmem_fence_full();
	sys_write32(peer_id << 16 | vector, ivshmem_flat_register(dev, DOORBELL));
	LOG_DBG("%s: rang vector %u of peer %u", dev->name, vector, peer_id);

	return 0;
}

/*
 * A vector's line is enabled while it has a signal. Until then the interrupt controller
 * keeps a doorbell pending, because the first one may arrive during start-up.
 */
static int ivshmem_flat_register_handler(const struct device *dev, struct k_poll_signal *signal,
					 uint16_t vector)
{
	struct ivshmem_flat_data *data = dev->data;
	uint16_t vectors = ivshmem_flat_get_vectors(dev);
	const struct ivshmem_flat_vector *its;

	if (vectors == 0) {
		return -ENOSYS;
	}
	if (vector >= vectors) {
		LOG_ERR("%s: vector %u: must be 0 to %u, one for each of the devicetree node's "
			"interrupts",
			dev->name, vector, vectors - 1);
		return -EINVAL;
	}
	its = &DEV_CFG(dev)->vectors[vector];

	if (signal == NULL) {
		irq_disable(its->irq);
	}
	K_SPINLOCK(&data->lock) {
		*its->signal = signal;
	}
	if (signal != NULL) {
		irq_enable(its->irq);
	}

	return 0;
}

/* The device pulses its line, so there is nothing to acknowledge */
static void ivshmem_flat_isr(const void *argument)
{
	const struct ivshmem_flat_vector *vector = argument;
	struct ivshmem_flat_data *data = vector->dev->data;

	LOG_DBG("%s: doorbell on vector %u", vector->dev->name, vector->number);

	barrier_dmem_fence_full();
	K_SPINLOCK(&data->lock) {
		if (*vector->signal != NULL) {
			k_poll_signal_raise(*vector->signal, vector->number);
		}
	}
}

#else

static uint16_t ivshmem_flat_get_vectors(const struct device *dev)
{
	ARG_UNUSED(dev);

	return 0;
}

static uint32_t ivshmem_flat_get_id(const struct device *dev)
{
	ARG_UNUSED(dev);

	return 0;
}

static int ivshmem_flat_int_peer(const struct device *dev, uint32_t peer_id, uint16_t vector)
{
	ARG_UNUSED(dev);
	ARG_UNUSED(peer_id);
	ARG_UNUSED(vector);

	return -ENOSYS;
}

static int ivshmem_flat_register_handler(const struct device *dev, struct k_poll_signal *signal,
					 uint16_t vector)
{
	ARG_UNUSED(dev);
	ARG_UNUSED(signal);
	ARG_UNUSED(vector);

	return -ENOSYS;
}

#endif /* CONFIG_IVSHMEM_DOORBELL */

/*
 * Whether the device is present. Many machines ignore accesses to unmapped addresses.
 * IVPOSITION is no proof, because it can read as 0 there, which is a valid ID. INTRSTATUS
 * is: it keeps a written value for exactly one read, which no bus or memory does.
 */
static bool ivshmem_flat_is_there(const struct device *dev)
{
	const mm_reg_t status = ivshmem_flat_register(dev, INTRSTATUS);
	const uint32_t pattern = 0x1f1a7;
	uint32_t first, second;

	sys_write32(pattern, status);
	first = sys_read32(status);
	second = sys_read32(status);

	return first == pattern && second == 0;
}

static int ivshmem_flat_init(const struct device *dev)
{
	const struct ivshmem_flat_config *config = dev->config;
	uintptr_t memory;

	DEVICE_MMIO_NAMED_MAP(dev, registers, K_MEM_CACHE_NONE);
	DEVICE_MMIO_NAMED_MAP(dev, memory, K_MEM_CACHE_WB | K_MEM_PERM_USER);

	if (!ivshmem_flat_is_there(dev)) {
		LOG_ERR("%s: no ivshmem-flat at 0x%lx, IVPOSITION reads 0x%x: start QEMU with "
			"'-device ivshmem-flat', with x-bus-address-mmr as in the devicetree",
			dev->name, (unsigned long)ivshmem_flat_register(dev, 0),
			sys_read32(ivshmem_flat_register(dev, IVPOSITION)));
		return -ENODEV;
	}

	(void)ivshmem_flat_get_mem(dev, &memory);
	LOG_INF("%s: ID %u, %zu bytes of shared memory at 0x%lx", dev->name,
		sys_read32(ivshmem_flat_register(dev, IVPOSITION)), config->size,
		(unsigned long)memory);

#ifdef CONFIG_IVSHMEM_DOORBELL
	if (config->connect_irqs != NULL) {
		config->connect_irqs();
	}
#endif

	return 0;
}

/* Zephyr after 3.7 keeps driver APIs in their own section */
#ifdef DEVICE_API
static DEVICE_API(ivshmem, ivshmem_flat_api) = {
#else
static const struct ivshmem_driver_api ivshmem_flat_api = {
#endif
	.get_mem = ivshmem_flat_get_mem,
	.get_id = ivshmem_flat_get_id,
	.get_vectors = ivshmem_flat_get_vectors,
	.int_peer = ivshmem_flat_int_peer,
	.register_handler = ivshmem_flat_register_handler,
};

#define IVSHMEM_FLAT_VECTOR(vector, n)                                                             \
	{                                                                                          \
		.dev = DEVICE_DT_INST_GET(n),                                                      \
		.number = vector,                                                                  \
		.irq = DT_INST_IRQN_BY_IDX(n, vector),                                             \
		.signal = &ivshmem_flat_signals_##n[vector],                                       \
	}

#define IVSHMEM_FLAT_CONNECT_IRQ(vector, n)                                                        \
	IRQ_CONNECT(DT_INST_IRQN_BY_IDX(n, vector), DT_INST_IRQ_BY_IDX(n, vector, priority),       \
		    ivshmem_flat_isr, &ivshmem_flat_vectors_##n[vector], 0)

#define IVSHMEM_FLAT_DEFINE_VECTORS(n)                                                             \
	static struct k_poll_signal *ivshmem_flat_signals_##n[DT_INST_NUM_IRQS(n)];                \
	static const struct ivshmem_flat_vector ivshmem_flat_vectors_##n[] = {                     \
		LISTIFY(DT_INST_NUM_IRQS(n), IVSHMEM_FLAT_VECTOR, (,), n)                          \
	};                                                                                         \
                                                                                                   \
	static void ivshmem_flat_connect_irqs_##n(void)                                            \
	{                                                                                          \
		LISTIFY(DT_INST_NUM_IRQS(n), IVSHMEM_FLAT_CONNECT_IRQ, (;), n);                    \
	}

#define IVSHMEM_FLAT_VECTORS(n)                                                                    \
	.vectors = ivshmem_flat_vectors_##n, .vector_count = DT_INST_NUM_IRQS(n),                  \
	.connect_irqs = ivshmem_flat_connect_irqs_##n,

#define IVSHMEM_FLAT_IF_IRQ(n, code)                                                               \
	IF_ENABLED(CONFIG_IVSHMEM_DOORBELL,                                                        \
		   (IF_ENABLED(DT_INST_NODE_HAS_PROP(n, interrupts), code)))

#define IVSHMEM_FLAT_DEFINE(n)                                                                     \
	BUILD_ASSERT(DT_INST_REG_SIZE_BY_NAME(n, registers) == REGISTERS_SIZE,                     \
		     "ivshmem-flat has 16 bytes of registers: correct the node's reg");            \
	BUILD_ASSERT(DT_INST_REG_SIZE_BY_NAME(n, memory) > 0,                                      \
		     "ivshmem-flat needs shared memory: correct the node's reg");                  \
                                                                                                   \
	IVSHMEM_FLAT_IF_IRQ(n, (IVSHMEM_FLAT_DEFINE_VECTORS(n)))                                   \
                                                                                                   \
	static const struct ivshmem_flat_config ivshmem_flat_config_##n = {                        \
		DEVICE_MMIO_NAMED_ROM_INIT_BY_NAME(registers, DT_DRV_INST(n)),                     \
		DEVICE_MMIO_NAMED_ROM_INIT_BY_NAME(memory, DT_DRV_INST(n)),                        \
		.size = DT_INST_REG_SIZE_BY_NAME(n, memory),                                       \
		IVSHMEM_FLAT_IF_IRQ(n, (IVSHMEM_FLAT_VECTORS(n)))                                  \
	};                                                                                         \
	static struct ivshmem_flat_data ivshmem_flat_data_##n;                                     \
                                                                                                   \
	DEVICE_DT_INST_DEFINE(n, ivshmem_flat_init, NULL, &ivshmem_flat_data_##n,                  \
			      &ivshmem_flat_config_##n, POST_KERNEL,                               \
			      CONFIG_IVSHMEM_FLAT_INIT_PRIORITY, &ivshmem_flat_api);

DT_INST_FOREACH_STATUS_OKAY(IVSHMEM_FLAT_DEFINE)
