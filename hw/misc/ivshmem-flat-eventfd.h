/*
 * Signal and take eventfds shared with other processes, without blocking
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * O_NONBLOCK belongs to the open file description: every process that shares
 * the eventfd can change it at any time.  The functions below rely on it only
 * where the kernel offers nothing better.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_EVENTFD_H
#define HW_MISC_IVSHMEM_FLAT_EVENTFD_H

/**
 * ivshmem_flat_is_eventfd:
 * @fd: any open file descriptor
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
 * Makes @fd readable.  It is not an error if @fd is already readable or full.
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
