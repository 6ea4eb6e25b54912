/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_command.h -- "batond rows": what a store holds, as a flight recording is replayed with.
 *
 * WHAT   --state DIR --out FILE: every row of DIR's SQLite store, in order, as the frames that recording.h writes, Secrets without
 *        their values. For baton-sim --replay --rows, where a recording has lost its beginning or never had its rows.
 *        --endpoints URL,URL (and batond's --etcd- options): of the store that DIR's cluster has in etcd. Without lock or
 *        fence, at one revision of etcd's, so a control plane may lead meanwhile, this one again or a standby.
 * WHY    In batond: it has the engine, and the key that values are sealed with.
 * FAILS  Exit status 1, and the reason: a batond runs there (SQLite; take a copy: docs/operating.md), there is no store, or another
 *        cluster's, a disk is full. Half a file is removed. A row whose value does not open is written without it.
 */
#ifndef CONTROLPLANE_SERVE_ROWS_COMMAND_H
#define CONTROLPLANE_SERVE_ROWS_COMMAND_H

/* Without "batond rows". say: a line for the one who called. The program's exit status. */
int rows_command(int argc, char **argv, void (*say)(const char *line));

#endif /* CONTROLPLANE_SERVE_ROWS_COMMAND_H */
