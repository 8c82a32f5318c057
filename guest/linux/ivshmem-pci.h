/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's ivshmem-doorbell from a program in a Linux guest.  The memory and the
 * registers come through sysfs, the interrupts through VFIO: no kernel module
 * has to be built.  The registers do what those of ivshmem-flat do, so
 * ivshmem-flat.h does the rest:
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
 * Memory and ringing alone need no interrupts, no VFIO and no IOMMU.
 *
 * Needs root and Linux 4.1 or newer.  Interrupts also need the module vfio-pci
 * (modprobe vfio-pci) and an IOMMU in the virtual machine: QEMU's -M virt has
 * one with gic-version=3,iommu=smmuv3.
 *
 * Link with libivshmem-pci.a: pkg-config --cflags --libs ivshmem-pci.
 *
 * "Spec" below is docs/specs/ivshmem-spec.rst in QEMU's source tree.  C99 or
 * C++.  Use a device in one thread at a time.  Functions that can fail return -1
 * then, with the reason in dev->error, and leave nothing half done.
 */

#ifndef IVSHMEM_PCI_H
#define IVSHMEM_PCI_H

#include "ivshmem-flat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One device.  The caller owns it and may read what is above "private". */
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
    int container, group, device; /* of VFIO; -1 if not open */
    struct pollfd *doorbells;     /* an eventfd for each vector */
    unsigned next;                /* vector at which the next wait begins */
};

/*
 * Maps registers and memory (Spec, "PCI device registers").  address is the
 * device's on the PCI bus, as in "0000:00:01.0", or NULL for the ivshmem with
 * the lowest one.  Fills *dev, whatever it holds.  ivshmem_pci_close() releases
 * what it takes; after a failure there is nothing to release.
 *
 * An Arm CPU can access the memory unaligned and atomically if the kernel has a
 * file resource2_wc for it, as arm64's has from 5.10 on and x86's before.
 * Without that file the memory is mapped as the registers are: on Arm, Device
 * memory, where such accesses fault.
 */
int ivshmem_pci_open(struct ivshmem_pci *dev, const char *address);

/*
 * Keeps doorbells for ivshmem_pci_wait(), on every vector of the device.
 * Earlier doorbells are lost: tell peers only after this call that you are there.
 * The device's driver becomes vfio-pci and stays so.  Does nothing if interrupts
 * are enabled.
 */
int ivshmem_pci_enable_interrupts(struct ivshmem_pci *dev);

/*
 * Waits until a doorbell is rung, for timeout milliseconds at most, or without
 * limit if that is -1.  Signals do not end it.  Returns the vector.  If several
 * were rung, the next calls return the others, each in its turn.  Several
 * doorbells of one vector may become one: look at the shared memory.
 *
 * If it fails, errno is ETIMEDOUT if no doorbell came in time, and EINVAL if
 * interrupts are not enabled.
 */
int ivshmem_pci_wait(struct ivshmem_pci *dev, int timeout);

/*
 * Returns an fd that is readable when the vector has been rung, for poll() in a
 * loop of yours, or -1 if there is no such vector.  ivshmem_pci_wait() with a
 * timeout of 0 takes the doorbell.  The fd stays the device's.
 */
int ivshmem_pci_fd(const struct ivshmem_pci *dev, unsigned vector);

/* Closes and unmaps everything.  May be called again. */
void ivshmem_pci_close(struct ivshmem_pci *dev);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_PCI_H */
