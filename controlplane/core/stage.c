/* SPDX-License-Identifier: Apache-2.0 */
/* Stages: objects that become durable together. The contract is in core_priv.h. */
#include "controlplane/core/writes_priv.h"

#include "base/check.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>

static void add_change(struct stage *s, struct str key, uint64_t revision, struct blob *value,
                       struct cow_entry *before);

struct stage *stage_begin(struct core *c)
{
    CHECK(c->writes->open_stage == NULL); /* Revisions must rise in the order of stage_end(). */
    struct stage *s = mem_zalloc(1, sizeof *s);
    s->core = c;
    if (c->reconciling.at != NULL) {
        s->origin = blob_new(c->reconciling);
        s->control = c->reconciling_control;
    }
    c->writes->open_stage = s;
    return s;
}

/* The entry's place in the tree, or a refusal when the key may not be written now. */
static bool is_writable(struct stage *s, struct str key)
{
    struct core *c = s->core;
    CHECK(s->count < STAGE_WRITES_MAX);
    CHECK(s->count == 0 || s->in_memory == memory_has(key)); /* One or the other. */
    s->in_memory = memory_has(key);
    if (stage_is_refused(s))
        return false;
    if (core_is_busy(c, key)) {
        stage_refuse(s, WRITE_BUSY, "%.*s is being written", STR_ARG(key));
        return false;
    }
    for (uint32_t i = 0; i < s->count; i++)
        CHECK(!str_eq(cow_entry_key(s->at[i].now), key)); /* Once in a stage. */
    return true;
}

static bool may_write(struct stage *s, struct str key, struct cow_entry **out_before)
{
    if (!is_writable(s, key))
        return false;
    *out_before = core_find(s->core, key);
    return true;
}

/* What was written there as a stored object's bytes, or a refusal. */
static bool take_scratch(struct stage *s, struct blob **out)
{
    struct buf *b = &s->core->writes->scratch;
    if (buf_status(b, NULL) != ERR_OK) {
        stage_refuse(s, WRITE_TOO_LARGE, "the object needs more than %u bytes once stored",
                     (unsigned)STORE_VALUE_MAX);
        b->overflow = false;
        return false;
    }
    *out = blob_new(buf_str(b));
    return true;
}

/* Where the next number comes from. */
static uint64_t *revisions(struct stage *s)
{
    return s->in_memory ? &s->core->memory->next_revision : &s->core->writes->next_revision;
}

struct buf *stage_put_begin(struct stage *s, struct str key, uint64_t *out_revision)
{
    struct core_writes *w = s->core->writes;
    if (!may_write(s, key, &s->before))
        return NULL;
    *out_revision = s->dry_run ? 0 : *revisions(s);
    buf_clear(&w->scratch);
    return &w->scratch;
}

void stage_put_end(struct stage *s, struct str key)
{
    struct blob *value;
    if (take_scratch(s, &value))
        add_change(s, key, s->dry_run ? 0 : *revisions(s), value, s->before);
}

void stage_put(struct stage *s, struct str key, struct str object, const struct meta_edit *edit)
{
    stage_put_over(s, key, core_find(s->core, key), object, edit);
}

void stage_put_over(struct stage *s, struct str key, struct cow_entry *before, struct str object,
                    const struct meta_edit *edit)
{
    struct blob *value;
    if (!is_writable(s, key))
        return;
    uint64_t revision = s->dry_run ? 0 : *revisions(s);
    if (!stage_encode(s, object, edit, revision, &value))
        return;
    add_change(s, key, revision, value, before);
}

void stage_remove(struct stage *s, struct str key)
{
    struct cow_entry *before;
    struct blob *value;

    if (!may_write(s, key, &before) || before == NULL)
        return;
    uint64_t revision = s->dry_run ? 0 : *revisions(s);
    struct str object = blob_str(before->value);
    if (s->dry_run || !stage_encode(s, object, NULL, revision, &value)) {
        s->result = WRITE_OK; /* Even what does not decode can be deleted. */
        value = blob_ref(before->value);
    }
    add_change(s, key, revision, value, before);
    s->at[s->count - 1].deleted = true;
}

bool stage_encode(struct stage *s, struct str object, const struct meta_edit *edit,
                  uint64_t revision, struct blob **out)
{
    struct buf *b = &s->core->writes->scratch;
    struct meta_edit with = edit == NULL ? (struct meta_edit){0} : *edit;
    struct err e;

    with.revision = revision;
    buf_clear(b);
    if (meta_write(object, &with, b, &e) != ERR_OK) {
        stage_refuse(s, WRITE_INVALID, "%s", e.text);
        return false;
    }
    return take_scratch(s, out);
}

static void add_change(struct stage *s, struct str key, uint64_t revision, struct blob *value,
                       struct cow_entry *before)
{
    struct index_key parts;
    const struct core_rule *rule =
        index_key_parse(key, &parts) ? core_rule(s->core, parts.group, parts.plural) : NULL;
    struct stage_change *change = &s->at[s->count++];

    if (!s->dry_run)
        ++*revisions(s);
    *change = (struct stage_change){.now = cow_entry_new(key, revision, value),
                                    .before = cow_entry_ref(before)};
    if (rule != NULL) {
        change->sealed = rule->sealed;
        change->topic = rule->topic == NULL ? 0 : rule->topic(s->core, change->now);
    }
}

void stage_refuse(struct stage *s, enum write_result result, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (stage_is_refused(s))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    s->result = result;
    s->text = arena_str(&s->core->turn, str_of(text));
}

void stage_keep_nothing(struct stage *s)
{
    s->dry_run = true;
}

bool stage_is_refused(const struct stage *s)
{
    return s->result != WRITE_OK;
}

void stage_on_settled(struct stage *s, void (*settled)(struct core *c, uint64_t name, bool durable),
                      uint64_t name)
{
    CHECK(s->settled_count < STAGE_SETTLED_MAX);
    s->settled[s->settled_count].settled = settled;
    s->settled[s->settled_count++].name = name;
}

bool stage_end(struct stage *s)
{
    CHECK(s->core->writes->open_stage == s);
    s->core->writes->open_stage = NULL;
    bool ok = !stage_is_refused(s);
    if (ok && s->count > 0 && !s->dry_run && s->in_memory) {
        memory_settle(s->core, s);
        return true;
    }
    if (ok && s->count > 0 && !s->dry_run) {
        commit_add(s->core, s);
        return true;
    }
    stage_settle(s, false);
    stage_answer(s, s->result, s->text);
    stage_free(s);
    return ok;
}

void stage_settle(struct stage *s, bool durable)
{
    for (uint32_t i = 0; i < s->settled_count; i++)
        s->settled[i].settled(s->core, s->settled[i].name, durable);
    s->settled_count = 0;
}

void stage_answer(struct stage *s, enum write_result result, struct str text)
{
    if (!s->has_client)
        return;
    s->core->writes->ops_count--;
    core_emit(s->core, &(struct core_effect){
                           .type = FX_REPLY,
                           .op = s->op,
                           .result = result,
                           .object = result == WRITE_OK ? s->reply : NULL,
                           .revision = s->reply_revision,
                           .gone = s->gone,
                           .text = text.at == NULL ? "" : arena_dup(&s->core->turn, text)});
}

void stage_free(struct stage *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        cow_entry_unref(s->at[i].now);
        cow_entry_unref(s->at[i].before);
    }
    blob_unref(s->reply);
    blob_unref(s->origin);
    mem_free(s);
}
