/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's ivshmem-doorbell from a program in a Linux guest.  The memory and the
 * registers are accessed through sysfs, the interrupts through VFIO, so you do
 * not need to build a kernel module.  The registers are like those of
 * ivshmem-flat, so use ivshmem-flat.h for the rest:
 *
 *     struct ivshmem_pci dev;
 *
 *     if (ivshmem_pci_open(&dev, NULL) < 0 ||
 *         ivshmem_pci_enable_interrupts(&dev) < 0) {
 *         fprintf(stderr, "%s\n", dev.error);
 *         exit(1);
 *     }
 *     ivshmem_flat_ring(&dev.shm, peer, 0);
 *     vector = ivshmem_pci_wait(&dev, 1000);
 *     ivshmem_pci_close(&dev);
 *
 * Shared memory and ringing peers need no interrupts, VFIO or IOMMU.
 *
 * Needs root and Linux 4.1 or newer.  Interrupts also need the module vfio-pci
 * (modprobe vfio-pci) and an IOMMU in the virtual machine: QEMU's -M virt has
 * one with gic-version=3,iommu=smmuv3.
 *
 * Link with libivshmem-pci.a: pkg-config --cflags --libs ivshmem-pci.
 *
 * "Spec" below is docs/specs/ivshmem-spec.rst in QEMU's source tree.  C99 or
 * C++.  Use a device in only one thread at a time.  On failure, functions return
 * -1 with the reason in dev->error, and leave nothing half done.
 */

#ifndef IVSHMEM_PCI_H
#define IVSHMEM_PCI_H

#include "ivshmem-flat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One device.  The caller owns it and may read the members above "private". */
struct ivshmem_pci {
    struct ivshmem_flat shm; /* for ivshmem_flat_own_id(), _at() and _ring() */
    unsigned vectors;        /* 0 until interrupts are enabled */
    char address[32];        /* on the PCI bus, as in 0000:00:01.0 */
    char error[512];         /* why the last call failed, no newline */

    /* private */
    struct {
        void *start;
        size_t bytes;
    } mapped[2];
    int container, group, device; /* VFIO; -1 if not open */
    struct pollfd *doorbells;     /* an eventfd for each vector */
    unsigned next;                /* vector where the next wait begins */
};

/*
 * Maps registers and memory (Spec, "PCI device registers").  address is the
 * device's PCI address, such as "0000:00:01.0", or NULL for the ivshmem with the
 * lowest address.  *dev need not be initialized.  Call ivshmem_pci_close() to
 * release everything; after a failure there is nothing to release.
 *
 * An Arm CPU can access the memory unaligned and atomically if the kernel has a
 * file resource2_wc for it: arm64 since 5.10, x86 even earlier.  Without that
 * file the memory is mapped like the registers: on Arm as Device memory, where
 * such accesses fault.
 */
int ivshmem_pci_open(struct ivshmem_pci *dev, const char *address);

/*
 * Starts receiving doorbells on every vector of the device.  Call
 * ivshmem_pci_wait() to get them.  Earlier doorbells are lost: announce yourself
 * to peers only after this call.  Binds the device to vfio-pci and leaves it
 * bound.  Does nothing if interrupts are already enabled.
 */
int ivshmem_pci_enable_interrupts(struct ivshmem_pci *dev);

/*
 * Waits for a doorbell, for at most timeout milliseconds, or without limit if
 * timeout is -1.  Signals do not interrupt it.  Returns the vector.  If several
 * were rung, the next calls return the others in turn.  Several doorbells of one
 * vector may merge into one: check the shared memory.
 *
 * On failure, errno is ETIMEDOUT if no doorbell arrived in time, and EINVAL if
 * interrupts are not enabled.
 */
int ivshmem_pci_wait(struct ivshmem_pci *dev, int timeout);

/*
 * Returns an fd that is readable when the vector has been rung, for poll() in
 * your own loop, or -1 if there is no such vector.  To take the doorbell, call
 * ivshmem_pci_wait() with a timeout of 0.  Do not close the fd.
 */
int ivshmem_pci_fd(const struct ivshmem_pci *dev, unsigned vector);

/* Closes and unmaps everything.  Calling it twice is harmless. */
void ivshmem_pci_close(struct ivshmem_pci *dev);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_PCI_H */
