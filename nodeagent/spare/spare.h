/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare.h -- what a QEMU hears that was loaded before there was a machine for it.
 *
 * WHAT   baton-spare.so, preloaded into QEMU, stops it behind the dynamic loader and before its main().
 *        Over the socket SPARE_SOCKET it says that it is there; then one message says where, as whom,
 *        with which descriptors and arguments main() begins.
 * WHY    A third of a start of QEMU is its loader: about a hundred libraries are relocated, and nothing of
 *        that depends on the machine (docs/decisions/0245-a-spare-qemu.md).
 * OWNS   The agent makes it as its child and holds the other end of the socket; the process becomes the
 *        machine itself, so nothing is shared with a second one, addresses included.
 * FAILS  Its agent gone before the message: it ends. Anything else: a line on stderr (QEMU's log by then)
 *        and exit status 1, as QEMU itself ends on arguments it does not like.
 *
 * From the agent, one message (SOCK_SEQPACKET): struct spare_word, then its arguments, each with its
 * NUL; beside it (SCM_RIGHTS, unix(7)) first the working directory, then the files through which it enters
 * its cgroups, then what it inherits. To the agent, once: SPARE_VERSION as 4 bytes.
 */
#ifndef NODEAGENT_SPARE_SPARE_H
#define NODEAGENT_SPARE_SPARE_H

#include <stdint.h>

enum {
    SPARE_VERSION = 0x62740001, /* Of this layout: the library on disk may be another build's. */
    SPARE_SOCKET = 3,           /* Its own descriptor. */
    SPARE_FDS_MAX = 64,         /* Of the machine: as PROC_FDS_MAX. */
    SPARE_GROUPS_MAX = 8,
    SPARE_ARGS_MAX = 512,
    SPARE_TEXT_MAX = 160 << 10, /* Of all arguments; a socket's buffer holds 208 KiB. */
};

struct spare_word {
    uint32_t version;
    uint32_t uid, gid; /* Who it is from here on; no further groups. */
    uint32_t groups_count, fds_count, args_count, text_len;
    int32_t fds[SPARE_FDS_MAX]; /* What number each of what it inherits has in the machine. */
};

#endif /* NODEAGENT_SPARE_SPARE_H */
