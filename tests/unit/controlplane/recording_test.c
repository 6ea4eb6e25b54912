/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/recording.h"

#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"

#include <stdio.h>

static const char word[] = "wolpertinger";

static struct buf whole(const struct recording *r)
{
    struct str parts[RECORDER_PARTS];
    struct buf out;
    buf_init(&out, 64 << 20);
    recorder_parts(&r->frames, parts);
    for (int i = 0; i < RECORDER_PARTS; i++)
        buf_add(&out, parts[i]);
    return out;
}

static struct str frames_of(const struct buf *file)
{
    return str_slice(buf_str(file), sizeof RECORDING_MAGIC - 1, file->len);
}

static bool holds(struct str bytes, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= bytes.len; i++)
        if (memcmp(bytes.at + i, text, len) == 0)
            return true;
    return false;
}

static Flight__Turn *next_turn(struct str *rest, struct arena *a)
{
    Flight__Frame *frame;
    while (recording_next(rest, a, &frame))
        if (frame->frame_case == FLIGHT__FRAME__FRAME_TURN)
            return frame->turn;
    return NULL;
}

static void start(struct recording *r, size_t bytes)
{
    struct core_config config = {
        .seed = 7, .cluster_id = STR("c1"), .pod_network = STR("10.1.0.0/16"), .node_prefix = 25};
    recording_init(r, &config, "1.2", bytes);
}

static void load_done(struct recording *r)
{
    struct store_event done = {.type = STORE_DONE, .op = 1, .revision = 9, .fence = 3};
    recording_event(r, &(struct core_event){.type = EV_STORE_DONE, .store = &done});
}

static void row(struct recording *r, const char *key, struct str value)
{
    struct store_event ev = {.type = STORE_ROW,
                             .op = 1,
                             .revision = 5,
                             .key = blob_new(str_of(key)),
                             .value = blob_new(value)};
    recording_event(r, &(struct core_event){.type = EV_STORE_ROW, .store = &ev});
    blob_unref(ev.key);
    blob_unref(ev.value);
}

static void write_object(struct recording *r, const char *key, struct str object)
{
    struct write_request w = {.verb = WRITE_CREATE, .key = str_of(key), .object = blob_new(object)};
    recording_event(r, &(struct core_event){.type = EV_WRITE, .op = 4, .write = &w});
    blob_unref(w.object);
}

TEST(recording, what_was_told_is_read_back)
{
    struct recording r;
    struct recording_parts parts;
    struct core_config config;
    struct core_event ev;
    struct arena a;
    Flight__Frame *frame;
    struct store_event failed = {.type = STORE_DONE, .op = 8, .code = ERR_LIMIT};
    struct write_request w = {.verb = WRITE_DELETE,
                              .key = STR("/pods/default/a"),
                              .if_uid = STR("u"),
                              .if_revision = 12,
                              .grace_seconds = -1,
                              .propagation = STR("Orphan"),
                              .spends = STR("/secrets/default/t"),
                              .spends_uid = STR("v"),
                              .evicts = true,
                              .dry_run = true};
    snprintf(failed.err.text, sizeof failed.err.text, "no room");
    start(&r, 1 << 20);
    recording_event(&r, &(struct core_event){.type = EV_STARTED, .now = {3}, .wall = {4}});
    recording_event(&r, &(struct core_event){.type = EV_WRITE, .op = 6, .write = &w});
    recording_event(&r, &(struct core_event){.type = EV_STORE_DONE, .store = &failed});
    recording_event(&r, &(struct core_event){.type = EV_AGENT_MESSAGE,
                                             .agent = {77, STR("n1"), STR("\0hello")}});
    struct buf file = whole(&r);
    struct str rest = frames_of(&file);
    arena_init(&a, 1 << 20);
    cr_assert(recording_next(&rest, &a, &frame));
    recording_config_of(frame->control, &config);
    cr_assert(config.seed == 7 && str_is(config.cluster_id, "c1") && config.node_prefix == 25);
    cr_assert(recording_event_of(next_turn(&rest, &a), &parts, &ev));
    cr_assert(ev.type == EV_STARTED && ev.now.ns == 3 && ev.wall.ns == 4);
    cr_assert(recording_event_of(next_turn(&rest, &a), &parts, &ev));
    cr_assert(ev.op == 6 && ev.write->verb == WRITE_DELETE && ev.write->object == NULL);
    cr_assert(str_eq(ev.write->key, w.key) && str_is(ev.write->if_uid, "u"));
    cr_assert(ev.write->if_revision == 12 && ev.write->grace_seconds == -1);
    cr_assert(str_is(ev.write->propagation, "Orphan") && ev.write->dry_run && ev.write->evicts);
    cr_assert(str_eq(ev.write->spends, w.spends) && str_is(ev.write->spends_uid, "v"));
    cr_assert(recording_event_of(next_turn(&rest, &a), &parts, &ev));
    cr_assert(ev.store->op == 8 && ev.store->code == ERR_LIMIT && ev.store->key == NULL);
    cr_assert_str_eq(ev.store->err.text, "no room");
    cr_assert(recording_event_of(next_turn(&rest, &a), &parts, &ev));
    cr_assert(ev.agent.session == 77 && str_is(ev.agent.node, "n1") && ev.agent.bytes.len == 6);
    cr_assert_null(next_turn(&rest, &a));
    arena_free(&a);
    buf_free(&file);
    recording_fini(&r);
}

/* The way a Secret is stored, with kubectl's copy of it. */
static struct str secret(struct arena *a)
{
    Core__Secret s = CORE__SECRET__INIT;
    Core__Secret__DataEntry d = CORE__SECRET__DATA_ENTRY__INIT, *data[] = {&d};
    Core__Secret__StringDataEntry t = CORE__SECRET__STRING_DATA_ENTRY__INIT, *texts[] = {&t};
    Meta__ObjectMeta m = META__OBJECT_META__INIT;
    Meta__ObjectMeta__AnnotationsEntry n = META__OBJECT_META__ANNOTATIONS_ENTRY__INIT,
                                       *notes[] = {&n};
    d.key = (char *)(uintptr_t) "its-key";
    d.has_value = true;
    d.value = (ProtobufCBinaryData){sizeof word - 1, (uint8_t *)(uintptr_t)word};
    t.key = (char *)(uintptr_t) "its-text";
    t.value = (char *)(uintptr_t)word;
    n.key = (char *)(uintptr_t) "its-annotation";
    n.value = (char *)(uintptr_t) "{\"stringData\":\"wolpertinger\"}";
    m.annotations = notes;
    m.n_annotations = 1;
    s.metadata = &m;
    s.data = data;
    s.n_data = 1;
    s.string_data = texts;
    s.n_string_data = 1;
    return typed_wrap(a, "v1", "Secret", &s);
}

TEST(recording, no_secret_is_written)
{
    struct recording r;
    struct recording_parts parts;
    struct core_event ev;
    struct arena a;

    arena_init(&a, 1 << 20);
    struct str object = secret(&a);
    cr_assert(holds(object, word));
    start(&r, 1 << 20);
    row(&r, "/secrets/default/s", object);
    write_object(&r, "/secrets/default/s", object);
    struct buf file = whole(&r);
    cr_assert_not(holds(buf_str(&file), word));
    cr_assert(holds(buf_str(&file), "its-key") && holds(buf_str(&file), "its-annotation"));
    struct str rest = frames_of(&file);
    cr_assert(recording_event_of(next_turn(&rest, &a), &parts, &ev));
    cr_assert_eq(blob_str(ev.store->value).len, object.len, "sizes are what the core decides on");
    recording_parts_free(&parts);
    cr_assert(recording_event_of(next_turn(&rest, &a), &parts, &ev));
    cr_assert_eq(blob_str(ev.write->object).len, object.len);
    recording_parts_free(&parts);
    arena_free(&a);
    buf_free(&file);
    recording_fini(&r);
}

TEST(recording, what_cannot_be_looked_into_is_left_out)
{
    struct recording r;
    struct arena a;
    arena_init(&a, 1 << 20);
    start(&r, 1 << 20);
    write_object(&r, "/secrets/default/s", STR("k8s\0 wolpertinger"));
    struct buf file = whole(&r);
    cr_assert_not(holds(buf_str(&file), word));
    struct str rest = frames_of(&file);
    cr_assert(next_turn(&rest, &a)->masked);
    arena_free(&a);
    buf_free(&file);
    recording_fini(&r);
}

/* How the rows of a first load are kept: sequence numbers, from first to last, of what a file holds. */
static uint32_t rows_in(const struct recording *r, uint64_t *out_last)
{
    struct buf file = whole(r);
    struct str rest = frames_of(&file);
    struct arena a;
    uint32_t count = 0;
    arena_init(&a, 64 << 20);
    for (Flight__Turn *t; (t = next_turn(&rest, &a)) != NULL; *out_last = t->sequence)
        count += t->type == EV_STORE_ROW;
    cr_assert_eq(rest.len, 0);
    arena_free(&a);
    buf_free(&file);
    return count;
}

static uint32_t flushes_in(const struct recording *r)
{
    struct buf file = whole(r);
    struct str rest = frames_of(&file);
    struct arena a;
    uint32_t count = 0;
    arena_init(&a, 64 << 20);
    for (Flight__Turn *t; (t = next_turn(&rest, &a)) != NULL;)
        count += t->type == RECORDING_FLUSH;
    arena_free(&a);
    buf_free(&file);
    return count;
}

TEST(recording, a_small_beginning_stays)
{
    static char text[4096];
    struct recording r;
    uint64_t last = 0;
    start(&r, RECORDING_BYTES_MIN);
    recording_event(&r, &(struct core_event){.type = EV_STARTED});
    for (int i = 0; i < 40; i++)
        row(&r, "/pods/default/a", str_from(text, sizeof text));
    load_done(&r);
    cr_assert_eq(rows_in(&r, &last), 40);
    for (int i = 0; i < 100; i++)
        write_object(&r, "/pods/default/a", str_from(text, sizeof text));
    cr_assert_eq(rows_in(&r, &last), 40, "and the halves have gone round");
    cr_assert_eq(last, 142);
    recording_fini(&r);
}

TEST(recording, rows_that_are_too_many_go_all)
{
    static char text[4096];
    struct recording r;
    uint64_t last = 0;
    start(&r, 1 << 20);
    recording_event(&r, &(struct core_event){.type = EV_STARTED});
    for (int i = 0; i < 80; i++) {
        row(&r, "/pods/default/a", str_from(text, sizeof text));
        if (i == 10 || i == 70)
            recording_flush(&r, (struct instant){i}, (struct wall){i});
    }
    cr_assert_eq(r.state, RECORDING_SKIPPING);
    load_done(&r);
    cr_assert_eq(r.state, RECORDING_RUNNING);
    cr_assert_eq(rows_in(&r, &last), 0);
    cr_assert_eq(last, 84, "they have had their numbers");
    cr_assert_eq(flushes_in(&r), 2, "of a load that came in parts");
    row(&r, "/pods/default/a", str_from(text, sizeof text));
    cr_assert_eq(rows_in(&r, &last), 1);
    cr_assert_lt(r.frames.halves[r.frames.now].len, 1000, "a later load's have no value");
    recording_fini(&r);
}
