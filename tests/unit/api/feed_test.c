/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, watch events and agents' streams, held against protobuf-c's own reading of the same messages. */
#include "api/list.h"
#include "api/meta.h"
#include "api/peek.h"
#include "api/stream.h"
#include "api/watch.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/object.h"
#include "tests/testlib/test.h"

static struct blob *sample(const char *name)
{
    return object_make(&(struct object_parts){.name = name,
                                              .namespace = "default",
                                              .uid = "u-1",
                                              .label_key = "app",
                                              .label_value = "x"});
}

static struct str raw_of(const struct blob *object)
{
    struct transcode_envelope env;
    cr_assert_eq(transcode_open(blob_str(object), &env, NULL), ERR_OK);
    return env.raw;
}

static void fill(struct buf *out, const struct list_head *h, bool partial)
{
    struct blob *one = sample("one"), *two = sample("two");
    size_t len = list_item_len(raw_of(one), partial) + list_item_len(raw_of(two), partial);
    buf_init(out, 1 << 20);
    list_protobuf_begin(out, h, len);
    size_t before = out->len;
    list_item(out, raw_of(one), partial);
    list_item(out, raw_of(two), partial);
    cr_assert_eq(out->len - before, len);
    list_protobuf_end(out);
    blob_unref(one);
    blob_unref(two);
}

TEST(feed, a_list_is_the_message_of_its_kind)
{
    struct list_head h = {STR("v1"), STR("ConfigMapList"), 77, STR("token"), 5, NULL, false};
    struct transcode_envelope env;
    struct buf b;

    fill(&b, &h, false);
    cr_assert_eq(transcode_open(buf_str(&b), &env, NULL), ERR_OK);
    cr_assert(str_is(env.head.kind, "ConfigMapList") && str_is(env.head.api_version, "v1"));
    Core__ConfigMapList *l =
        core__config_map_list__unpack(NULL, env.raw.len, (const uint8_t *)env.raw.at);
    cr_assert_not_null(l);
    cr_assert_eq(l->n_items, 2);
    cr_assert_str_eq(l->items[1]->metadata->name, "two");
    cr_assert_str_eq(l->metadata->resource_version, "77");
    cr_assert_str_eq(l->metadata->continue_, "token");
    cr_assert_eq(l->metadata->remaining_item_count, 5);
    core__config_map_list__free_unpacked(l, NULL);
    buf_free(&b);
}

TEST(feed, a_partial_list_has_metadata_and_nothing_else)
{
    struct list_head h = {.api_version = STR("meta.k8s.io/v1"),
                          .kind = STR("PartialObjectMetadataList")};
    struct transcode_envelope env;
    struct buf b;

    fill(&b, &h, true);
    cr_assert_eq(transcode_open(buf_str(&b), &env, NULL), ERR_OK);
    Core__ConfigMapList *l =
        core__config_map_list__unpack(NULL, env.raw.len, (const uint8_t *)env.raw.at);
    cr_assert_not_null(l);
    cr_assert_eq(l->n_items, 2);
    cr_assert_str_eq(l->items[0]->metadata->name, "one");
    cr_assert_eq(l->items[0]->n_data, 0);
    cr_assert_str_eq(l->metadata->resource_version, "0");
    core__config_map_list__free_unpacked(l, NULL);
    buf_free(&b);
}

TEST(feed, the_ends_of_a_list_in_json)
{
    struct list_head h = {STR("v1"), STR("PodList"), 9, STR(""), 0, NULL, false};
    struct buf b;

    buf_init(&b, 4096);
    list_json_begin(&b, &h);
    list_json_end(&b);
    cr_assert(str_is(buf_str(&b), "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":"
                                  "{\"resourceVersion\":\"9\"},\"items\":[]}"));
    buf_clear(&b);
    h.next = STR("t");
    h.remaining = 3;
    h.table = kind_find(STR(""), STR("pods"));
    h.no_columns = true;
    list_json_begin(&b, &h);
    cr_assert(str_is(buf_str(&b),
                     "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":"
                     "{\"resourceVersion\":\"9\",\"continue\":\"t\","
                     "\"remainingItemCount\":3},\"columnDefinitions\":null,\"rows\":["));
    buf_free(&b);
}

TEST(feed, an_event_is_a_frame_around_an_envelope)
{
    struct blob *object = sample("web");
    struct transcode_envelope env = {{STR("v1"), STR("ConfigMap")}, raw_of(object)}, inner;
    struct buf b;

    buf_init(&b, 1 << 20);
    watch_protobuf(&b, WATCH_MODIFIED, &env);
    const uint8_t *at = (const uint8_t *)b.at;
    cr_assert_eq((size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3], b.len - 4);
    Meta__WatchEvent *event = meta__watch_event__unpack(NULL, b.len - 4, at + 4);
    cr_assert_not_null(event);
    cr_assert_str_eq(event->type, "MODIFIED");
    cr_assert_eq(
        transcode_open(str_from(event->object->raw.data, event->object->raw.len), &inner, NULL),
        ERR_OK);
    cr_assert(str_is(inner.head.kind, "ConfigMap") && str_eq(inner.raw, env.raw));
    meta__watch_event__free_unpacked(event, NULL);
    buf_clear(&b);
    watch_bookmark(41, &b);
    cr_assert_eq(meta_of(buf_str(&b)).revision, 41);
    buf_clear(&b);
    watch_json_begin(&b, WATCH_DELETED);
    watch_json_end(&b);
    cr_assert(str_is(buf_str(&b), "{\"type\":\"DELETED\",\"object\":}\n"));
    buf_free(&b);
    blob_unref(object);
}

TEST(feed, labels_and_fields_are_found_in_the_bytes)
{
    struct blob *object = sample("web");
    struct peek p = {schema_message(STR("k8s.io.api.core.v1.ConfigMap")), raw_of(object)};
    struct str got = {NULL, 0};

    cr_assert(peek_label(&p, STR("app"), &got) && str_is(got, "x"));
    cr_assert(!peek_label(&p, STR("ap"), &got));
    cr_assert(peek_field(&p, STR("metadata.name"), &got) && str_is(got, "web"));
    cr_assert(peek_field(&p, STR("immutable"), &got) && str_is(got, "false"));
    cr_assert(!peek_field(&p, STR("metadata.nme"), &got));
    cr_assert(!peek_field(&p, STR("metadata"), &got));
    struct meta m = meta_of(p.raw);
    cr_assert(str_is(m.uid, "u-1") && m.labels_count == 1);
    m = meta_of(str_slice(p.raw, 0, 4)); /* Broken: what is not there is not there. */
    cr_assert(m.uid.len == 0);
    blob_unref(object);
}

/* ---- streams ---- */

static void pack(const ProtobufCMessage *m, struct buf *out)
{
    buf_init(out, 4096);
    size_t len = protobuf_c_message_get_packed_size(m);
    buf_commit(out, protobuf_c_message_pack(m, (uint8_t *)buf_reserve(out, len)));
}

TEST(feed, a_stream_frame_is_borrowed_from)
{
    Agent__StreamFrame f = AGENT__STREAM_FRAME__INIT, *back;
    struct stream_frame got;
    struct buf b;

    f.has_id = f.has_channel = f.has_data = true;
    f.id = 1 << 20;
    f.channel = STREAM_ERROR;
    f.data = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "abc"};
    pack(&f.base, &b);
    stream_frame_read(buf_str(&b), &got);
    cr_assert(got.id == 1 << 20 && got.channel == STREAM_ERROR && str_is(got.data, "abc"));
    stream_frame_read(STR("\xff\xff"), &got);
    cr_assert(got.id == 0 && got.channel == STREAM_STDOUT && got.data.len == 0);
    buf_clear(&b);
    stream_data_put(&b, STR("in"));
    back = agent__stream_frame__unpack(NULL, b.len, (const uint8_t *)b.at);
    cr_assert(back != NULL && back->data.len == 2 && memcmp(back->data.data, "in", 2) == 0);
    agent__stream_frame__free_unpacked(back, NULL);
    buf_free(&b);
}

TEST(feed, a_refusal_names_its_stream)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__StreamError refused = AGENT__STREAM_ERROR__INIT;
    Agent__LeaseRenew renew = AGENT__LEASE_RENEW__INIT;
    struct stream_refusal got;
    struct buf b;

    refused.has_id = refused.has_code = true;
    refused.id = 9;
    refused.code = 404;
    refused.message = (char *)(uintptr_t) "no such container";
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_STREAM_ERROR;
    m.stream_error = &refused;
    pack(&m.base, &b);
    cr_assert(stream_refusal_read(buf_str(&b), &got));
    cr_assert(got.id == 9 && got.code == 404 && str_is(got.text, "no such container"));
    buf_free(&b);
    refused.code = 7; /* Not a code of HTTP's errors. */
    pack(&m.base, &b);
    cr_assert(stream_refusal_read(buf_str(&b), &got) && got.code == 500);
    buf_free(&b);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &renew;
    pack(&m.base, &b);
    cr_assert(!stream_refusal_read(buf_str(&b), &got));
    cr_assert(!stream_refusal_read(STR(""), &got));
    buf_free(&b);
}

TEST(feed, an_opening_is_the_agents_message)
{
    struct stream_wish w = {.placement_uid = STR("p"),
                            .container = STR("c"),
                            .follow = true,
                            .tail_lines = 0,
                            .limit_bytes = 10};
    struct buf b;

    buf_init(&b, 4096);
    stream_open_put(&b, 3, &w);
    Agent__ServerMessage *m = agent__server_message__unpack(NULL, b.len, (const uint8_t *)b.at);
    cr_assert(m != NULL && m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_OPEN_STREAM);
    const Agent__OpenStream *o = m->open_stream;
    cr_assert(o->id == 3 && o->kind == AGENT__STREAM_KIND__STREAM_KIND_LOGS);
    cr_assert_str_eq(o->placement_uid, "p");
    cr_assert_str_eq(o->container, "c");
    cr_assert(o->logs->follow && !o->logs->previous && o->logs->has_tail_lines);
    cr_assert(o->logs->tail_lines == 0 && o->logs->limit_bytes == 10 && !o->logs->has_since_ns);
    agent__server_message__free_unpacked(m, NULL);
    buf_free(&b);
}
