/*
 * Fixed MPU regions, including the shared memory of every ivshmem-flat
 *
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/arch/arm/mpu/arm_mpu.h>
#include <zephyr/devicetree.h>
#include <zephyr/sys/util.h>

/* An ARMv7-M region has 2 to the power of (SIZE + 1) bytes */
#define RASR_SIZE(bytes) (((uint32_t)LOG2CEIL(bytes) - 1) << MPU_RASR_SIZE_Pos)

/* Not cached: the other virtual machines write to it, too */
#define SHARED_MEMORY_ATTR(size)                                                                   \
	{                                                                                          \
		(NORMAL_OUTER_INNER_NON_CACHEABLE_SHAREABLE | MPU_RASR_XN_Msk | (size) |           \
		 P_RW_U_RW_Msk)                                                                    \
	}

#define SHARED_MEMORY_ADDR(node) DT_REG_ADDR_BY_NAME(node, memory)
#define SHARED_MEMORY_SIZE(node) DT_REG_SIZE_BY_NAME(node, memory)

#define SHARED_MEMORY_CHECK(node)                                                                  \
	BUILD_ASSERT(IS_POWER_OF_TWO(SHARED_MEMORY_SIZE(node)) && SHARED_MEMORY_SIZE(node) >= 32,  \
		     "the MPU needs a shared memory size that is a power of two, at least 32");    \
	BUILD_ASSERT(SHARED_MEMORY_ADDR(node) % SHARED_MEMORY_SIZE(node) == 0,                     \
		     "the MPU needs shared memory that is aligned to its size");

#define SHARED_MEMORY_REGION(node)                                                                 \
	MPU_REGION_ENTRY(DT_NODE_FULL_NAME(node), SHARED_MEMORY_ADDR(node),                        \
			 SHARED_MEMORY_ATTR(RASR_SIZE(SHARED_MEMORY_SIZE(node)))),

DT_FOREACH_STATUS_OKAY(qemu_ivshmem_flat, SHARED_MEMORY_CHECK)

static const struct arm_mpu_region regions[] = {
	MPU_REGION_ENTRY("FLASH_0", CONFIG_FLASH_BASE_ADDRESS,
			 REGION_FLASH_ATTR(RASR_SIZE(CONFIG_FLASH_SIZE * 1024))),
	MPU_REGION_ENTRY("SRAM_0", CONFIG_SRAM_BASE_ADDRESS,
			 REGION_RAM_ATTR(RASR_SIZE(CONFIG_SRAM_SIZE * 1024))),
	DT_FOREACH_STATUS_OKAY(qemu_ivshmem_flat, SHARED_MEMORY_REGION)
};

const struct arm_mpu_config mpu_config = {
	.num_regions = ARRAY_SIZE(regions),
	.mpu_regions = regions,
};
