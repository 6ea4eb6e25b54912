/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as bytes, and back. What is plain data in its structs is copied as it lies in memory, so that no field can be
 * forgotten; what is behind a pointer is listed here, and lies beside the images. An image fits the build that made it: layout()
 * says which. Most of an image is the unused end of a text, so runs of zeros are left out.
 *
 *   a pointer in      is made anew from
 *   agent             the configuration: config, arena, hardware; slots, peers: lists; turn: empty between steps
 *   workload          its Assign, decoded as when it came: kind, arena, assign, placement, pod, machine, instances;
 *                     reason, happenings: texts
 *   instance          trouble: a text
 */
#include "api/typed.h"
#include "base/fnv.h"
#include "base/mem.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/flight_priv.h"
#include "nodeagent/core/peers.h"

enum { RUN_MAX = UINT16_MAX, ZEROS_LEAST = 8, RUN_PREFIX = 4 };

struct range {
    size_t at, size;
};

#define PLAIN(member)                                                                              \
    {                                                                                              \
        offsetof(struct agent, member), sizeof((struct agent *)NULL)->member                       \
    }

/* All of struct agent that is no pointer and not the configuration's. */
static const struct range agent_plain[] = {
    PLAIN(rng),           PLAIN(session),      PLAIN(certificate), PLAIN(disk),
    PLAIN(workloads_end), PLAIN(named),        PLAIN(ops),         PLAIN(list_op),
    PLAIN(pool),          PLAIN(pool_asked),   PLAIN(pool_op),     PLAIN(pool_retry_at),
    PLAIN(pool_text),     PLAIN(peers_digest), PLAIN(up),          PLAIN(list_at),
};

static uint64_t layout(void)
{
    size_t sizes[COUNT_OF(agent_plain) * 2 + 6], count = 0;
    for (size_t i = 0; i < COUNT_OF(agent_plain); i++) {
        sizes[count++] = agent_plain[i].at;
        sizes[count++] = agent_plain[i].size;
    }
    sizes[count++] = sizeof(struct agent);
    sizes[count++] = sizeof(struct workload);
    sizes[count++] = sizeof(struct instance);
    sizes[count++] = offsetof(struct workload, happenings);
    sizes[count++] = offsetof(struct instance, probes);
    sizes[count++] = offsetof(struct instance, trouble);
    return fnv_add(FNV_BASIS, str_from((const char *)sizes, sizeof sizes));
}

/* ---- images ---- */

static size_t zeros_at(const uint8_t *at, size_t size)
{
    size_t n = 0;
    while (n < size && n < RUN_MAX && at[n] == 0)
        n++;
    return n;
}

/* Up to the next run of zeros that is worth it. */
static size_t literals_at(const uint8_t *at, size_t size)
{
    size_t n = 0;
    while (n < size && n < RUN_MAX &&
           zeros_at(at + n, size - n < ZEROS_LEAST ? size - n : ZEROS_LEAST) < ZEROS_LEAST)
        n++;
    return n;
}

/* Pairs of lengths (2 bytes each, little endian): so many zeros, so many bytes as they are. */
static ProtobufCBinaryData image(struct arena *a, const void *from, size_t size)
{
    const uint8_t *at = from;
    uint8_t *out = arena_alloc(a, size + (size / ZEROS_LEAST + 2) * RUN_PREFIX);
    size_t len = 0;
    if (out == NULL)
        return (ProtobufCBinaryData){0, NULL};
    for (size_t i = 0; i < size;) {
        size_t zeros = zeros_at(at + i, size - i);
        size_t literals = literals_at(at + i + zeros, size - i - zeros);
        const uint8_t prefix[RUN_PREFIX] = {(uint8_t)zeros, (uint8_t)(zeros >> 8),
                                            (uint8_t)literals, (uint8_t)(literals >> 8)};
        memcpy(out + len, prefix, RUN_PREFIX);
        memcpy(out + len + RUN_PREFIX, at + i + zeros, literals);
        len += RUN_PREFIX + literals;
        i += zeros + literals;
    }
    return (ProtobufCBinaryData){len, out};
}

static bool image_of(const ProtobufCBinaryData *from, void *to, size_t size)
{
    uint8_t *out = to;
    size_t i = 0, at = 0;
    while (at + RUN_PREFIX <= from->len) {
        const uint8_t *p = from->data + at;
        size_t zeros = (size_t)p[0] | (size_t)p[1] << 8,
               literals = (size_t)p[2] | (size_t)p[3] << 8;
        at += RUN_PREFIX;
        if (zeros > size - i || literals > size - i - zeros || literals > from->len - at)
            return false;
        memset(out + i, 0, zeros);
        memcpy(out + i + zeros, from->data + at, literals);
        i += zeros + literals;
        at += literals;
    }
    return i == size && at == from->len;
}

/* ---- into a snapshot ---- */

/* Its Assign as a record's, so that one place looks for secrets. False: it cannot be written. */
static bool assign_from(struct arena *a, const Agent__Assign *assign, ProtobufCBinaryData *out)
{
    Agent__Record r = AGENT__RECORD__INIT;
    r.assign = (Agent__Assign *)(uintptr_t)assign;
    struct str record = flight__packed(a, &r.base);
    record = flight__without_secrets(a, EV_SAVED, record);
    *out = (ProtobufCBinaryData){record.len, (uint8_t *)(uintptr_t)record.at};
    return record.len > 1;
}

static Flight__Instance *instance_from(struct arena *a, const struct instance *from)
{
    Flight__Instance *out = arena_alloc(a, sizeof *out);
    struct instance plain = *from;
    if (out == NULL)
        return NULL;
    flight__instance__init(out);
    plain.trouble = NULL;
    out->has_image = true;
    out->image = image(a, &plain, sizeof plain);
    out->trouble = (char *)(uintptr_t)from->trouble;
    return out;
}

static Flight__Happened *happened_from(struct arena *a, const struct happening *from)
{
    Flight__Happened *out = arena_alloc(a, sizeof *out);
    if (out == NULL)
        return NULL;
    flight__happened__init(out);
    out->reason = (char *)(uintptr_t)from->reason;
    out->message = from->message;
    return out;
}

/* Without its pointers. */
static ProtobufCBinaryData workload_image(struct arena *a, const struct workload *w)
{
    struct workload plain = *w;
    plain.kind = NULL;
    plain.arena = (struct arena){0};
    plain.assign = NULL;
    plain.placement = NULL;
    plain.pod = NULL;
    plain.machine = NULL;
    plain.instances = NULL;
    plain.reason = NULL;
    for (uint32_t i = 0; i < WORKLOAD_HAPPENINGS_MAX; i++) {
        plain.happenings[i].reason = NULL;
        plain.happenings[i].message = NULL;
    }
    return image(a, &plain, sizeof plain);
}

static Flight__Workload *workload_from(struct arena *a, const struct workload *w)
{
    Flight__Workload *out = arena_alloc(a, sizeof *out);
    if (out == NULL)
        return NULL;
    flight__workload__init(out);
    out->has_slot = out->has_image = true;
    out->slot = w->slot.slot;
    out->image = workload_image(a, w);
    out->reason = (char *)(uintptr_t)w->reason;
    out->has_record = w->assign != NULL;
    if (w->assign != NULL && !assign_from(a, w->assign, &out->record))
        return NULL;
    out->instances = arena_zalloc(a, w->instances_count + 1, sizeof *out->instances);
    out->happened = arena_zalloc(a, w->happenings_count + 1, sizeof *out->happened);
    if (out->instances == NULL || out->happened == NULL)
        return NULL;
    for (uint32_t n = 0; n < w->instances_count; n++)
        out->instances[out->n_instances++] = instance_from(a, &w->instances[n]);
    for (uint32_t i = 0; i < w->happenings_count; i++)
        out->happened[out->n_happened++] = happened_from(a, &w->happenings[i]);
    return out;
}

static bool workloads_from(struct arena *arena, const struct agent *a, Flight__Snapshot *out)
{
    out->workloads = arena_zalloc(arena, a->workloads_end + 1, sizeof *out->workloads);
    for (uint32_t i = 0; out->workloads != NULL && i < a->workloads_end; i++) {
        if (a->workloads[i] == NULL)
            continue;
        Flight__Workload *one = workload_from(arena, a->workloads[i]);
        if (one == NULL)
            return false;
        out->workloads[out->n_workloads++] = one;
    }
    return out->workloads != NULL;
}

static ProtobufCBinaryData agent_image(struct arena *arena, const struct agent *a)
{
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(agent_plain); i++)
        size += agent_plain[i].size;
    uint8_t *all = arena_alloc(arena, size);
    size_t len = 0;
    for (size_t i = 0; all != NULL && i < COUNT_OF(agent_plain); i++) {
        memcpy(all + len, (const uint8_t *)a + agent_plain[i].at, agent_plain[i].size);
        len += agent_plain[i].size;
    }
    return image(arena, all, len);
}

bool flight__snapshot_from(struct arena *arena, const struct agent *a, Flight__Snapshot *out)
{
    const struct slots *s = &a->slots;
    flight__snapshot__init(out);
    out->has_layout = out->has_agent = out->has_generations = out->has_free_next =
        out->has_free_first = out->has_taken = true;
    out->layout = layout();
    out->agent = agent_image(arena, a);
    out->generations = image(arena, s->generation, s->count * sizeof *s->generation);
    out->free_next = image(arena, s->free_next, s->count * sizeof *s->free_next);
    out->free_first = s->free_first;
    out->taken = s->taken;
    out->has_images = a->images != NULL;
    if (a->images != NULL)
        out->images = (ProtobufCBinaryData){a->images->len, (uint8_t *)(uintptr_t)a->images->at};
    out->peers = peers_snapshot(arena, a, &out->n_peers);
    return workloads_from(arena, a, out) && out->peers != NULL && !arena->overflow;
}

/* ---- back ---- */

static const char *text_of(struct agent *a, const char *text)
{
    return text == NULL ? NULL : arena_dup(&a->arena, str_of(text));
}

static bool instances_of(struct agent *a, struct workload *w, const Flight__Workload *from)
{
    if (from->n_instances != w->instances_count)
        return false;
    for (uint32_t n = 0; n < w->instances_count; n++) {
        struct instance *i = &w->instances[n];
        if (!image_of(&from->instances[n]->image, i, sizeof *i))
            return false;
        i->trouble = text_of(a, from->instances[n]->trouble);
    }
    return true;
}

/* As workload_happened() makes them; behind the image's times. */
static bool happenings_of(struct agent *a, struct workload *w, const Flight__Workload *from)
{
    uint32_t count = w->happenings_count;
    w->happenings_count = 0; /* What is counted is allocated. */
    if (from->n_happened != count || count > WORKLOAD_HAPPENINGS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct str message = str_of(from->happened[i]->message);
        w->happenings[i].message = mem_zalloc(1, message.len + 1);
        memcpy(w->happenings[i].message, message.at == NULL ? "" : message.at, message.len);
        w->happenings[i].reason = text_of(a, from->happened[i]->reason);
        w->happenings_count++;
    }
    return true;
}

/* Decoded as when it came; then everything else is what it was. */
static bool load(struct agent *a, struct workload *w, const Flight__Workload *from)
{
    char text[200];
    struct arena scratch;
    arena_init(&scratch, 4 * AGENT_MESSAGE_MAX);
    ProtobufCAllocator allocator = typed_allocator(&scratch);
    Agent__Record *r = agent__record__unpack(&allocator, from->record.len, from->record.data);
    bool good = r != NULL && r->assign != NULL && workload_load(a, w, r->assign, text, sizeof text);
    arena_free(&scratch);
    return good;
}

static bool fill(struct agent *a, struct workload *w, const Flight__Workload *from)
{
    struct workload plain;
    if ((from->has_record && !load(a, w, from)) || !image_of(&from->image, &plain, sizeof plain))
        return false;
    plain.kind = w->kind;
    plain.arena = w->arena;
    plain.assign = w->assign;
    plain.placement = w->placement;
    plain.pod = w->pod;
    plain.machine = w->machine;
    plain.instances = w->instances;
    plain.instances_count = w->instances_count;
    plain.reason = text_of(a, from->reason);
    *w = plain;
    return happenings_of(a, w, from) && instances_of(a, w, from);
}

static bool workload_of(struct agent *a, const Flight__Workload *from)
{
    uint32_t slot = from->slot;
    if (slot >= a->workloads_end || a->workloads[slot] != NULL)
        return false;
    struct workload *w = mem_zalloc(1, sizeof *w);
    w->kind = &workload_pod;
    arena_init(&w->arena, 4 * AGENT_MESSAGE_MAX);
    w->slot = (struct slot_id){slot, a->slots.generation[slot]};
    a->workloads[slot] = w;
    bool good = slots_live(&a->slots, w->slot) && fill(a, w, from) && w->slot.slot == slot &&
                w->slot.generation == a->slots.generation[slot];
    if (good)
        return true;
    a->workloads[slot] = NULL; /* Perhaps nobody's name: not agent_give()'s. */
    workload_forget_happenings(w, INT64_MAX);
    arena_free(&w->arena);
    mem_free(w->instances);
    mem_free(w);
    return false;
}

static bool agent_of(struct agent *a, const Flight__Snapshot *from)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < COUNT_OF(agent_plain); i++)
        size += agent_plain[i].size;
    uint8_t *all = mem_alloc(size);
    bool good = image_of(&from->agent, all, size);
    for (size_t i = 0; good && i < COUNT_OF(agent_plain); i++) {
        memcpy((uint8_t *)a + agent_plain[i].at, all + at, agent_plain[i].size);
        at += agent_plain[i].size;
    }
    mem_free(all);
    return good && a->workloads_end <= AGENT_WORKLOADS_MAX;
}

static bool slots_of(struct agent *a, const Flight__Snapshot *from)
{
    struct slots *s = &a->slots;
    s->free_first = from->free_first;
    s->taken = from->taken;
    return from->free_first <= s->count && from->taken <= s->count &&
           image_of(&from->generations, s->generation, s->count * sizeof *s->generation) &&
           image_of(&from->free_next, s->free_next, s->count * sizeof *s->free_next);
}

struct agent *flight_agent_of(const struct agent_config *config, const Flight__Snapshot *from)
{
    if (from->layout != layout())
        return NULL;
    struct agent *a = agent_new(config);
    bool good = agent_of(a, from) && slots_of(a, from);
    if (good && from->has_images)
        a->images = blob_new(str_from((const char *)from->images.data, from->images.len));
    if (good)
        peers_restore(a, from->peers, from->n_peers);
    else
        a->workloads_end = 0;
    for (size_t i = 0; good && i < from->n_workloads; i++)
        good = workload_of(a, from->workloads[i]);
    if (good)
        return a;
    agent_free(a);
    return NULL;
}
