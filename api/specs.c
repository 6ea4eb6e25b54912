/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of SPECS_WAYS places, as a cache of the processor's has them; in a set the one used longest ago makes room. */
#include "api/specs.h"

#include "api/transcode.h"
#include "api/typed.h"
#include "base/mem.h"
#include "base/wire.h"

enum {
    SPECS_WAYS = 4,
    SETS = SPECS_MAX / SPECS_WAYS,
    MET_MAX = 1024, /* Hashes of specs that were met once. */
};

/* Kubernetes' numbers (core/v1, Pod and PodSpec). */
enum { POD_SPEC = 2, SPEC_NODE_NAME = 10 };

struct spec {
    uint64_t hash, used; /* used 0: a free place. */
    struct buf bytes;    /* Of the spec without nodeName. */
    struct arena arena;
    const Core__PodSpec *opened;
};

struct specs {
    const struct schema_message *pod;
    struct spec at[SETS][SPECS_WAYS];
    uint64_t met[MET_MAX];
    uint64_t uses, turn_began, found; /* uses counts: an order of what happened. */
};

struct specs *specs_new(void)
{
    struct specs *s = mem_zalloc(1, sizeof *s);
    s->pod = schema_message(str_of(core__pod__descriptor.name));
    return s;
}

static void forget(struct spec *p)
{
    if (p->used == 0)
        return;
    buf_free(&p->bytes);
    arena_free(&p->arena);
    *p = (struct spec){0};
}

void specs_free(struct specs *s)
{
    for (uint32_t i = 0; i < SPECS_MAX; i++)
        forget(&s->at[i / SPECS_WAYS][i % SPECS_WAYS]);
    mem_free(s);
}

void specs_turn(struct specs *s)
{
    s->turn_began = s->uses + 1;
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

static uint64_t hash_add(uint64_t h, struct str s)
{
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= s.len; i += sizeof word) {
        memcpy(&word, s.at + i, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (; i < s.len; i++)
        h = (h ^ (uint8_t)s.at[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static bool is_spec(const struct spec *p, uint64_t hash, const struct str parts[2])
{
    struct str have = buf_str(&p->bytes);
    return p->used != 0 && p->hash == hash && have.len == parts[0].len + parts[1].len &&
           str_eq(str_slice(have, 0, parts[0].len), parts[0]) &&
           str_eq(str_slice(have, parts[0].len, have.len), parts[1]);
}

/* A message's field, in the same depth as in the whole. */
static bool open_into(struct specs *s, struct spec *p)
{
    struct buf pod;
    ProtobufCMessage *opened = NULL;
    buf_init(&pod, SPECS_BYTES_MAX + 16);
    wire_put_bytes(&pod, POD_SPEC, buf_str(&p->bytes));
    arena_init(&p->arena, SPECS_ARENA_MAX);
    bool ok = transcode_unpack(s->pod, buf_str(&pod), &p->arena, &opened, NULL) == ERR_OK;
    buf_free(&pod);
    p->opened = ok ? ((Core__Pod *)opened)->spec : NULL;
    return p->opened != NULL;
}

/* NULL: it was not met before, or there is no room now. */
static struct spec *keep(struct specs *s, uint64_t hash, const struct str parts[2])
{
    uint64_t *met = &s->met[hash % MET_MAX];
    struct spec *set = s->at[hash / MET_MAX % SETS], *p = &set[0];
    for (uint32_t i = 1; i < SPECS_WAYS; i++)
        p = set[i].used < p->used ? &set[i] : p;
    if (*met != hash) {
        *met = hash;
        return NULL;
    }
    if (p->used >= s->turn_began && p->used != 0)
        return NULL;
    forget(p);
    p->hash = hash;
    p->used = ++s->uses;
    buf_init(&p->bytes, SPECS_BYTES_MAX);
    buf_add(&p->bytes, parts[0]);
    buf_add(&p->bytes, parts[1]);
    if (open_into(s, p))
        return p;
    forget(p);
    return NULL;
}

static struct spec *find(struct specs *s, const struct str parts[2])
{
    uint64_t hash = hash_add(hash_add(0, parts[0]), parts[1]);
    struct spec *set = s->at[hash / MET_MAX % SETS];
    for (uint32_t i = 0; i < SPECS_WAYS; i++) {
        if (!is_spec(&set[i], hash, parts))
            continue;
        set[i].used = ++s->uses;
        s->found++;
        return &set[i];
    }
    return keep(s, hash, parts);
}

/* ---- the whole ---- */

static struct str without_spec(struct arena *a, const struct pieces *p)
{
    const struct str both[] = {p->before, p->behind};
    return p->behind.len == 0 ? p->before : arena_join(a, both, COUNT_OF(both));
}

static Core__Pod *put_together(struct specs *s, struct arena *a, const struct pieces *p,
                               const Core__PodSpec *from)
{
    ProtobufCMessage *opened;
    struct str rest = without_spec(a, p);
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
    struct spec *spec = NULL;
    if (transcode_open(envelope, &open, NULL) != ERR_OK)
        return NULL;
    if (take_apart(open.raw, &p))
        spec = find(s, p.spec);
    return spec == NULL ? typed_open(a, &core__pod__descriptor, envelope)
                        : put_together(s, a, &p, spec->opened);
}
