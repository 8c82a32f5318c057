/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the library. */

#ifndef IVSHMEM_PCI_PRIVATE_H
#define IVSHMEM_PCI_PRIVATE_H

#include <sys/types.h>

#include "ivshmem-pci.h"

/* Tests put their own files there. */
#ifndef IVSHMEM_PCI_ROOT
#define IVSHMEM_PCI_ROOT ""
#endif

#define PCI_DEVICES IVSHMEM_PCI_ROOT "/sys/bus/pci/devices"

/* Returns -1 with the reason in dev->error; errno stays as it is. */
__attribute__((format(printf, 2, 3))) int
ivshmem_pci_fail(struct ivshmem_pci *dev, const char *format, ...);

/* Bits of the PCI command register. */
enum ivshmem_pci_command {
    IVSHMEM_PCI_MEMORY,
    IVSHMEM_PCI_BUS_MASTER,
};

/*
 * Sets a bit. fd is the device's configuration space, which begins at offset.
 */
int ivshmem_pci_set_command(struct ivshmem_pci *dev, int fd, off_t offset,
                            enum ivshmem_pci_command command);

/* Closes everything that ivshmem_pci_enable_interrupts() opens. */
void ivshmem_pci_disable_interrupts(struct ivshmem_pci *dev);

#endif /* IVSHMEM_PCI_PRIVATE_H */
