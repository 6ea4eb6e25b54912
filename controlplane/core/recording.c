/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/recording.h"

#include "api/blank.h"
#include "base/fnv.h"
#include "base/mem.h"

enum {
    FRAME_ARENA_MAX = 16 << 20,
    ROW_OVERHEAD = STORE_KEY_MAX + 256, /* Of a row's frame, beside its value. */
};

static const struct str SECRETS = STR("/secrets/");

const char *const recording_event_names[RECORDING_FLUSH + 1] = {
    [EV_STARTED] = "STARTED",           [EV_WRITE] = "WRITE",
    [EV_STORE_ROW] = "STORE_ROW",       [EV_STORE_DONE] = "STORE_DONE",
    [EV_AGENT_OPENED] = "AGENT_OPENED", [EV_AGENT_MESSAGE] = "AGENT_MESSAGE",
    [EV_AGENT_CLOSED] = "AGENT_CLOSED", [EV_DEADLINE] = "DEADLINE",
    [RECORDING_FLUSH] = "FLUSH",
};

static ProtobufCBinaryData bytes(struct str s)
{
    return (ProtobufCBinaryData){s.len, (uint8_t *)(uintptr_t)s.at};
}

/* ---- frames ---- */

static void add_to_head(struct recording *r, const Flight__Frame *frame, size_t len)
{
    uint8_t *at = mem_alloc(len);
    flight__frame__pack(frame, at);
    recorder_keep(&r->frames, str_from((const char *)at, len));
    mem_free(at);
}

static bool is_row(const Flight__Frame *frame)
{
    return frame->frame_case == FLIGHT__FRAME__FRAME_TURN && frame->turn->type == EV_STORE_ROW;
}

/* A row of the first load that does not fit any more takes those before it with it. The turns that ended between them stay:
 * an engine may deliver a load in many. */
static void begin_is_full(struct recording *r)
{
    struct buf *head = &r->frames.head, had;
    struct arena a;
    Flight__Frame *frame;
    r->state = RECORDING_SKIPPING;
    if (r->before_rows == 0)
        return;
    buf_init(&had, RECORDING_HEAD_MAX);
    buf_add(&had, str_slice(buf_str(head), r->before_rows, head->len));
    head->len = r->before_rows;
    arena_init(&a, FRAME_ARENA_MAX);
    for (struct str rest = buf_str(&had), at = rest; recording_next(&rest, &a, &frame); at = rest) {
        if (!is_row(frame))
            recorder_keep(&r->frames, str_slice(at, RECORDER_PREFIX, at.len - rest.len));
        arena_free(&a);
    }
    buf_free(&had);
}

static void add(struct recording *r, const Flight__Frame *frame)
{
    size_t len = flight__frame__get_packed_size(frame);
    if (r->state == RECORDING_BEGINNING && r->frames.head.len + len <= RECORDING_HEAD_MAX) {
        add_to_head(r, frame, len);
        return;
    }
    if (r->state == RECORDING_BEGINNING)
        begin_is_full(r);
    r->turned |= recorder_turns(&r->frames, len);
    uint8_t *at = recorder_begin(&r->frames, len);
    if (at == NULL)
        return;
    flight__frame__pack(frame, at);
    recorder_end(&r->frames, len);
}

void recording_init(struct recording *r, const struct core_config *config, const char *version,
                    size_t size)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Control c = FLIGHT__CONTROL__INIT;

    *r = (struct recording){.state = RECORDING_BEGINNING};
    recorder_init(&r->frames, STR(RECORDING_MAGIC), size / 2);
    c.version = (char *)(uintptr_t)version;
    c.has_seed = c.has_history_bytes = c.has_cluster_id = c.has_ca_bundle = c.has_pod_network =
        c.has_node_prefix = true;
    c.seed = config->seed;
    c.history_bytes = config->history_bytes;
    c.cluster_id = bytes(config->cluster_id);
    c.ca_bundle = bytes(config->ca_bundle);
    c.pod_network = bytes(config->pod_network);
    c.node_prefix = config->node_prefix;
    frame.frame_case = FLIGHT__FRAME__FRAME_CONTROL;
    frame.control = &c;
    add_to_head(r, &frame, flight__frame__get_packed_size(&frame));
}

void recording_fini(struct recording *r)
{
    recorder_fini(&r->frames);
}

/* ---- events ---- */

/* An object as it may be written down; arena: for a Secret's. */
static ProtobufCBinaryData object_of(struct str key, const struct blob *object, struct arena *a,
                                     Flight__Turn *t)
{
    struct str is = object == NULL ? STR("") : blob_str(object);
    if (is.len == 0 || !str_starts(key, SECRETS))
        return bytes(is);
    struct str blank = blank_secret(a, is);
    t->has_masked = t->masked = blank.at == NULL;
    return bytes(blank);
}

static void write_from(const struct write_request *w, struct arena *a, Flight__Turn *t,
                       Flight__Write *out)
{
    flight__write__init(out);
    out->has_verb = out->has_key = true;
    out->verb = w->verb;
    out->key = bytes(w->key);
    out->has_generate = w->generate.len > 0;
    out->generate = bytes(w->generate);
    out->has_object = w->object != NULL;
    out->object = object_of(w->key, w->object, a, t);
    out->has_if_revision = w->if_revision != 0;
    out->if_revision = w->if_revision;
    out->has_if_uid = w->if_uid.len > 0;
    out->if_uid = bytes(w->if_uid);
    out->has_grace_seconds = w->grace_seconds != 0;
    out->grace_seconds = w->grace_seconds;
    out->has_propagation = w->propagation.len > 0;
    out->propagation = bytes(w->propagation);
    out->has_dry_run = out->dry_run = w->dry_run;
    out->has_evicts = out->evicts = w->evicts;
    out->has_spends = out->has_spends_uid = w->spends.len > 0;
    out->spends = bytes(w->spends);
    out->spends_uid = bytes(w->spends_uid);
}

static void told_from(bool with_value, const struct store_event *s, struct arena *a,
                      Flight__Turn *t, Flight__Told *out)
{
    flight__told__init(out);
    out->has_type = out->has_code = true;
    out->type = s->type;
    out->code = s->code;
    out->has_text = s->code != ERR_OK;
    out->text = bytes(str_of(s->err.text));
    out->has_revision = s->revision != 0;
    out->revision = s->revision;
    out->has_oldest = s->oldest != 0;
    out->oldest = s->oldest;
    out->has_fence = s->fence != 0;
    out->fence = s->fence;
    out->has_sealed = out->sealed = s->sealed;
    if (s->key == NULL)
        return;
    out->has_key = true;
    out->key = bytes(blob_str(s->key));
    out->has_value = s->value != NULL && with_value;
    if (out->has_value)
        out->value = object_of(blob_str(s->key), s->value, a, t);
}

static void before_event(struct recording *r, const struct core_event *ev)
{
    if (r->state != RECORDING_BEGINNING || ev->type != EV_STORE_ROW)
        return;
    if (r->before_rows == 0)
        r->before_rows = r->frames.head.len;
    size_t size = ev->store->value == NULL ? 0 : blob_str(ev->store->value).len;
    if (r->frames.head.len + size + ROW_OVERHEAD > RECORDING_HEAD_MAX)
        begin_is_full(r);
}

static void after_event(struct recording *r, const struct core_event *ev)
{
    if (ev->type == EV_STORE_DONE && ev->store->code == ERR_OK && ev->store->fence != 0)
        r->state = RECORDING_RUNNING;
}

void recording_event(struct recording *r, const struct core_event *ev)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Turn t = FLIGHT__TURN__INIT;
    Flight__Write write;
    Flight__Told told;
    struct arena a;

    before_event(r, ev);
    t.has_sequence = t.has_type = t.has_now_ns = t.has_wall_ns = true;
    t.sequence = ++r->sequence;
    t.type = ev->type;
    t.now_ns = ev->now.ns;
    t.wall_ns = ev->wall.ns;
    t.has_op = ev->op != 0;
    t.op = ev->op;
    if (r->state == RECORDING_SKIPPING && ev->type == EV_STORE_ROW)
        return;
    arena_init(&a, FRAME_ARENA_MAX);
    if (ev->type == EV_WRITE) {
        write_from(ev->write, &a, &t, &write);
        t.write = &write;
    } else if (ev->type == EV_STORE_ROW || ev->type == EV_STORE_DONE) {
        told_from(r->state == RECORDING_BEGINNING, ev->store, &a, &t, &told);
        t.has_op = true; /* The store's own. */
        t.op = ev->store->op;
        t.told = &told;
    } else if (ev->type != EV_STARTED && ev->type != EV_DEADLINE) {
        t.has_session = t.has_node = true;
        t.session = ev->agent.session;
        t.node = bytes(ev->agent.node);
        t.has_bytes = ev->agent.bytes.len > 0;
        t.bytes = bytes(ev->agent.bytes);
    }
    frame.frame_case = FLIGHT__FRAME__FRAME_TURN;
    frame.turn = &t;
    add(r, &frame);
    arena_free(&a);
    after_event(r, ev);
}

void recording_flush(struct recording *r, struct instant now, struct wall wall)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Turn t = FLIGHT__TURN__INIT;

    t.has_sequence = t.has_type = t.has_now_ns = t.has_wall_ns = true;
    t.sequence = ++r->sequence;
    t.type = RECORDING_FLUSH;
    t.now_ns = now.ns;
    t.wall_ns = wall.ns;
    frame.frame_case = FLIGHT__FRAME__FRAME_TURN;
    frame.turn = &t;
    add(r, &frame);
}

static size_t answers_from(const struct core_effects *fx, uint64_t out[2 * RECORDING_ANSWERS_MAX])
{
    size_t count = 0;
    for (uint32_t i = 0; i < fx->count && count < 2 * RECORDING_ANSWERS_MAX; i++)
        if (fx->at[i].type == FX_REPLY) {
            out[count++] = fx->at[i].op;
            out[count++] = fx->at[i].result;
        }
    return count;
}

void recording_done(struct recording *r, const struct core *c, const struct core_effects *fx)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Done done = FLIGHT__DONE__INIT;
    Flight__Numbers numbers = FLIGHT__NUMBERS__INIT;
    uint64_t answers[2 * RECORDING_ANSWERS_MAX];
    struct core_numbers is;

    done.has_sequence = done.has_effects_count = done.has_effects_hash = true;
    done.sequence = r->sequence;
    done.effects_count = fx->count;
    done.effects_hash = recording_hash(fx);
    done.answers = answers;
    done.n_answers = answers_from(fx, answers);
    if (r->turned) {
        is = core_numbers(c);
        numbers.has_head = numbers.has_next_revision = true;
        numbers.head = is.head;
        numbers.next_revision = is.next_revision;
        numbers.rng = is.rng;
        numbers.n_rng = COUNT_OF(is.rng);
        done.numbers = &numbers;
        r->turned = false;
    }
    frame.frame_case = FLIGHT__FRAME__FRAME_DONE;
    frame.done = &done;
    add(r, &frame);
}

struct str recording_row(struct arena *a, const struct store_event *row)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Turn t = FLIGHT__TURN__INIT;
    Flight__Told told;

    t.has_type = true;
    t.type = EV_STORE_ROW;
    told_from(true, row, a, &t, &told);
    t.told = &told;
    frame.frame_case = FLIGHT__FRAME__FRAME_TURN;
    frame.turn = &t;
    size_t len = flight__frame__get_packed_size(&frame);
    uint8_t *at = arena_alloc(a, len);
    if (at == NULL)
        return (struct str){NULL, 0};
    flight__frame__pack(&frame, at);
    return str_from((const char *)at, len);
}

/* ---- what was done ---- */

static uint64_t mix(uint64_t h, uint64_t number)
{
    h = (h ^ number) * 0x9e3779b97f4a7c15;
    return h ^ h >> 29;
}

static uint64_t mix_write(uint64_t h, const struct store_write *w)
{
    h = mix(fnv_add(h, blob_str(w->key)), w->revision);
    h = mix(h, w->before);
    return mix(h, w->value == NULL ? UINT64_MAX : blob_str(w->value).len << 1 | w->sealed);
}

uint64_t recording_hash(const struct core_effects *fx)
{
    uint64_t h = FNV_BASIS;
    for (uint32_t i = 0; i < fx->count; i++) {
        const struct core_effect *one = &fx->at[i];
        h = mix(mix(h, one->type), one->op);
        h = mix(mix(h, one->session), one->revision);
        h = mix(mix(h, one->fence), (uint64_t)one->result << 1 | one->gone);
        h = mix(h, one->object == NULL ? UINT64_MAX : blob_str(one->object).len);
        h = mix(h, one->bytes.len);
        for (uint32_t k = 0; k < one->writes_count; k++)
            h = mix_write(h, &one->writes[k]);
    }
    return h;
}
