/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepared.h -- a new pod prepared both ways, for tests: the plain way, and with what was kept of specs (api/prepared.h). As
 * controlplane/serve/rest_write.c does it. Everything in the arena.
 */
#ifndef TESTLIB_PREPARED_H
#define TESTLIB_PREPARED_H

#include "api/prepared.h"
#include "api/transcode.h"
#include "base/check.h"

struct outcome {
    enum { UNREAD, REFUSED, STORED } what;
    struct str raw;   /* STORED */
    struct str cause; /* REFUSED: the first one. */
    struct str account;
    uint32_t remarks;
    bool was_known;
};

/* With what a connection thread finds of other objects. */
struct circumstances {
    struct kind_priority class;
    const Core__LimitRange *const *limits;
    size_t limits_count;
};

static inline struct outcome judged(struct arena *a, struct kind_call *call, Core__Pod *pod,
                                    const struct circumstances *here)
{
    struct outcome out = {.what = REFUSED};
    kind_meta(&pod->base, a)->namespace_ = (char *)(uintptr_t) "default";
    call->priority = here->class;
    call->limits = here->limits;
    call->limits_count = here->limits_count;
    if (kind_prepare(kind_find(STR(""), STR("pods")), call, &pod->base, NULL))
        out.what = STORED;
    else if (call->causes.first != NULL)
        out.cause = call->causes.first->message;
    return out;
}

static inline void pack(struct arena *a, const Core__Pod *pod, struct str behind,
                        struct outcome *out)
{
    struct buf raw;
    buf_init(&raw, 4 << 20);
    if (transcode_pack(schema_kind(STR(""), STR("v1"), STR("Pod"))->message, &pod->base, a, &raw,
                       NULL) != ERR_OK)
        out->what = UNREAD;
    buf_add(&raw, behind);
    out->raw = arena_str(a, buf_str(&raw));
    buf_free(&raw);
}

/* again: kept under that text, where it may be. */
static inline struct outcome prepare_plainly(struct arena *a, struct str json,
                                             const struct circumstances *here, struct prepared *p,
                                             struct str again)
{
    const struct kind *kind = kind_find(STR(""), STR("pods"));
    const struct schema_message *m = kind_schema(kind)->message;
    struct transcode_notes *notes = arena_alloc(a, sizeof *notes);
    struct transcode_head head = {0};
    struct outcome out = {.what = UNREAD};
    struct kind_call call;
    ProtobufCMessage *object;
    struct buf raw;
    buf_init(&raw, 4 << 20);
    bool is_read = transcode_from_json(m, json, a, notes, &head, &raw, NULL) == ERR_OK &&
                   transcode_unpack(m, arena_str(a, buf_str(&raw)), a, &object, NULL) == ERR_OK;
    buf_free(&raw);
    if (!is_read)
        return out;
    kind_call_init(&call, a, KIND_CREATE, (struct wall){1700000000ll * 1000000000}, 1);
    Core__Pod *pod = (Core__Pod *)object;
    struct str class = kind_str(pod->spec == NULL ? NULL : pod->spec->priority_class_name);
    out = judged(a, &call, pod, here);
    if (out.what == STORED)
        pack(a, pod, STR(""), &out);
    if (out.what != STORED)
        return out;
    kind_remark(kind, &call, out.raw, STR(""));
    out.remarks = notes->count + call.warnings_count;
    out.account = kind_str(pod->spec->service_account_name);
    if (again.len > 0 && out.remarks == 0)
        prepared_keep(p, again, class, &call, pod, out.raw);
    return out;
}

static inline struct outcome prepare_known(struct arena *a, struct str json,
                                           const struct circumstances *here, struct prepared *p)
{
    struct kind_call call;
    struct str raw, again;
    ProtobufCMessage *object;
    const struct prepared_spec *s = prepared_read(p, json, a, &raw, &again);
    if (s == NULL || here->limits_count > 0 || !prepared_fits(s, raw, &here->class))
        return prepare_plainly(a, json, here, p, again);
    CHECK(transcode_unpack(schema_kind(STR(""), STR("v1"), STR("Pod"))->message, raw, a, &object,
                           NULL) == ERR_OK);
    kind_call_init(&call, a, KIND_CREATE, (struct wall){1700000000ll * 1000000000}, 1);
    call.spec_is_prepared = true;
    struct outcome out = judged(a, &call, (Core__Pod *)object, here);
    if (out.what == STORED)
        pack(a, (const Core__Pod *)object, s->behind, &out);
    out.account = out.what == STORED ? s->account : (struct str){NULL, 0};
    out.remarks = call.warnings_count;
    out.was_known = true;
    return out;
}

static inline void check_outcomes(const struct outcome *is, const struct outcome *should)
{
    CHECK(is->what == should->what);
    CHECK(str_eq(is->raw, should->raw));
    CHECK(str_eq(is->cause, should->cause));
    CHECK(str_eq(is->account, should->account));
    CHECK(is->remarks == should->remarks);
}

#endif /* TESTLIB_PREPARED_H */
