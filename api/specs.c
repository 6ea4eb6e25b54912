/* SPDX-License-Identifier: Apache-2.0 */
#include "api/specs.h"

#include "api/transcode.h"
#include "api/typed.h"
#include "base/mem.h"
#include "base/memo.h"
#include "base/wire.h"

/* Kubernetes' numbers (core/v1, Pod and PodSpec). */
enum { POD_SPEC = 2, SPEC_NODE_NAME = 10 };

struct spec {
    struct arena arena;
    const Core__PodSpec *opened;
};

struct specs {
    const struct schema_message *pod;
    struct memo *memo; /* By a spec's bytes without nodeName. */
    uint64_t found;
};

static uint64_t hash_of(struct str s)
{
    uint64_t h = 0, word;
    size_t i = 0;
    for (; i + sizeof word <= s.len; i += sizeof word) {
        memcpy(&word, s.at + i, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (; i < s.len; i++)
        h = (h ^ (uint8_t)s.at[i]) * 0x100000001b3u;
    h = (h ^ h >> 29) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static void spec_free(void *value)
{
    struct spec *spec = value;
    arena_free(&spec->arena);
    mem_free(spec);
}

struct specs *specs_new(void)
{
    struct specs *s = mem_zalloc(1, sizeof *s);
    s->pod = schema_message(str_of(core__pod__descriptor.name));
    s->memo = memo_new(
        &(struct memo_options){SPECS_MAX / MEMO_WAYS, SPECS_BYTES_MAX, hash_of, spec_free});
    specs_turn(s);
    return s;
}

void specs_free(struct specs *s)
{
    memo_free(s->memo);
    mem_free(s);
}

void specs_turn(struct specs *s)
{
    memo_turn(s->memo);
}

uint64_t specs_found(const struct specs *s)
{
    return s->found;
}

/* ---- a pod in pieces ---- */

struct pieces {
    struct str before, behind; /* Of the pod, around its spec. */
    struct str spec[2], node;  /* Of the spec, around its nodeName. */
    bool has_node;
};

static struct str between(const uint8_t *from, const uint8_t *to)
{
    return str_from(from, (size_t)(to - from));
}

/* Where the one field of that number and type WIRE_BYTES lies: between *out_begin and *out_end. 0, 1, or 2 for more
 * or for what does not decode. */
static uint32_t find_one(struct str message, uint32_t number, struct str *out,
                         const uint8_t **out_begin, const uint8_t **out_end)
{
    struct wire_reader r = wire_read(message);
    struct wire_field f;
    uint32_t count = 0;
    for (const uint8_t *begin = r.at; wire_next(&r, &f); begin = r.at) {
        if (f.number != number)
            continue;
        if (f.type != WIRE_BYTES || count++ > 0)
            return 2;
        *out = f.bytes;
        *out_begin = begin;
        *out_end = r.at;
    }
    return r.broken ? 2 : count;
}

/* False: only opening all of it tells what it is. */
static bool take_apart(struct str raw, struct pieces *out)
{
    const uint8_t *begin = NULL, *end = NULL;
    struct str spec;
    if (find_one(raw, POD_SPEC, &spec, &begin, &end) != 1 || spec.len > SPECS_BYTES_MAX)
        return false;
    out->before = between((const uint8_t *)raw.at, begin);
    out->behind = between(end, (const uint8_t *)raw.at + raw.len);
    uint32_t nodes = find_one(spec, SPEC_NODE_NAME, &out->node, &begin, &end);
    out->has_node = nodes == 1;
    out->spec[0] = out->has_node ? between((const uint8_t *)spec.at, begin) : spec;
    out->spec[1] = out->has_node ? between(end, (const uint8_t *)spec.at + spec.len) : STR("");
    return nodes < 2 && (!out->has_node || str_is_text(out->node));
}

/* ---- specs ---- */

/* A message's field, in the same depth as in the whole. */
static bool open_into(const struct specs *s, struct str bytes, struct spec *to)
{
    struct buf pod;
    ProtobufCMessage *opened = NULL;
    buf_init(&pod, SPECS_BYTES_MAX + 16);
    wire_put_bytes(&pod, POD_SPEC, bytes);
    arena_init(&to->arena, SPECS_ARENA_MAX);
    bool ok = transcode_unpack(s->pod, buf_str(&pod), &to->arena, &opened, NULL) == ERR_OK;
    buf_free(&pod);
    to->opened = ok ? ((Core__Pod *)opened)->spec : NULL;
    return to->opened != NULL;
}

/* NULL: it does not decode, or not in SPECS_ARENA_MAX. */
static const Core__PodSpec *keep(struct specs *s, struct str bytes)
{
    struct spec *spec = mem_zalloc(1, sizeof *spec);
    if (!open_into(s, bytes, spec)) {
        spec_free(spec);
        return NULL;
    }
    return memo_put(s->memo, bytes, spec) ? spec->opened : NULL;
}

static const Core__PodSpec *find(struct specs *s, struct str bytes)
{
    struct memo_found found = memo_find(s->memo, bytes);
    const struct spec *spec = found.value;
    s->found += spec != NULL;
    if (spec != NULL)
        return spec->opened;
    return found.is_again ? keep(s, bytes) : NULL;
}

/* ---- the whole ---- */

static struct str joined(struct arena *a, struct str before, struct str behind)
{
    const struct str both[] = {before, behind};
    return behind.len == 0 ? before : arena_join(a, both, COUNT_OF(both));
}

static Core__Pod *put_together(struct specs *s, struct arena *a, const struct pieces *p,
                               const Core__PodSpec *from)
{
    ProtobufCMessage *opened;
    struct str rest = joined(a, p->before, p->behind);
    Core__PodSpec *spec = arena_alloc(a, sizeof *spec);
    if (rest.at == NULL || spec == NULL ||
        transcode_unpack(s->pod, rest, a, &opened, NULL) != ERR_OK)
        return NULL;
    Core__Pod *pod = (Core__Pod *)opened;
    *spec = *from;
    if (p->has_node)
        spec->node_name = arena_dup(a, p->node);
    pod->spec = spec;
    return p->has_node && spec->node_name == NULL ? NULL : pod;
}

Core__Pod *specs_open(struct specs *s, struct arena *a, struct str envelope)
{
    struct transcode_envelope open;
    struct pieces p;
    struct str bytes = {NULL, 0};
    if (transcode_open(envelope, &open, NULL) != ERR_OK)
        return NULL;
    if (take_apart(open.raw, &p))
        bytes = joined(a, p.spec[0], p.spec[1]);
    const Core__PodSpec *spec = bytes.at == NULL ? NULL : find(s, bytes);
    return spec == NULL ? typed_open(a, &core__pod__descriptor, envelope)
                        : put_together(s, a, &p, spec);
}
