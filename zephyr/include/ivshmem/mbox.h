/*
 * Restarts of either end of a link: what qemu,ivshmem-mbox offers besides
 * Zephyr's MBOX API
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
 * icmsg and RPMsg keep their state in shared memory. When one end restarts, the
 * state that it left behind misleads both. Call this before
 * ipc_service_open_instance() and ipc_service_register_endpoint(), with no session
 * open: it returns when the peer has none open either, and when what is left of
 * the last one has been cleared. Needs a node with peer-name. The algorithm is in
 * guest/ivshmem-names.h.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 * @param clear What this end is in charge of, cleared when nobody uses it any
 *              more. icmsg: the tx-region. RPMsg: the memory-region on the host,
 *              NULL on the remote.
 * @param size Bytes to clear
 * @param timeout How long to wait for the peer
 *
 * @retval 0 on success
 * @retval -EAGAIN the peer did not come in time. Try again, or give up.
 * @retval -ENOTSUP the node has no peer-name
 * @retval -ENOSPC the server has restarted, and the table of names has no room
 */
int ivshmem_mbox_meet(const struct device *mbox, void *clear, size_t size, k_timeout_t timeout);

/**
 * @brief Whether the peer or the server has been started anew since
 *        ivshmem_mbox_meet()
 *
 * If so, its session is gone: close this end's, and meet again. Cheap: ask whenever
 * you wait for the peer, or send to it.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 */
bool ivshmem_mbox_peer_restarted(const struct device *mbox);

/**
 * @brief Whether the server has been started anew since ivshmem_mbox_meet()
 *
 * If so, the session's memory is gone, or this end has another ID. icmsg is closed as
 * usual. RPMsg's close would still use the rings that are no longer there: reboot
 * instead. From then until the next meeting no callback is called.
 *
 * @param mbox Device of a qemu,ivshmem-mbox node
 */
bool ivshmem_mbox_server_restarted(const struct device *mbox);

#endif /* IVSHMEM_MBOX_H_ */
