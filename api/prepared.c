/* SPDX-License-Identifier: Apache-2.0 */
#include "api/prepared.h"

#include "api/meta.h"
#include "api/transcode.h"
#include "base/jsonread.h"
#include "base/mem.h"
#include "base/memo.h"

/* What annotations of ours ask of the hardware is held against the spec (policy.h, parts.h). */
static const struct str OURS = STR("baton.dev/");

enum { REST_MAX = 4 << 20 }; /* A body has less. */

struct prepared {
    const struct schema_kind *pod;
    struct memo *memo;
};

/* ---- specs ---- */

static void spec_free(void *value)
{
    mem_free(value);
}

struct prepared *prepared_new(void)
{
    struct prepared *p = mem_zalloc(1, sizeof *p);
    p->pod = schema_kind(STR(""), STR("v1"), STR("Pod"));
    p->memo = memo_new(
        &(struct memo_options){PREPARED_MAX / MEMO_WAYS, PREPARED_TEXT_MAX, str_hash, spec_free});
    return p;
}

void prepared_clear(struct prepared *p)
{
    memo_clear(p->memo);
}

void prepared_free(struct prepared *p)
{
    if (p == NULL)
        return;
    memo_free(p->memo);
    mem_free(p);
}

/* ---- documents ---- */

/* A JSON document around the value of its spec. */
struct pieces {
    struct str before, spec, behind;
};

static bool take_apart(struct str json, struct arena *a, struct pieces *out)
{
    struct json_reader r;
    struct str key = STR("");
    json_read_text(&r, a, json);
    if (!json_read_open(&r, JSON_OBJECT))
        return false;
    while (json_read_key(&r, &key) && !str_is(key, "spec"))
        if (!json_read_skip(&r))
            return false;
    if (r.failed || !str_is(key, "spec") || !json_read_outline(&r, &out->spec))
        return false;
    const char *end = out->spec.at + out->spec.len;
    out->before = str_from(json.at, (size_t)(out->spec.at - json.at));
    out->behind = str_from(end, (size_t)(json.at + json.len - end));
    return out->spec.len <= PREPARED_TEXT_MAX;
}

/* The spec's text was a value once, so the rest around another value is a document when this is one. A second spec in it
 * is still a duplicate, and that is a note. */
static bool read_rest(const struct prepared *p, const struct pieces *from, struct arena *a,
                      struct str *out_raw)
{
    const struct str parts[] = {from->before, STR("null"), from->behind};
    struct transcode_notes *notes = arena_alloc(a, sizeof *notes);
    struct transcode_head head = {0};
    struct str json = arena_join(a, parts, COUNT_OF(parts));
    struct buf raw;
    if (notes == NULL || json.at == NULL)
        return false;
    buf_init(&raw, REST_MAX);
    (void)buf_reserve(&raw, json.len);
    bool done = transcode_from_json(p->pod->message, json, a, notes, &head, &raw, NULL) == ERR_OK &&
                notes->count == 0 && str_eq(head.kind, p->pod->kind) &&
                str_eq(head.api_version, p->pod->api_version);
    *out_raw = done ? arena_str(a, raw.len == 0 ? STR("") : buf_str(&raw)) : STR("");
    buf_free(&raw);
    return done && out_raw->at != NULL;
}

const struct prepared_spec *prepared_read(struct prepared *p, struct str json, struct arena *a,
                                          struct str *out_raw, struct str *out_again)
{
    struct pieces pieces;
    *out_again = STR("");
    if (!take_apart(json, a, &pieces))
        return NULL;
    struct memo_found found = memo_find(p->memo, pieces.spec);
    if (found.is_again || found.value != NULL)
        *out_again = pieces.spec;
    return found.value != NULL && read_rest(p, &pieces, a, out_raw) ? found.value : NULL;
}

/* ---- what a spec depends on ---- */

static bool has_ours(struct str raw)
{
    return memmem(raw.at, raw.len, OURS.at, OURS.len) != NULL;
}

static bool is_same_class(const struct kind_priority *a, const struct kind_priority *b)
{
    return a->is_known == b->is_known &&
           (!a->is_known || (a->value == b->value && str_eq(a->name, b->name) &&
                             str_eq(a->preemption_policy, b->preemption_policy)));
}

bool prepared_fits(const struct prepared_spec *s, struct str raw,
                   const struct kind_priority *priority)
{
    return is_same_class(&s->priority, priority) && !has_ours(raw);
}

/* Texts behind one another in the memory behind the struct. */
static struct prepared_spec *spec_new(const struct prepared_spec *from)
{
    size_t len = from->behind.len + from->account.len + from->class_name.len +
                 from->priority.name.len + from->priority.preemption_policy.len;
    struct prepared_spec *to = mem_alloc(sizeof *to + len);
    char *room = (char *)(to + 1);
    *to = (struct prepared_spec){.behind = str_keep(&room, from->behind),
                                 .account = str_keep(&room, from->account),
                                 .class_name = str_keep(&room, from->class_name),
                                 .priority = from->priority};
    to->priority.name = str_keep(&room, from->priority.name);
    to->priority.preemption_policy = str_keep(&room, from->priority.preemption_policy);
    return to;
}

/* The status of a pod with gates tells when it was made; who has remarks is told them each time. */
void prepared_keep(struct prepared *p, struct str spec, struct str class_name,
                   const struct kind_call *call, const Core__Pod *pod, struct str raw)
{
    size_t meta = meta_partial(raw).len;
    struct prepared_spec kept = {.behind = str_slice(raw, meta, raw.len),
                                 .account = kind_str(pod->spec->service_account_name),
                                 .class_name = class_name,
                                 .priority = call->priority};
    if (call->write != KIND_CREATE || call->limits_count > 0 || call->warnings_count > 0 ||
        call->causes.count > 0 || pod->spec->n_scheduling_gates > 0 ||
        kept.behind.len > PREPARED_BYTES_MAX || has_ours(str_slice(raw, 0, meta)))
        return;
    (void)memo_put(p->memo, spec, spec_new(&kept));
}
