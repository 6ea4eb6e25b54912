/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/store/store_user.h"

#include "base/check.h"
#include "io/thread.h"

static void user_load(struct store *s, uint64_t op)
{
    store_user_ask(store_user_of(s), STORE_ASK_LOAD, op, 0, NULL, 0);
}

static void user_commit(struct store *s, uint64_t op, uint64_t fence,
                        const struct store_write *writes, uint32_t writes_count)
{
    CHECK(writes_count > 0 && writes_count <= STORE_WRITES_MAX);
    store_user_ask(store_user_of(s), STORE_ASK_COMMIT, op, fence, writes, writes_count);
}

static void user_follow(struct store *s, uint64_t op, uint64_t after)
{
    store_user_ask(store_user_of(s), STORE_ASK_FOLLOW, op, after, NULL, 0);
}

static void user_compact(struct store *s, uint64_t op, uint64_t before)
{
    store_user_ask(store_user_of(s), STORE_ASK_COMPACT, op, before, NULL, 0);
}

static void user_close(struct store *s, uint64_t op)
{
    store_user_ask(store_user_of(s), STORE_ASK_CLOSE, op, 0, NULL, 0);
}

static const struct store_ops user_ops = {.load = user_load,
                                          .commit = user_commit,
                                          .follow = user_follow,
                                          .compact = user_compact,
                                          .close = user_close};

void store_user_init(struct store_user *u, const struct store_sink *sink,
                     void (*ask)(struct store_user *u, uint32_t what, uint64_t op,
                                 uint64_t argument, const struct store_write *writes,
                                 uint32_t writes_count))
{
    *u = (struct store_user){.base = {.ops = &user_ops, .sink = *sink}, .ask = ask};
}

struct store_user *store_user_of(struct store *s)
{
    return CONTAINER_OF(s, struct store_user, base);
}

void store_user_ask(struct store_user *u, uint32_t what, uint64_t op, uint64_t argument,
                    const struct store_write *writes, uint32_t writes_count)
{
    CHECK(u->inflight++ < STORE_INFLIGHT_MAX);
    u->ask(u, what, op, argument, writes, writes_count);
}

void store_user_row(const struct store_user *u, const struct store_event *row,
                    const struct err *poison)
{
    struct store_event ev = *row;
    ev.type = STORE_ROW;
    if (poison != NULL) {
        ev.code = ERR_CORRUPT;
        ev.err = *poison;
    }
    u->base.sink.post(u->base.sink.state, &ev);
}

void store_user_done(struct store_user *u, const struct store_event *done)
{
    u->inflight--;
    u->base.sink.post(u->base.sink.state, done);
}

void store_post(struct mailbox *box, uint32_t type, uint64_t op, void *body, void (*drop)(void *))
{
    struct mail m = {.type = type, .op = op, .body = body, .drop = drop};
    CHECK(mailbox_post(box, &m) == ERR_OK); /* Boxes hold more than can be under way. */
}
