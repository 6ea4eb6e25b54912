/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h -- a store of any kind, driven by a test.
 *
 * WHAT   Engines by name; a rig opens one on its own disk, gives it ops, waits for answers and keeps what a
 *        load told. Answers must come once, later, and in order: the rig checks that by itself.
 * OWNS   rig_new() makes the disk (a file in a directory of its own, or memory), rig_free() removes it.
 */
#ifndef CONFORMANCE_STORE_RIG_H
#define CONFORMANCE_STORE_RIG_H

#include "controlplane/store/store_sqlite.h"
#include "io/seal.h"
#include "tests/testlib/etcd.h"

enum { RIG_OPS = 65536, RIG_ROWS = 131072 };

struct rig;

struct engine {
    const char *name;
    void (*make)(struct rig *r);                         /* The disk. */
    enum err_code (*open)(struct rig *r, struct err *e); /* r->store on it. */
    void (*pump)(struct rig *r);                         /* Let time pass and answers come. */
    void (*crash)(struct rig *r);  /* r->store is gone without a word; NULL: cannot. */
    void (*unmake)(struct rig *r); /* The disk. */
};

extern const struct engine *const engines[]; /* NULL at the end. */
extern const struct engine engine_etcd;      /* One of them. */

struct rig_row {
    uint64_t revision;
    struct blob *key, *value;
    enum err_code code;
    bool sealed;
};

struct rig {
    const struct engine *engine;
    struct store *store;
    void *disk, *loop;
    struct seal *seal;
    char dir[64], path[96];
    int64_t now;
    uint64_t limit_bytes;
    uint32_t checkpoint_pages;

    /* etcd's; NULL: the rig's own one. */
    struct etcd_server etcd[ETCD_MEMBERS_MAX];
    const char *endpoints, *cluster, *holder;
    struct {
        const char *ca, *cert, *key;
    } tls;
    bool must_exist, reads; /* As in store_etcd.h; opened to be read. */

    uint64_t op; /* The last one given. */
    bool inside; /* A call into the store is under way. */
    struct store_event done[RIG_OPS];
    bool is_done[RIG_OPS];
    uint64_t last_commit_done;
    bool is_commit[RIG_OPS];

    /* Of the last load or follow. */
    struct rig_row rows[RIG_ROWS];
    uint32_t rows_count;
    uint64_t fence, head, oldest;
    struct err row_err; /* Of the last one that does not open. */
};

struct rig *rig_new(const struct engine *engine);
void rig_open(struct rig *r);
enum err_code rig_try_open(struct rig *r, struct err *e);
void rig_close(struct rig *r); /* By its close op. */
void rig_free(struct rig *r);
void rig_use_key(struct rig *r, unsigned char fill); /* Before rig_open(). */

/* Give an op; its number. */
uint64_t rig_commit(struct rig *r, uint64_t fence, const struct store_write *writes,
                    uint32_t writes_count);
enum err_code rig_wait(struct rig *r, uint64_t op);

enum err_code rig_load(struct rig *r); /* Waits; fence, head, oldest and rows are set. */
enum err_code rig_follow(struct rig *r, uint64_t after);
enum err_code rig_compact(struct rig *r, uint64_t before);

/* One write, waited for. value NULL: a deletion. */
enum err_code rig_put(struct rig *r, uint64_t revision, uint64_t before, const char *key,
                      const char *value);

/* "3 a=x 5 a-" for the rows. */
const char *rig_told(struct rig *r, char out[4096]);

#endif /* CONFORMANCE_STORE_RIG_H */
