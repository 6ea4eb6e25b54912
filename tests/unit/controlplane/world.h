/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h -- a core and a store in memory, driven by hand.
 *
 * WHAT   world_write() feeds a client's write, world_turn() ends a turn, performs its effects and lets the
 *        store do what is due. Answers are kept by op; what happened is written down as a story.
 * OWNS   world_fini() ends everything. Answers' objects live until then.
 */
#ifndef UNIT_CONTROLPLANE_WORLD_H
#define UNIT_CONTROLPLANE_WORLD_H

#include "api/meta.h"
#include "controlplane/core/core.h"
#include "controlplane/core/history.h"
#include "controlplane/core/index.h"
#include "controlplane/store/store_mem.h"
#include "tests/testlib/object.h"

enum { WORLD_OPS = 20000 };

struct world_answer {
    bool is_there, gone;
    enum write_result result;
    struct blob *object;
    uint64_t revision;
    char text[200];
};

struct world {
    struct core *core;
    struct store *store;
    struct store_mem_disk *disk;
    struct instant now;
    struct wall wall;
    uint64_t op; /* The last one used. */
    struct world_answer answers[WORLD_OPS];
    uint64_t commits, writes, published; /* Effects seen. */
    bool deposed, told;                  /* told: write the story. */
    struct buf story;
    /* What goes down to agents; NULL: nobody listens. */
    void (*sent)(void *arg, uint64_t session, struct str bytes);
    void *sent_arg;
};

/* A started world: the store is loaded, the namespaces are there. */
struct world *world_new(void);
struct world *world_on(struct store_mem_disk *disk, uint64_t seed); /* Not settled yet. */
void world_free(struct world *w);                                   /* And its disk. */

/* The process dies; a new one starts on the same disk. Answers are forgotten. */
struct world *world_crash(struct world *w);

uint64_t world_write(struct world *w, const struct write_request *r); /* Its op. */
void world_turn(struct world *w);
void world_pass(struct world *w, struct span by); /* Time passes; nothing is done. */
bool world_settle(struct world *w);               /* Turns until nothing is left to do. */

/* Write and settle. object may be NULL; its reference is taken. */
struct world_answer *world_create(struct world *w, const char *key, struct blob *object);
struct world_answer *world_replace(struct world *w, const char *key, struct blob *object,
                                   uint64_t if_revision);
struct world_answer *world_delete(struct world *w, const char *key, const char *propagation);

struct world_answer *world_config(struct world *w, const char *name); /* In default, empty. */

/* What the index says now; zeroed: not there. Borrowed until the next turn. */
struct meta world_meta(struct world *w, const char *key);
bool world_has(struct world *w, const char *key);

#endif /* UNIT_CONTROLPLANE_WORLD_H */
