/* SPDX-License-Identifier: Apache-2.0 */
/*
 * states.h -- the states that lists are being read from in pages.
 *
 * WHAT   A few snapshots of indexes by revision: those whose pages a client of this thread was given a token for.
 * WHY    A page belongs to the state its list began with. Without the snapshot that state has to be made again from the
 *        present and every change since, for each page, object by object; with it, a later page costs what the first did.
 * OWNS   References of its own; what states_find() gives is the caller's.
 * LIMITS STATES_MAX of a thread, the least recently used goes first; STATES_AGE_S without use; and never a state that
 *        the history does not reach: so the old objects are the history's anyway, and a snapshot costs no more than the
 *        nodes of a tree. Who finds nothing here asks the history (rest_past.c): slower, and the same answer.
 */
#ifndef CONTROLPLANE_SERVE_STATES_H
#define CONTROLPLANE_SERVE_STATES_H

#include "controlplane/core/history.h"
#include "controlplane/core/index.h"

enum { STATES_MAX = 8, STATES_AGE_S = 60 };

struct state {
    struct history *history; /* Names the index, too. NULL: no state. */
    struct index_snapshot at;
    struct instant used;
};

struct states { /* Zeroed: none. */
    struct state kept[STATES_MAX];
};

void states_fini(struct states *t);

void states_keep(struct states *t, struct history *h, const struct index_snapshot *s,
                 struct instant now);

/* False: it is not here, or the history does not reach it any more. */
bool states_find(struct states *t, struct history *h, uint64_t revision, struct instant now,
                 struct index_snapshot *out);

/* Those that are too old go. True: some are left. */
bool states_expire(struct states *t, struct instant now);

#endif /* CONTROLPLANE_SERVE_STATES_H */
