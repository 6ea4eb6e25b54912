/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/store/store_mem.h"

#include "base/check.h"
#include "base/mem.h"

struct change {
    uint64_t revision, before;
    struct blob *key, *value; /* key NULL: compacted away. */
    bool sealed;
};

struct store_mem_disk {
    struct change *log; /* By revision. */
    uint32_t log_count, log_size;
    uint64_t fence, head, compacted;
};

enum op_type { OP_LOAD, OP_COMMIT, OP_FOLLOW, OP_COMPACT, OP_CLOSE };

struct op {
    enum op_type type;
    uint64_t id;
    uint64_t argument; /* The fence, or a revision. */
    struct instant due;
    struct store_write *writes;
    uint32_t writes_count;
};

struct store_mem {
    struct store base;
    struct store_mem_disk *disk;
    struct store_mem_dials dials;
    struct rng rng;
    struct instant now, last_due;
    struct op ops[STORE_INFLIGHT_MAX]; /* A ring. */
    uint32_t ops_first, ops_count;
    uint64_t points;
};

static struct store_mem *mem_of(const struct store *s)
{
    return CONTAINER_OF(s, struct store_mem, base);
}

static void op_perform(struct store_mem *m, const struct op *op, struct store_event *done);
static enum err_code commit(struct store_mem *m, const struct op *op, struct err *e);
static enum err_code rows(struct store_mem *m, const struct op *op, uint64_t after, struct err *e);
static void compact(struct store_mem_disk *d, uint64_t before);
static void op_free(struct op *op);

bool store_mem_step(struct store *s, struct instant now)
{
    struct store_mem *m = mem_of(s);
    uint32_t due = 0;
    m->now = now;
    while (due < m->ops_count && m->ops[(m->ops_first + due) % STORE_INFLIGHT_MAX].due.ns <= now.ns)
        due++;
    for (; due > 0; due--) { /* What the sink asks for meanwhile waits for the next step. */
        struct op op = m->ops[m->ops_first];
        m->ops_first = (m->ops_first + 1) % STORE_INFLIGHT_MAX;
        m->ops_count--;

        struct store_event done = {.type = STORE_DONE, .op = op.id};
        op_perform(m, &op, &done);
        op_free(&op);
        m->base.sink.post(m->base.sink.state, &done);
        if (op.type == OP_CLOSE) {
            mem_free(m);
            return false;
        }
    }
    return true;
}

static void op_perform(struct store_mem *m, const struct op *op, struct store_event *done)
{
    switch (op->type) {
    case OP_LOAD:
        done->fence = ++m->disk->fence;
        done->code = rows(m, op, 0, &done->err);
        break;
    case OP_FOLLOW:
        done->code = rows(m, op, op->argument, &done->err);
        break;
    case OP_COMMIT:
        done->code = commit(m, op, &done->err);
        break;
    case OP_COMPACT:
        compact(m->disk, op->argument);
        break;
    case OP_CLOSE:
        break;
    }
    done->revision = m->disk->head;
    done->oldest = m->disk->compacted;
}

/* Does trouble strike this commit? The one place that throws dice for it. */
static bool strikes(struct store_mem *m, enum store_mem_fault *out)
{
    m->points++;
    if (m->points == m->dials.trip_point) {
        *out = m->dials.trip_fault;
        return true;
    }
    for (uint32_t i = 0; i < STORE_MEM_FAULT__COUNT; i++) {
        uint32_t chance = m->dials.per_mille[i];
        if (chance > 0 && rng_below(&m->rng, 1000) < chance) {
            *out = (enum store_mem_fault)i;
            return true;
        }
    }
    return false;
}

static void disk_append(struct store_mem_disk *d, const struct store_write *w)
{
    CHECK(w->revision > d->head);
    if (d->log_count == d->log_size) {
        d->log_size = d->log_size == 0 ? 64 : d->log_size * 2;
        d->log = mem_resize(d->log, d->log_size * sizeof *d->log);
    }
    d->log[d->log_count++] = (struct change){.revision = w->revision,
                                             .before = w->before,
                                             .key = blob_ref(w->key),
                                             .value = blob_ref(w->value),
                                             .sealed = w->sealed};
    d->head = w->revision;
}

bool store_mem_disk_rot(struct store_mem_disk *d, struct str key,
                        struct blob *(*decay)(struct str value))
{
    for (uint32_t i = d->log_count; i-- > 0;) {
        struct change *c = &d->log[i];
        if (c->key == NULL || !str_eq(blob_str(c->key), key))
            continue;
        struct blob *was = c->value;
        c->value = decay(blob_str(was));
        blob_unref(was);
        return true;
    }
    return false;
}

static enum err_code commit(struct store_mem *m, const struct op *op, struct err *e)
{
    enum store_mem_fault fault = STORE_MEM_FAULT__COUNT;
    bool struck = strikes(m, &fault);

    if (op->argument != m->disk->fence)
        return err_set(e, ERR_CONFLICT, "another writer took over (fence %llu, ours %llu)",
                       (unsigned long long)m->disk->fence, (unsigned long long)op->argument);
    if (struck && fault == STORE_MEM_FULL)
        return err_set(e, ERR_LIMIT, "the disk is full");
    if (struck && fault == STORE_MEM_LOST)
        return err_set(e, ERR_UNAVAILABLE, "no answer");
    for (uint32_t i = 0; i < op->writes_count; i++)
        disk_append(m->disk, &op->writes[i]);
    if (struck)
        return err_set(e, ERR_UNAVAILABLE, "no answer");
    return ERR_OK;
}

static enum err_code rows(struct store_mem *m, const struct op *op, uint64_t after, struct err *e)
{
    const struct store_mem_disk *d = m->disk;
    uint32_t told = 0;
    if (op->type == OP_FOLLOW && after < d->compacted)
        return err_set(e, ERR_NOT_FOUND, "changes up to %llu are compacted",
                       (unsigned long long)d->compacted);
    for (uint32_t i = 0; i < d->log_count; i++) {
        const struct change *c = &d->log[i];
        if (c->key == NULL || c->revision <= after)
            continue;
        if (op->type == OP_LOAD && m->dials.load_breaks > 0 && told++ == m->dials.load_breaks) {
            m->dials.load_breaks = 0;
            return err_set(e, ERR_UNAVAILABLE, "a row cannot be read");
        }
        struct store_event row = {.type = STORE_ROW,
                                  .op = op->id,
                                  .revision = c->revision,
                                  .key = c->key,
                                  .value = c->value,
                                  .sealed = c->sealed};
        m->base.sink.post(m->base.sink.state, &row);
    }
    return ERR_OK;
}

static void change_drop(struct change *c)
{
    if (c->key == NULL)
        return;
    blob_unref(c->key);
    blob_unref(c->value);
    c->key = c->value = NULL;
}

static struct change *change_find(struct store_mem_disk *d, uint64_t revision)
{
    uint32_t low = 0, high = d->log_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (d->log[mid].revision < revision)
            low = mid + 1;
        else
            high = mid;
    }
    return low < d->log_count && d->log[low].revision == revision ? &d->log[low] : NULL;
}

static void compact(struct store_mem_disk *d, uint64_t before)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->log_count && d->log[i].revision <= before; i++) {
        struct change *c = &d->log[i], *old = change_find(d, c->before);
        if (old != NULL)
            change_drop(old);
        if (c->value == NULL)
            change_drop(c); /* What it deleted is gone, too: nothing is left to remember. */
    }
    for (uint32_t i = 0; i < d->log_count; i++)
        if (d->log[i].key != NULL)
            d->log[kept++] = d->log[i];
    d->log_count = kept;
    d->compacted = max_u64(d->compacted, min_u64(before, d->head));
}

static struct op *op_add(struct store *s, enum op_type type, uint64_t id, uint64_t argument)
{
    struct store_mem *m = mem_of(s);
    CHECK(m->ops_count < STORE_INFLIGHT_MAX);
    uint64_t spread = (uint64_t)(m->dials.latency_max.ns - m->dials.latency_min.ns) + 1;
    struct instant due = instant_add(m->now, m->dials.latency_min);

    due.ns += (int64_t)rng_below(&m->rng, spread);
    if (due.ns <= m->last_due.ns)
        due.ns = m->last_due.ns; /* In order: nobody overtakes. */
    m->last_due = due;
    struct op *op = &m->ops[(m->ops_first + m->ops_count++) % STORE_INFLIGHT_MAX];
    *op = (struct op){.type = type, .id = id, .argument = argument, .due = due};
    return op;
}

static void mem_load(struct store *s, uint64_t id)
{
    op_add(s, OP_LOAD, id, 0);
}

static void mem_follow(struct store *s, uint64_t id, uint64_t after)
{
    op_add(s, OP_FOLLOW, id, after);
}

static void mem_compact(struct store *s, uint64_t id, uint64_t before)
{
    op_add(s, OP_COMPACT, id, before);
}

static void mem_close(struct store *s, uint64_t id)
{
    op_add(s, OP_CLOSE, id, 0);
}

static void mem_commit(struct store *s, uint64_t id, uint64_t fence,
                       const struct store_write *writes, uint32_t writes_count)
{
    CHECK(writes_count > 0 && writes_count <= STORE_WRITES_MAX);
    struct op *op = op_add(s, OP_COMMIT, id, fence);
    op->writes = mem_zalloc(writes_count, sizeof *writes);
    op->writes_count = writes_count;
    for (uint32_t i = 0; i < writes_count; i++) {
        op->writes[i] = writes[i];
        blob_ref(writes[i].key);
        blob_ref(writes[i].value);
    }
}

static const struct store_ops mem_ops = {.load = mem_load,
                                         .commit = mem_commit,
                                         .follow = mem_follow,
                                         .compact = mem_compact,
                                         .close = mem_close};

struct store *store_mem_open(struct store_mem_disk *d, uint64_t seed, const struct store_sink *sink)
{
    struct store_mem *m = mem_zalloc(1, sizeof *m);
    m->base = (struct store){.ops = &mem_ops, .sink = *sink};
    m->disk = d;
    rng_seed(&m->rng, seed);
    return &m->base;
}

void store_mem_set_dials(struct store *s, const struct store_mem_dials *dials)
{
    CHECK(dials->latency_max.ns >= dials->latency_min.ns);
    mem_of(s)->dials = *dials;
}

struct instant store_mem_deadline(const struct store *s)
{
    const struct store_mem *m = mem_of(s);
    if (m->ops_count == 0)
        return (struct instant){0};
    int64_t due = m->ops[m->ops_first].due.ns;
    return (struct instant){due > 0 ? due : 1};
}

uint64_t store_mem_points(const struct store *s)
{
    return mem_of(s)->points;
}

static void op_free(struct op *op)
{
    for (uint32_t i = 0; i < op->writes_count; i++) {
        blob_unref(op->writes[i].key);
        blob_unref(op->writes[i].value);
    }
    mem_free(op->writes);
}

void store_mem_crash(struct store *s)
{
    struct store_mem *m = mem_of(s);
    for (; m->ops_count > 0; m->ops_count--) {
        op_free(&m->ops[m->ops_first]);
        m->ops_first = (m->ops_first + 1) % STORE_INFLIGHT_MAX;
    }
    mem_free(m);
}

struct store_mem_disk *store_mem_disk_new(void)
{
    return mem_zalloc(1, sizeof(struct store_mem_disk));
}

void store_mem_disk_free(struct store_mem_disk *d)
{
    if (d == NULL)
        return;
    for (uint32_t i = 0; i < d->log_count; i++)
        change_drop(&d->log[i]);
    mem_free(d->log);
    mem_free(d);
}

uint64_t store_mem_disk_head(const struct store_mem_disk *d)
{
    return d->head;
}

uint32_t store_mem_disk_changes(const struct store_mem_disk *d)
{
    return d->log_count;
}
