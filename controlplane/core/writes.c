/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's write: what only the one writer can check and stamp. Facts about metadata and deletion:
 * kubernetes.io, API concepts; k8s.io/apiserver, registry/generic.
 */
#include "controlplane/core/writes_priv.h"

#include "base/check.h"
#include "base/mem.h"
#include <stdio.h>

enum {
    BUSY_MAX = 1 << 20,
    GENERATE_TRIES = 8,
    GENERATE_BASE_MAX = 63 - RNG_SUFFIX_LEN, /* Kubernetes cuts the prefix there. */
};

static void perform(struct core *c, const struct write_request *request, struct stage *s);
static void create(struct stage *s, struct draft *d);
static void replace(struct stage *s, struct draft *d);
static void remove_object(struct stage *s, struct draft *d);

struct core_writes *writes_new(void)
{
    struct core_writes *w = mem_zalloc(1, sizeof *w);
    map_init(&w->busy, BUSY_MAX);
    buf_init(&w->scratch, STORE_VALUE_MAX);
    w->next_op = w->next_revision = 1;
    return w;
}

/* ---- Waiting ---- */

static void refuse(struct core *c, uint64_t op, enum write_result result, const char *text)
{
    core_emit(c, &(struct core_effect){.type = FX_REPLY, .op = op, .result = result, .text = text});
}

static struct write_op *op_new(uint64_t op, const struct write_request *r)
{
    size_t text = r->key.len + r->generate.len + r->if_uid.len + r->propagation.len +
                  r->spends.len + r->spends_uid.len;
    struct write_op *copy = mem_alloc(sizeof *copy + text);
    char *at = copy->text;
    copy->next = NULL;
    copy->op = op;
    copy->request = *r;
    copy->request.key = str_keep(&at, r->key);
    copy->request.generate = str_keep(&at, r->generate);
    copy->request.if_uid = str_keep(&at, r->if_uid);
    copy->request.propagation = str_keep(&at, r->propagation);
    copy->request.spends = str_keep(&at, r->spends);
    copy->request.spends_uid = str_keep(&at, r->spends_uid);
    blob_ref(copy->request.object);
    return copy;
}

static void op_free(struct write_op *op)
{
    blob_unref(op->request.object);
    mem_free(op);
}

static void op_append(struct write_op **first, struct write_op **last, struct write_op *op)
{
    op->next = NULL;
    if (*last == NULL)
        *first = op;
    else
        (*last)->next = op;
    *last = op;
}

void writes_ready(struct core_writes *w, struct write_op *op)
{
    op_append(&w->ready_first, &w->ready_last, op);
}

static struct stage *stage_for(struct core *c, uint64_t op, const struct write_request *request)
{
    struct stage *s = stage_begin(c);
    s->has_client = true;
    s->op = op;
    s->dry_run = request->dry_run;
    return s;
}

void writes_event(struct core *c, uint64_t op, const struct write_request *request)
{
    struct core_writes *w = c->writes;
    if (w->load == LOAD_DEPOSED) {
        refuse(c, op, WRITE_UNAVAILABLE, "another control plane took over");
        return;
    }
    if (!c->is_loaded) {
        refuse(c, op, WRITE_UNAVAILABLE, "starting: the store is not loaded yet");
        return;
    }
    if (w->ops_count == CORE_OPS_MAX) {
        refuse(c, op, WRITE_BUSY, "too many writes at once; slow down");
        return;
    }
    w->ops_count++;
    struct stage_change *b = map_find(&w->busy, request->key);
    if (b != NULL)
        op_append(&b->waiters_first, &b->waiters_last, op_new(op, request));
    else if (w->ready_first != NULL || !commit_has_room(c))
        writes_ready(w, op_new(op, request));
    else
        perform(c, request, stage_for(c, op, request));
}

static struct write_op *ready_take(struct core_writes *w)
{
    struct write_op *op = w->ready_first;
    w->ready_first = op->next;
    if (w->ready_first == NULL)
        w->ready_last = NULL;
    return op;
}

void writes_run_ready(struct core *c)
{
    struct core_writes *w = c->writes;
    while (w->ready_first != NULL && (commit_has_room(c) || w->load == LOAD_DEPOSED)) {
        struct write_op *op = ready_take(w);
        struct stage_change *b = map_find(&w->busy, op->request.key);
        if (w->load == LOAD_DEPOSED) {
            w->ops_count--;
            refuse(c, op->op, WRITE_UNAVAILABLE, "another control plane took over");
        } else if (b != NULL) {
            op_append(&b->waiters_first, &b->waiters_last, op);
            continue;
        } else {
            perform(c, &op->request, stage_for(c, op->op, &op->request));
        }
        op_free(op);
    }
}

void writes_free(struct core *c)
{
    struct core_writes *w = c->writes;
    commit_free(c); /* Lets all that waited for a key become ready. */
    while (w->ready_first != NULL)
        op_free(ready_take(w));
    map_fini(&w->busy);
    buf_free(&w->scratch);
    mem_free(w);
}

/* ---- Deciding ---- */

static void decide(const struct write_request *request, struct stage *s)
{
    struct core *c = s->core;
    struct draft d = {.request = request, .key = request->key};
    if (!index_key_parse(request->key, &d.at)) {
        stage_refuse(s, WRITE_INVALID, "%.*s is no key", STR_ARG(request->key));
    } else if (request->verb == WRITE_CREATE) {
        create(s, &d);
    } else {
        d.before = core_find(c, d.key);
        if (d.before == NULL)
            stage_refuse(s, WRITE_NOT_FOUND, "%.*s is not there", STR_ARG(d.key));
        else if (request->if_revision != 0 && request->if_revision != d.before->stamp)
            stage_refuse(s, WRITE_STALE, "at revision %llu, not %llu",
                         (unsigned long long)d.before->stamp,
                         (unsigned long long)request->if_revision);
        else if (request->verb == WRITE_REPLACE)
            replace(s, &d);
        else
            remove_object(s, &d);
    }
}

static void perform(struct core *c, const struct write_request *request, struct stage *s)
{
    struct core_part part;
    core_part_begin(c, &part);
    decide(request, s);
    stage_end(s);
    core_part_end(c, &part);
}

static bool read_meta(struct stage *s, struct str object, struct meta *out)
{
    struct err e;
    if (meta_read(object, out, &e) == ERR_OK)
        return true;
    stage_refuse(s, WRITE_INVALID, "%s", e.text);
    return false;
}

static const struct core_rule *rule_of(struct core *c, const struct draft *d)
{
    return core_rule(c, d->at.group, d->at.plural);
}

static void reply_with(struct stage *s, struct blob *object, uint64_t revision)
{
    s->reply = object;
    s->reply_revision = revision;
}

static void stage_draft(struct stage *s, struct draft *d)
{
    if (stage_is_refused(s)) /* By the kind's rule. */
        return;
    stage_put_over(s, d->key, d->before, d->object, &d->edit);
    if (!stage_is_refused(s)) {
        const struct cow_entry *now = s->at[s->count - 1].now;
        reply_with(s, blob_ref(now->value), now->stamp);
    }
}

/* What is full already may still be written, if it does not grow. */
static void check_room(struct stage *s, const struct core_rule *rule, const struct draft *d)
{
    size_t was = d->before == NULL ? 0 : blob_str(d->before->value).len;
    if (s->has_client && rule != NULL && rule->room > 0 && d->object.len > was &&
        d->object.len > STORE_VALUE_MAX - rule->room)
        stage_refuse(s, WRITE_TOO_LARGE, "the object needs more than %u bytes",
                     (unsigned)(STORE_VALUE_MAX - rule->room));
}

/* ---- Create ---- */

static bool namespace_takes(struct stage *s, struct str name)
{
    struct meta m;
    if (name.len == 0)
        return true; /* Cluster-scoped. */
    struct cow_entry *e = core_find(s->core, core_key(s->core, "", "namespaces", STR(""), name));
    if (e == NULL) {
        stage_refuse(s, WRITE_NO_NAMESPACE, "namespaces \"%.*s\" not found", STR_ARG(name));
        return false;
    }
    if (!read_meta(s, blob_str(e->value), &m))
        return false;
    if (m.is_deleting)
        stage_refuse(
            s, WRITE_TERMINATING,
            "unable to create new content in namespace %.*s because it is being terminated",
            STR_ARG(name));
    return !m.is_deleting;
}

/* A name nobody has. Retried like Kubernetes does since 1.31. */
static bool generate_name(struct stage *s, struct draft *d)
{
    struct core *c = s->core;
    char suffix[RNG_SUFFIX_LEN + 1], text[INDEX_KEY_MAX + 1];
    struct str base = str_slice(d->request->generate, 0, GENERATE_BASE_MAX);
    for (uint32_t i = 0; i < GENERATE_TRIES; i++) {
        rng_suffix(&c->rng, suffix);
        const struct str parts[] = {base, str_of(suffix)};
        d->at.name = arena_join(&c->turn, parts, COUNT_OF(parts));
        struct str key = str_from(text, index_key_print(&d->at, text));
        if (key.len == 0) {
            stage_refuse(s, WRITE_INVALID, "the name is too long");
            return false;
        }
        if (core_find(c, key) == NULL && !core_is_busy(c, key)) {
            d->key = arena_str(&c->turn, key);
            d->edit.name = d->at.name;
            return true;
        }
    }
    stage_refuse(s, WRITE_EXISTS, "no free name was found for %.*s", STR_ARG(base));
    return false;
}

static bool is_free(struct stage *s, struct draft *d)
{
    struct meta m;
    struct cow_entry *e = core_find(s->core, d->key);
    if (e == NULL)
        return true;
    bool leaving = meta_read(blob_str(e->value), &m, NULL) == ERR_OK && m.is_deleting;
    stage_refuse(s, WRITE_EXISTS, leaving ? "object is being deleted" : "already exists");
    return false;
}

/* What the new object is given for goes with it: neither is ever seen without the other's change. */
static void spend(struct stage *s, const struct write_request *r)
{
    struct meta m;
    if (r->spends.len == 0 || stage_is_refused(s))
        return;
    struct cow_entry *e = core_find(s->core, r->spends);
    if (e == NULL || !read_meta(s, blob_str(e->value), &m))
        stage_refuse(s, WRITE_NOT_FOUND, "%.*s is not there", STR_ARG(r->spends));
    else if (!str_eq(m.uid, r->spends_uid))
        stage_refuse(s, WRITE_OTHER_UID, "uid is %.*s", STR_ARG(m.uid));
    else
        stage_remove(s, r->spends);
}

static void create(struct stage *s, struct draft *d)
{
    struct core *c = s->core;
    const struct core_rule *rule = rule_of(s->core, d);
    char uid[RNG_UUID_LEN + 1];

    d->object = blob_str(d->request->object);
    if (!read_meta(s, d->object, &d->meta) || !namespace_takes(s, d->at.namespace))
        return;
    if (d->at.name.len == 0 ? !generate_name(s, d) : !is_free(s, d))
        return;
    rng_uuid(&c->rng, uid);
    d->edit.uid = arena_str(&c->turn, str_of(uid));
    d->edit.set_created = true;
    d->edit.created_s = wall_seconds(c->wall);
    d->edit.clear_deleted = true;
    check_room(s, rule, d);
    if (!stage_is_refused(s))
        c->above->admit(c, s, d);
    if (rule != NULL && rule->create != NULL && !stage_is_refused(s))
        rule->create(c, s, d);
    stage_draft(s, d);
    spend(s, d->request);
}

/* ---- Replace ---- */

/* What a client may not change is what it was. */
static void keep_identity(struct draft *d, const struct meta *was)
{
    if (was->uid.at != NULL)
        d->edit.uid = was->uid;
    d->edit.set_created = was->is_created;
    d->edit.created_s = was->created_s;
    d->edit.set_deleted = was->is_deleting;
    d->edit.clear_deleted = !was->is_deleting;
    d->edit.deleted_s = was->deleted_s;
    d->edit.grace_s = was->grace_s;
}

static void go(struct stage *s, struct draft *d)
{
    const struct core_rule *rule = rule_of(s->core, d);
    if (rule != NULL && rule->gone != NULL)
        rule->gone(s->core, s, d);
    s->gone = true;
    stage_remove(s, d->key);
}

static void replace(struct stage *s, struct draft *d)
{
    struct core *c = s->core;
    struct meta was;
    struct blob *same;
    const struct core_rule *rule = rule_of(s->core, d);

    d->object = blob_str(d->request->object);
    if (!read_meta(s, d->object, &d->meta) || !read_meta(s, blob_str(d->before->value), &was))
        return;
    if (d->request->if_uid.len > 0 && !str_eq(d->request->if_uid, was.uid)) {
        stage_refuse(s, WRITE_OTHER_UID, "uid is %.*s", STR_ARG(was.uid));
        return;
    }
    keep_identity(d, &was);
    check_room(s, rule, d);
    if (rule != NULL && rule->replace != NULL && !stage_is_refused(s))
        rule->replace(c, s, d);
    if (stage_is_refused(s) || !stage_encode(s, d->object, &d->edit, d->before->stamp, &same))
        return;
    reply_with(s, same, d->before->stamp);
    if (was.is_deleting && was.grace_s == 0 && d->meta.finalizers_count == 0 && !d->hold) {
        go(s, d);
    } else if (!str_eq(blob_str(same), blob_str(d->before->value))) {
        blob_unref(s->reply);
        s->reply = NULL;
        stage_draft(s, d);
    } /* Otherwise nothing changed: no write, no event, the same revision. */
}

/* ---- Delete ---- */

static uint32_t has(const struct meta *m, struct str finalizer)
{
    return finalizer.at != NULL && meta_has_finalizer(m, finalizer);
}

/* The policy is carried out by finalizers, which collector.c takes away when its work is done. Returns how
 * many finalizers there will be. */
static uint32_t apply_policy(struct draft *d)
{
    const struct str foreground = STR("foregroundDeletion"), orphan = STR("orphan");
    struct str policy = d->request->propagation;
    if (str_is(policy, "Foreground")) {
        d->edit.add_finalizer = foreground;
        d->edit.drop_finalizer = orphan;
    } else if (str_is(policy, "Orphan")) {
        d->edit.add_finalizer = orphan;
        d->edit.drop_finalizer = foreground;
    } else if (str_is(policy, "Background")) {
        d->edit.drop_finalizer = foreground;
        d->edit.drop_finalizer_too = orphan;
    }
    uint32_t added = d->edit.add_finalizer.at != NULL && !has(&d->meta, d->edit.add_finalizer);
    return d->meta.finalizers_count + added - has(&d->meta, d->edit.drop_finalizer) -
           has(&d->meta, d->edit.drop_finalizer_too);
}

/* Deletion begins, or its time gets shorter; a longer time changes nothing. */
static void mark_deleted(struct stage *s, struct draft *d)
{
    const struct meta *m = &d->meta;
    bool finalizers_change = (d->edit.add_finalizer.at != NULL && !has(m, d->edit.add_finalizer)) ||
                             has(m, d->edit.drop_finalizer) || has(m, d->edit.drop_finalizer_too);
    if (m->is_deleting && d->grace_s >= m->grace_s && !finalizers_change &&
        d->object.at == d->before->value->at) {
        reply_with(s, blob_ref(d->before->value), d->before->stamp);
        return;
    }
    int64_t begun_s = m->is_deleting ? m->deleted_s - m->grace_s : wall_seconds(s->core->wall);
    d->edit.set_deleted = true;
    d->edit.grace_s = m->is_deleting && m->grace_s < d->grace_s ? m->grace_s : d->grace_s;
    d->edit.deleted_s = begun_s + d->edit.grace_s;
    if (!m->is_deleting && m->generation > 0)
        d->edit.generation = m->generation + 1;
    stage_draft(s, d);
}

static void remove_object(struct stage *s, struct draft *d)
{
    const struct core_rule *rule = rule_of(s->core, d);
    d->object = blob_str(d->before->value);
    if (meta_read(d->object, &d->meta, NULL) != ERR_OK) { /* Poison: deleting is the way out. */
        reply_with(s, blob_ref(d->before->value), d->before->stamp);
        s->gone = true;
        stage_remove(s, d->key);
        return;
    }
    if (d->request->if_uid.len > 0 && !str_eq(d->request->if_uid, d->meta.uid)) {
        stage_refuse(s, WRITE_OTHER_UID, "uid is %.*s", STR_ARG(d->meta.uid));
        return;
    }
    if (rule != NULL && rule->remove != NULL)
        rule->remove(s->core, s, d);
    if (stage_is_refused(s))
        return;
    uint32_t finalizers = apply_policy(d);
    if (finalizers == 0 && d->grace_s <= 0 && !d->hold) {
        reply_with(s, blob_ref(d->before->value), d->before->stamp);
        go(s, d);
    } else {
        mark_deleted(s, d);
    }
}

bool core_delete(struct core *c, struct str key, struct str uid, int64_t grace_s,
                 const char *propagation)
{
    if (core_is_busy(c, key))
        return false;
    struct write_request request = {.verb = WRITE_DELETE,
                                    .key = key,
                                    .if_uid = uid,
                                    .grace_seconds = grace_s,
                                    .propagation = str_of(propagation)};
    perform(c, &request, stage_begin(c));
    return true;
}

bool core_replace(struct core *c, struct str key, struct str object, const struct meta_edit *edit)
{
    struct buf b;
    struct cow_entry *e = core_find(c, key);
    struct meta_edit with = edit == NULL ? (struct meta_edit){0} : *edit;
    if (core_is_busy(c, key))
        return false;
    if (e == NULL)
        return true;
    with.revision = e->stamp;
    buf_init(&b, STORE_VALUE_MAX);
    if (meta_write(object.at == NULL ? blob_str(e->value) : object, &with, &b, NULL) == ERR_OK &&
        buf_status(&b, NULL) == ERR_OK) {
        struct blob *bytes = blob_new(buf_str(&b));
        struct write_request request = {.verb = WRITE_REPLACE, .key = key, .object = bytes};
        perform(c, &request, stage_begin(c));
        blob_unref(bytes);
    }
    buf_free(&b);
    return true;
}
