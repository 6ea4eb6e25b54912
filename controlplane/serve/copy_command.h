/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_command.h -- "batond copy": a stopped cluster moves from SQLite to etcd, or back.
 *
 * WHAT   --from sqlite:DIR --to etcd:ENDPOINTS, or the other way round; DIR is the control plane's directory, with its
 *        seal's key and the cluster's name, which both stores need. What `baton store copy` runs.
 * WHY    In batond and not in baton: it has the engines, and runs where the directory is.
 * FAILS  Exit status 1, and the reason: a batond runs on either (the directory's lock, etcd's lock), the target
 *        holds something, a value does not open, no room, or what was read back differs. The source is as it was
 *        then, and still the cluster's store; half a copy is a file of another name, or is marked as one
 *        in etcd, and the next try takes it away.
 * ORDER  To etcd: the mark goes, DIR is marked as one whose state is in etcd, store.db becomes store.db.copied.
 *        Back: the file gets its name, etcd is marked as left, DIR's mark goes. Between any two of these steps
 *        exactly one of the stores can be served from.
 */
#ifndef CONTROLPLANE_SERVE_COPY_COMMAND_H
#define CONTROLPLANE_SERVE_COPY_COMMAND_H

/* Without "batond copy". say: a line for the one who called. The program's exit status. */
int copy_command(int argc, char **argv, void (*say)(const char *line));

#endif /* CONTROLPLANE_SERVE_COPY_COMMAND_H */
