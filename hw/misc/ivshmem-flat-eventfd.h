/*
 * Eventfds that other processes share: signal and take without ever waiting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * O_NONBLOCK belongs to the open file, which every process that has the
 * eventfd shares and can change at any time.  Neither function relies on it
 * where the kernel offers a better way.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_EVENTFD_H
#define HW_MISC_IVSHMEM_FLAT_EVENTFD_H

/**
 * ivshmem_flat_is_eventfd:
 * @fd: anything open
 *
 * Called with the big lock held.
 *
 * Returns: whether @fd is an eventfd
 */
bool ivshmem_flat_is_eventfd(int fd);

/**
 * ivshmem_flat_signal_eventfd:
 * @fd: an eventfd
 *
 * Makes @fd readable.  That it is readable already, even full, is no error.
 * Called with the big lock held.
 *
 * Returns: 0, or a negative errno
 */
int ivshmem_flat_signal_eventfd(int fd);

/**
 * ivshmem_flat_take_eventfd:
 * @fd: an eventfd
 *
 * Takes all signals from @fd at once.  Any thread may call it.
 *
 * Returns: whether there were any
 */
bool ivshmem_flat_take_eventfd(int fd);

#endif /* HW_MISC_IVSHMEM_FLAT_EVENTFD_H */
