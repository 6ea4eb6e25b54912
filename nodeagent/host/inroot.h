/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inroot.h -- files below a root that somebody else filled.
 *
 * WHAT   Opens a path as if root were "/": links, also absolute ones and "..", stay inside. What is
 *        not a regular file, or a directory with exactly one, is refused.
 * WHY    An image's /boot/vmlinuz may be a link to the host's /etc/shadow.
 * FAILS  ERR_NOT_FOUND, ERR_INVALID (another kind of file, several files), ERR_DENIED (leaves root).
 *
 * Source: openat2(2), RESOLVE_IN_ROOT.
 */
#ifndef NODEAGENT_HOST_INROOT_H
#define NODEAGENT_HOST_INROOT_H

#include "base/err.h"

/* flags: O_RDONLY or O_RDWR. The caller closes *out_fd. */
MUST_USE enum err_code inroot_open(const char *root, const char *path, int flags, int *out_fd,
                                   struct err *e);

#endif /* NODEAGENT_HOST_INROOT_H */
