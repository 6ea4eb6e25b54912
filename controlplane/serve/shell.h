/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h -- the core's thread: what performs the effects the core asks for.
 *
 * WHAT   A loop with the core, the store and a mailbox. A turn feeds the core everything that came, then
 *        flushes once, so that requests that arrived together share a transaction.
 * WHY    The core knows no thread, mail or clock; this file knows no pod.
 * OWNS   The shell owns core and store. Fronts are told to it once, before it runs.
 * ASYNC  Any thread may post letters to shell_inbox(). shell_run() returns after shell_stop(), when every
 *        front is drained and the store is closed.
 * FAILS  A full inbox is ERR_BUSY for the poster, who answers 429.
 */
#ifndef CONTROLPLANE_SERVE_SHELL_H
#define CONTROLPLANE_SERVE_SHELL_H

#include "base/metrics.h"
#include "base/recorder.h"
#include "controlplane/serve/letters.h"
#include "controlplane/store/store_etcd.h"
#include "io/loop.h"
#include "io/seal.h"
#include <stdatomic.h>

enum { SHELL_FRONTS_MAX = 64, SHELL_INBOX_MAX = 131072 };

struct shell;

struct shell_options {
    const char *store; /* "sqlite", "etcd" or "mem". */
    const char *path;  /* sqlite: the database file. */
    /* etcd: endpoints, files, prefix and holder. marker is a file that says that the cluster's state is in
     * etcd: made with the first load. Where it is, an empty etcd is refused, and so is sqlite; where it is not and
     * path is, etcd is refused: a cluster moves by baton store copy only. */
    const struct store_etcd_options *etcd;
    const char *marker;
    const struct seal *seal;
    const char *cluster_id, *api_url;
    struct str pod_network; /* Outlives the shell. */
    uint32_t node_prefix;
    struct str ca_bundle; /* PEM. Outlives the shell, as cluster_id does. */
    size_t flight_bytes;  /* Of the flight recorder; 0: nothing is recorded. */
};

MUST_USE enum err_code shell_open(struct loop *l, const struct shell_options *o,
                                  struct shell **out_shell, struct err *e);

struct mailbox *shell_inbox(struct shell *s);
struct core *shell_core(struct shell *s);
struct metrics *shell_metrics(struct shell *s);
struct recorder *shell_recorder(struct shell *s); /* NULL: there is none. */
bool shell_is_ready(struct shell *s);             /* Any thread. */

/* What a front is to the shell: where to post. pending is set while a LETTER_PUBLISHED is on its way. */
struct shell_front {
    struct mailbox *inbox;
    atomic_bool published;
    atomic_bool
        behind; /* There was no room for what agents were to be told: its sessions end, and come again. */
};

void shell_add_front(struct shell *s, struct shell_front *f); /* Numbered from 0, in this order. */

/* From an event on the shell's own loop: begin the orderly end. */
void shell_stop(struct shell *s);
bool shell_is_done(const struct shell *s);
bool shell_is_deposed(const struct shell *s); /* It ended because another writer has the store. */
void shell_free(struct shell *s);

MUST_USE enum err_code shell_leave_marker(const char *path, struct err *e);

#endif /* CONTROLPLANE_SERVE_SHELL_H */
