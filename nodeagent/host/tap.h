/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h -- a descriptor of a tap that host/net.h made.
 *
 * WHAT   Opened by the agent and handed to QEMU, which then needs no right to open any.
 * FAILS  ERR_NOT_FOUND: there is no such interface. ERR_BUSY: another process has it open, after waiting 100 ms
 *        for children on their way to exec().
 */
#ifndef NODEAGENT_HOST_TAP_H
#define NODEAGENT_HOST_TAP_H

#include "base/err.h"
#include "base/str.h"

/* One queue, no packet information, virtio-net headers. The caller closes *out_fd. */
MUST_USE enum err_code tap_open(struct str name, int *out_fd, struct err *e);

#endif /* NODEAGENT_HOST_TAP_H */
