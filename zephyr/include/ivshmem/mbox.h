/*
 * Additions of qemu,ivshmem-mbox to Zephyr's MBOX API: handle restarts of either
 * end of a link
 *
 * SPDX-License-Identifier: Apache-2.0
 */

#ifndef IVSHMEM_MBOX_H_
#define IVSHMEM_MBOX_H_

#include <stdbool.h>
#include <stddef.h>

#include <zephyr/device.h>
#include <zephyr/kernel.h>

/**
 * @brief Agree with the peer that a new session begins
 *
 * icmsg and RPMsg keep their state in shared memory. When one end restarts, its old
 * state misleads both ends. Call this function while no session is open, before
 * ipc_service_open_instance() and ipc_service_register_endpoint(). It returns when the
 * peer has closed its session, too, and the state of the last session is cleared. The
 * node must have peer-name. guest/ivshmem-names.h describes the algorithm.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 * @param clear Memory that this end has to clear as soon as nobody uses it. icmsg: the
 *              tx-region. RPMsg: the memory-region on the host, NULL on the remote.
 * @param size Bytes to clear
 * @param timeout How long to wait for the peer
 *
 * @retval 0 on success
 * @retval -EAGAIN timeout. Try again, or give up.
 * @retval -ENOTSUP the node has no peer-name
 * @retval -EADDRINUSE ivshmem_mbox_name_taken()
 * @retval -ENOSPC the server has restarted, and the table of names has no room
 */
int ivshmem_mbox_meet(const struct device *mbox, void *clear, size_t size, k_timeout_t timeout);

/**
 * @brief Whether the session that began with ivshmem_mbox_meet() is over
 *
 * The peer or the server has restarted: close this end's session and meet again. Or
 * another guest has this end's name: see ivshmem_mbox_name_taken(). This is cheap: call
 * it whenever you wait for the peer or send to it.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 */
bool ivshmem_mbox_peer_restarted(const struct device *mbox);

/**
 * @brief Whether the server has restarted since ivshmem_mbox_meet()
 *
 * If so, the session's memory is gone, or this end has another ID. Close icmsg as
 * usual. Do not close RPMsg, which would use rings that no longer exist: reboot
 * instead. No callback runs until the next meeting.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 */
bool ivshmem_mbox_server_restarted(const struct device *mbox);

/**
 * @brief Whether another guest has entered this end's own-name
 *
 * A name and its link belong to the guest that entered it last. This end then sends
 * nothing, and no callback runs. Do not close RPMsg, whose rings are the other guest's
 * now, and do not reboot, which would take the name back. The log has the other guest's
 * ID. It is always false for a node that has no peer-name.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 */
bool ivshmem_mbox_name_taken(const struct device *mbox);

#endif /* IVSHMEM_MBOX_H_ */
