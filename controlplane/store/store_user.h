/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_user.h -- the user's side of an engine that works on a thread of its own.
 *
 * WHAT   The five ops of the seam as one ask; rows and ends as they go to the sink; mail between the two threads.
 * WHY    SQLite and etcd differ in how they work, not in how they are asked.
 * OWNS   The engine embeds a store_user and hands out its base. In ask() it takes its own references to keys and values.
 * ASYNC  Everything here is on the thread of the store's user, but for store_post().
 * FAILS  Over STORE_INFLIGHT_MAX is our bug, and so is a full mailbox: they are made larger than what can be under way.
 */
#ifndef CONTROLPLANE_STORE_STORE_USER_H
#define CONTROLPLANE_STORE_STORE_USER_H

#include "controlplane/store/store.h"

struct mailbox;

enum store_ask {
    STORE_ASK_LOAD,
    STORE_ASK_COMMIT,
    STORE_ASK_FOLLOW,
    STORE_ASK_COMPACT,
    STORE_ASK_CLOSE,
    STORE_ASK__COUNT /* From here on the engine's own. */
};

struct store_user {
    struct store base;
    uint32_t inflight; /* Ops not answered. */
    /* Hands it to the thread. argument: the fence, or a revision. */
    void (*ask)(struct store_user *u, uint32_t what, uint64_t op, uint64_t argument,
                const struct store_write *writes, uint32_t writes_count);
};

void store_user_init(struct store_user *u, const struct store_sink *sink,
                     void (*ask)(struct store_user *u, uint32_t what, uint64_t op,
                                 uint64_t argument, const struct store_write *writes,
                                 uint32_t writes_count));

struct store_user *store_user_of(struct store *s);

/* An op that is the engine's own: counted as those of the seam are. */
void store_user_ask(struct store_user *u, uint32_t what, uint64_t op, uint64_t argument,
                    const struct store_write *writes, uint32_t writes_count);

/* row: but for type and code. poison: why its value does not open; NULL: it does. */
void store_user_row(const struct store_user *u, const struct store_event *row,
                    const struct err *poison);
void store_user_done(struct store_user *u, const struct store_event *done);

void store_post(struct mailbox *box, uint32_t type, uint64_t op, void *body, void (*drop)(void *));

#endif /* CONTROLPLANE_STORE_STORE_USER_H */
