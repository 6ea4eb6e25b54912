/* SPDX-License-Identifier: Apache-2.0 */
#include "api/transcode.h"
#include "base/wire.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"

#define CORE "k8s.io.api.core.v1."

static struct arena arena;
static struct buf bytes, text;

static void begin(void)
{
    arena_init(&arena, 16 << 20);
    buf_init(&bytes, 4 << 20);
    buf_init(&text, 4 << 20);
}

static void end(void)
{
    arena_free(&arena);
    buf_free(&bytes);
    buf_free(&text);
}

static const struct schema_message *message(const char *full)
{
    const struct schema_message *m = schema_message(str_of(full));
    cr_assert_not_null(m, "%s", full);
    return m;
}

/* json becomes bytes and comes back as want; from text, from a tree, and through protobuf. */
static void becomes(const char *full, const char *json, const char *want)
{
    const struct schema_message *m = message(full);
    struct json *tree = NULL;
    struct err e = {0};
    begin();
    cr_assert_eq(transcode_from_json(m, str_of(json), &arena, NULL, NULL, &bytes, &e), ERR_OK,
                 "%s: %s", json, e.text);
    cr_assert_eq(transcode_to_json(m, buf_str(&bytes), NULL, &text, &e), ERR_OK, "%s", e.text);
    cr_expect(str_is(buf_str(&text), want), "%s\ngives " STR_FMT "\nnot   %s", json,
              STR_ARG(buf_str(&text)), want);

    size_t len = bytes.len;
    cr_assert_eq(json_parse(&arena, str_of(json), &tree, &e), ERR_OK);
    cr_assert_eq(transcode_from_tree(m, tree, &arena, NULL, NULL, &bytes, &e), ERR_OK, "%s",
                 e.text);
    cr_expect(
        str_eq(str_slice(buf_str(&bytes), 0, len), str_slice(buf_str(&bytes), len, bytes.len)),
        "%s: text and tree differ", json);

    struct buf again;
    buf_init(&again, 4 << 20);
    cr_assert_eq(transcode_from_protobuf(m, str_slice(buf_str(&bytes), 0, len), &arena, &again, &e),
                 ERR_OK, "%s: %s", json, e.text);
    cr_expect(str_eq(str_slice(buf_str(&bytes), 0, len), buf_str(&again)), "%s: not canonical",
              json);
    buf_free(&again);
    end();
}

static void fails(const char *full, const char *json, enum err_code code, const char *want)
{
    struct err e = {0};
    begin();
    buf_add(&bytes, STR("before"));
    cr_expect_eq(transcode_from_json(message(full), str_of(json), &arena, NULL, NULL, &bytes, &e),
                 code, "%s: %s", json, e.text);
    cr_expect_str_eq(e.text, want, "%s: %s", json, e.text);
    cr_expect(str_is(buf_str(&bytes), "before"));
    end();
}

TEST(transcode, drops_what_is_empty)
{
    becomes(CORE "ConfigMap", "{}", "{\"metadata\":{\"creationTimestamp\":null}}");
    becomes(CORE "ConfigMap",
            "{\"data\":{\"b\":\"2\",\"a\":\"\"},\"immutable\":false,\"metadata\":{\"name\":\"x\","
            "\"labels\":{},\"namespace\":\"\",\"annotations\":null}}",
            "{\"metadata\":{\"name\":\"x\",\"creationTimestamp\":null},\"data\":{\"a\":\"\",\"b\":"
            "\"2\"},\"immutable\":false}");
    becomes(CORE "ConfigMap", "null", "{\"metadata\":{\"creationTimestamp\":null}}");
}

TEST(transcode, keeps_what_is_present)
{
    becomes(CORE "PodSpec",
            "{\"terminationGracePeriodSeconds\":0,\"hostNetwork\":false,\"priority\":0,"
            "\"enableServiceLinks\":false,\"tolerations\":[{\"tolerationSeconds\":0}],"
            "\"containers\":[]}",
            "{\"containers\":null,\"terminationGracePeriodSeconds\":0,\"tolerations\":[{"
            "\"tolerationSeconds\":0}],\"priority\":0,\"enableServiceLinks\":false}");
    becomes(CORE "Volume", "{\"name\":\"v\",\"emptyDir\":{}}", "{\"name\":\"v\",\"emptyDir\":{}}");
    becomes("baton.dev.v1.Thread", "{}",
            "{\"cpu\":0,\"core\":0,\"cacheDomain\":0,\"numaNode\":0,\"socket\":0}");
}

TEST(transcode, writes_what_is_always_there)
{
    becomes(CORE "Container", "{\"name\":\"c\",\"resources\":{}}",
            "{\"name\":\"c\",\"resources\":{}}");
    becomes(CORE "ContainerStatus", "{}",
            "{\"name\":\"\",\"state\":{},\"lastState\":{},\"ready\":false,\"restartCount\":0,"
            "\"image\":\"\",\"imageID\":\"\"}");
    becomes(CORE "PodList", "{}", "{\"metadata\":{},\"items\":[]}");
    becomes(CORE "HTTPGetAction", "{}", "{\"port\":0}");
    becomes(CORE "ResourceFieldSelector", "{\"resource\":\"limits.cpu\"}",
            "{\"resource\":\"limits.cpu\",\"divisor\":\"0\"}");
    becomes(CORE "EphemeralContainer", "{}", "{\"name\":\"\",\"resources\":{}}");
}

/* Messages that only say that they are there. */
TEST(transcode, shows_what_has_no_fields)
{
    becomes("kubevirt.io.v1.InterfaceSRIOV", "{}", "{}");
    becomes("kubevirt.io.v1.Interface", "{\"sriov\":{},\"name\":\"a\"}",
            "{\"name\":\"a\",\"sriov\":{}}");
}

/* Kubernetes' GRPCAction.service and TypedLocalObjectReference.apiGroup are pointers without omitempty: what is absent
 * is null, and stays absent when it is read again. */
TEST(transcode, an_absent_pointer_that_is_always_shown_is_null)
{
    becomes(CORE "GRPCAction", "{\"port\":1}", "{\"port\":1,\"service\":null}");
    becomes(CORE "GRPCAction", "{\"port\":1,\"service\":\"\"}", "{\"port\":1,\"service\":\"\"}");
    becomes(CORE "TypedLocalObjectReference", "{\"kind\":\"a\"}",
            "{\"apiGroup\":null,\"kind\":\"a\",\"name\":\"\"}");
}

TEST(transcode, inlines)
{
    becomes(CORE "Probe",
            "{\"periodSeconds\":3,\"httpGet\":{\"port\":\"web\",\"path\":\"/\"},"
            "\"failureThreshold\":1}",
            "{\"httpGet\":{\"path\":\"/\",\"port\":\"web\"},\"periodSeconds\":3,"
            "\"failureThreshold\":1}");
    becomes(CORE "ConfigMapKeySelector", "{\"key\":\"k\",\"optional\":true,\"name\":\"n\"}",
            "{\"name\":\"n\",\"key\":\"k\",\"optional\":true}");
    becomes(CORE "EphemeralContainer",
            "{\"targetContainerName\":\"t\",\"tty\":true,\"image\":\"i\",\"name\":\"n\"}",
            "{\"name\":\"n\",\"image\":\"i\",\"resources\":{},\"tty\":true,"
            "\"targetContainerName\":\"t\"}");
}

TEST(transcode, special_values)
{
    becomes(CORE "ResourceRequirements",
            "{\"requests\":{\"memory\":\"1024Mi\",\"cpu\":0.5},\"limits\":{\"cpu\":2,\"x\":null}}",
            "{\"limits\":{\"cpu\":\"2\",\"x\":\"0\"},\"requests\":{\"cpu\":\"500m\",\"memory\":"
            "\"1Gi\"}}");
    becomes(CORE "ContainerStateRunning", "{\"startedAt\":\"2026-01-02T03:04:05.678+01:00\"}",
            "{\"startedAt\":\"2026-01-02T02:04:05Z\"}");
    becomes(CORE "ContainerStateRunning", "{\"startedAt\":\"0001-01-01T00:00:00Z\"}",
            "{\"startedAt\":null}");
    becomes("k8s.io.api.coordination.v1.LeaseSpec",
            "{\"renewTime\":\"1969-12-31T23:59:59.123456Z\",\"holderIdentity\":\"\"}",
            "{\"holderIdentity\":\"\",\"renewTime\":\"1969-12-31T23:59:59.123456Z\"}");
    becomes(CORE "Secret", "{\"data\":{\"k\":\"aGk=\",\"e\":\"\"},\"type\":\"Opaque\"}",
            "{\"metadata\":{\"creationTimestamp\":null},\"data\":{\"e\":\"\",\"k\":\"aGk=\"},"
            "\"type\":\"Opaque\"}");
    becomes("k8s.io.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
            "{\"fieldsV1\":{ \"f:a\" : { \".\": {} , \"b c\\\" \":[1, 2]} }}",
            "{\"fieldsV1\":{\"f:a\":{\".\":{},\"b c\\\" \":[1,2]}}}");
    becomes("k8s.io.apimachinery.pkg.apis.meta.v1.APIResource", "{\"verbs\":[\"get\",\"\"]}",
            "{\"name\":\"\",\"namespaced\":false,\"kind\":\"\",\"verbs\":[\"get\",\"\"],"
            "\"singularName\":\"\"}");
    becomes(CORE "SecurityContext", "{\"runAsUser\":-1}", "{\"runAsUser\":-1}");
}

/* The order of members does not show in the bytes; of equal names the last one counts. */
TEST(transcode, has_one_encoding_per_object)
{
    becomes(
        CORE "Pod",
        "{\"spec\":{\"volumes\":[{\"emptyDir\":{\"medium\":\"Memory\"},\"name\":\"v\"}],"
        "\"nodeName\":\"n\",\"containers\":[{\"ports\":[{\"containerPort\":80}],\"name\":\"c\"}]"
        "},\"metadata\":{\"uid\":\"u\",\"name\":\"p\"},\"kind\":\"Pod\",\"apiVersion\":\"v1\"}",
        "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"creationTimestamp\":null},\"spec\":{"
        "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{\"medium\":\"Memory\"}}],\"containers\":[{"
        "\"name\":\"c\",\"ports\":[{\"containerPort\":80}],\"resources\":{}}],\"nodeName\":\"n\""
        "},\"status\":{}}");
    becomes(CORE "ConfigMap",
            "{\"metadata\":{\"name\":\"1\"},\"data\":{\"z\":\"1\",\"a\":\"1\",\"z\":\"2\"},"
            "\"metadata\":{\"name\":\"2\",\"name\":\"3\"}}",
            "{\"metadata\":{\"name\":\"3\",\"creationTimestamp\":null},\"data\":{\"a\":\"1\",\"z\":"
            "\"2\"}}");
}

TEST(transcode, words_wrong_types_as_kubernetes_does)
{
    fails(CORE "ConfigMap", "{\"data\":{\"a\":1}}", ERR_INVALID,
          "json: cannot unmarshal number into Go struct field ConfigMap.data of type string");
    fails(CORE "ConfigMap", "{\"data\":[]}", ERR_INVALID,
          "json: cannot unmarshal array into Go struct field ConfigMap.data of type "
          "map[string]string");
    fails(CORE "ConfigMap", "[]", ERR_INVALID,
          "json: cannot unmarshal array into Go value of type v1.ConfigMap");
    fails(CORE "Pod", "{\"spec\":{\"containers\":[{},{\"ports\":[{\"hostPort\":\"x\"}]}]}}",
          ERR_INVALID,
          "json: cannot unmarshal string into Go struct field "
          "ContainerPort.spec.containers.ports.hostPort of type int32");
    fails(CORE "Pod", "{\"spec\":{\"containers\":[{\"ports\":[{\"hostPort\":1.5}]}]}}", ERR_INVALID,
          "json: cannot unmarshal number 1.5 into Go struct field "
          "ContainerPort.spec.containers.ports.hostPort of type int32");
    fails(CORE "Pod", "{\"spec\":{\"containers\":{}}}", ERR_INVALID,
          "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type "
          "[]v1.Container");
    fails(CORE "Pod", "{\"metadata\":\"x\"}", ERR_INVALID,
          "json: cannot unmarshal string into Go struct field Pod.metadata of type v1.ObjectMeta");
    fails(CORE "Pod", "{\"kind\":3}", ERR_INVALID,
          "json: cannot unmarshal number into Go struct field Pod.kind of type string");
    fails(CORE "Secret", "{\"data\":{\"a\":\"!\"}}", ERR_INVALID,
          "illegal base64 data at input byte 0");
    fails(CORE "Taint", "{\"timeAdded\":\"yesterday\"}", ERR_INVALID,
          "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" "
          "as \"2006\"");
    fails(CORE "EventSeries", "{\"lastObservedTime\":\"2024-01-02T03:04:05Z\"}", ERR_INVALID,
          "parsing time \"2024-01-02T03:04:05Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot "
          "parse \"Z\" as \".000000\"");
    fails(CORE "EmptyDirVolumeSource", "{\"sizeLimit\":\"1KI\"}", ERR_INVALID,
          "quantities must match the regular expression "
          "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

TEST(transcode, what_is_no_json_is_that_first)
{
    fails(CORE "ConfigMap", "{\"data\":1,", ERR_CORRUPT, "unexpected end of JSON input");
    fails(CORE "ConfigMap", "{} x", ERR_CORRUPT, "invalid character 'x' after top-level value");
    fails(CORE "ConfigMap", "{\"data\":{\"a\":\"\\u0000\"}}", ERR_CORRUPT,
          "NUL character in string literal");
    fails(CORE "ConfigMap", "", ERR_CORRUPT, "unexpected end of JSON input");
}

TEST(transcode, notes_unknown_and_duplicate_fields)
{
    static const char *const want[] = {"duplicate field \"kind\"",
                                       "duplicate field \"metadata\"",
                                       "duplicate field \"metadata.name\"",
                                       "duplicate field \"metadata.labels.l\"",
                                       "unknown field \"spec.containers[1].foo\"",
                                       "unknown field \"spec.containers[1].ports[0].x\"",
                                       "unknown field \"metaData\""};
    static const char json[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"kind\":\"Pod\","
        "\"metadata\":{\"name\":\"a\",\"name\":\"a2\",\"labels\":{\"l\":\"1\",\"l\":\"2\"}},"
        "\"spec\":{\"containers\":[{},{\"foo\":{\"bar\":[1]},\"ports\":[{\"x\":null}]}]},"
        "\"metaData\":1}";
    struct transcode_notes notes;
    struct transcode_head head;
    struct err e;
    begin();
    cr_assert_eq(
        transcode_from_json(message(CORE "Pod"), str_of(json), &arena, &notes, &head, &bytes, &e),
        ERR_OK);
    cr_expect_eq(notes.count, COUNT_OF(want));
    for (uint32_t i = 0; i < notes.count; i++)
        cr_expect(str_is(notes.at[i], want[i]), STR_FMT, STR_ARG(notes.at[i]));
    cr_expect(str_is(head.api_version, "v1") && str_is(head.kind, "Pod"));
    end();
}

/* A name as long as the body, of characters of three bytes: told in part, and still text. */
TEST(transcode, long_names_are_told_in_part)
{
    struct transcode_notes notes;
    struct err e;
    begin();
    buf_add(&text, STR("{\"x"));
    for (int i = 0; i < 5000; i++)
        buf_add(&text, STR("\xe2\x82\xac"));
    buf_add(&text, STR("\":1}"));
    cr_assert_eq(
        transcode_from_json(message(CORE "Pod"), buf_str(&text), &arena, &notes, NULL, &bytes, &e),
        ERR_OK);
    cr_assert_eq(notes.count, 1);
    cr_expect(notes.at[0].len > 1000 && notes.at[0].len < 1100 && str_is_utf8(notes.at[0]));
    cr_expect(str_ends(notes.at[0], STR("\xac\"")));
    end();
    fails(CORE "Taint",
          "{\"timeAdded\":\"1234567890123456789012345678901234567890123456789012345678901"
          "23\xe2\x82\xac\xe2\x82\xac\"}",
          ERR_INVALID,
          "parsing time \"123456789012345678901234567890123456789012345678901234567890123\" as "
          "\"2006-01-02T15:04:05Z07:00\": cannot parse "
          "\"56789012345678901234567890123456789012345678901234567890123\xe2\x82\xac\" as \"-\"");
}

TEST(transcode, puts_kind_and_version_in)
{
    const struct transcode_json how = {STR("v1"), STR("ConfigMap"), 42, NULL};
    const struct schema_message *m = message(CORE "ConfigMap");
    struct err e;
    begin();
    cr_assert_eq(
        transcode_from_json(m, STR("{\"metadata\":{\"resourceVersion\":\"7\",\"uid\":\"u\"}}"),
                            &arena, NULL, NULL, &bytes, &e),
        ERR_OK);
    cr_assert_eq(transcode_to_json(m, buf_str(&bytes), &how, &text, &e), ERR_OK);
    cr_expect(str_is(buf_str(&text), "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{"
                                     "\"uid\":\"u\",\"resourceVersion\":\"42\","
                                     "\"creationTimestamp\":null}}"),
              STR_FMT, STR_ARG(buf_str(&text)));

    struct json *tree = NULL;
    cr_assert_eq(transcode_to_tree(m, buf_str(&bytes), &how, &arena, &tree, &e), ERR_OK);
    cr_expect(str_is(json_text(json_path(tree, "metadata.resourceVersion")), "42"));

    struct buf with, without;
    buf_init(&with, 1000);
    buf_init(&without, 1000);
    cr_assert_eq(transcode_set_version(m, buf_str(&bytes), 42, &with, &e), ERR_OK);
    buf_clear(&text);
    cr_assert_eq(transcode_to_json(m, buf_str(&with), NULL, &text, &e), ERR_OK);
    cr_expect(str_is(buf_str(&text), "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"42\","
                                     "\"creationTimestamp\":null}}"));
    cr_assert_eq(transcode_set_version(m, buf_str(&with), 0, &without, &e), ERR_OK);
    cr_expect_null(wire_find_bytes(wire_find_bytes(buf_str(&without), 1), 6).at);
    buf_clear(&with);
    cr_assert_eq(transcode_set_version(m, STR(""), 1, &with, &e), ERR_OK);
    cr_expect(str_is(wire_find_bytes(wire_find_bytes(buf_str(&with), 1), 6), "1"));
    buf_free(&with);
    buf_free(&without);
    end();
}

/* What kubectl sends: every scalar, empty ones too; recorded from `kubectl create sa x1`. */
TEST(transcode, reads_other_peoples_protobuf)
{
    static const struct str body =
        STR("k8s\0\x0a\x14\x0a\x02v1\x12\x0eServiceAccount\x12\x14\x0a\x12"
            "\x0a\x02x1\x12\0\x1a\0\"\0*\0002\0008\0B\0\x1a\0\"\0");
    struct transcode_envelope got;
    struct err e = {0};
    begin();
    cr_assert_eq(transcode_open(body, &got, &e), ERR_OK, "%s", e.text);
    cr_expect(str_is(got.head.kind, "ServiceAccount") && str_is(got.head.api_version, "v1"));
    cr_assert_eq(
        transcode_from_protobuf(message(CORE "ServiceAccount"), got.raw, &arena, &bytes, &e),
        ERR_OK, "%s", e.text);
    cr_expect(str_eq(buf_str(&bytes), STR("\x0a\x04\x0a\x02x1")));
    transcode_wrap(&got, &text);
    cr_expect(str_eq(buf_str(&text), body));
    cr_expect_eq(transcode_open(STR("{}"), &got, &e), ERR_INVALID);
    cr_expect_eq(transcode_open(STR("k8s\0"), &got, &e), ERR_INVALID);
    cr_expect_str_eq(e.text, "empty body");
    cr_expect_eq(transcode_open(STR("k8s\0\xff"), &got, &e), ERR_CORRUPT);
    cr_expect_str_eq(e.text, "unexpected EOF");
    end();
}

TEST(transcode, mends_protobuf_in_any_order)
{
    struct err e = {0};
    begin();
    struct buf raw;
    buf_init(&raw, 10000);
    wire_put_u64(&raw, 4, 1); /* immutable */
    wire_put_bytes(&raw, 2,
                   STR("\x0a\x01z\x12\x01"
                       "1"));
    wire_put_bytes(&raw, 99, STR("unknown"));
    wire_put_bytes(&raw, 1, STR("\x0a\x01n"));
    wire_put_bytes(&raw, 2,
                   STR("\x0a\x01"
                       "a"));
    wire_put_bytes(&raw, 2,
                   STR("\x12\x01"
                       "2\x0a\x01z"));
    wire_put_bytes(&raw, 1, STR("\x1a\x01s"));
    wire_put_u64(&raw, 4, 0);
    cr_assert_eq(
        transcode_from_protobuf(message(CORE "ConfigMap"), buf_str(&raw), &arena, &bytes, &e),
        ERR_OK, "%s", e.text);
    cr_assert_eq(transcode_to_json(message(CORE "ConfigMap"), buf_str(&bytes), NULL, &text, &e),
                 ERR_OK);
    cr_expect(str_is(buf_str(&text),
                     "{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\","
                     "\"creationTimestamp\":null},\"data\":{\"a\":\"\",\"z\":\"2\"},"
                     "\"immutable\":false}"),
              STR_FMT, STR_ARG(buf_str(&text)));
    cr_expect_eq(transcode_to_json(message(CORE "ConfigMap"), buf_str(&raw), NULL, &text, &e),
                 ERR_CORRUPT);
    buf_free(&raw);
    end();
}

TEST(transcode, refuses_protobuf_that_is_no_text)
{
    static const struct str bad[] = {
        STR("\x0a\x03\x0a\x01\xff"), /* name is no UTF-8 */
        STR("\x0a\x03\x0a\x01\x00"), /* name holds NUL */
        STR("\x0a\x02\x08\x01"),     /* name is a number */
        STR("\x0a\x05\x0a\x01x"),    /* cut */
        STR("\x12\x03\x0a\x01\xff"), /* a key is no UTF-8 */
        STR("\x08\x01"),             /* metadata is a number */
    };
    struct err e = {0};
    begin();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cr_expect_neq(
            transcode_from_protobuf(message(CORE "ConfigMap"), bad[i], &arena, &bytes, &e), ERR_OK,
            "%zu", i);
        cr_expect_eq(bytes.len, 0);
    }
    end();
}

TEST(transcode, structs_come_and_go)
{
    const struct schema_message *m = message(CORE "Pod");
    ProtobufCMessage *got = NULL;
    struct err e = {0};
    begin();
    cr_assert_eq(transcode_from_json(m,
                                     STR("{\"metadata\":{\"name\":\"p\",\"labels\":{\"b\":\"1\","
                                         "\"a\":\"2\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
                                         "\"resources\":{\"requests\":{\"cpu\":1}}}]}}"),
                                     &arena, NULL, NULL, &bytes, &e),
                 ERR_OK);
    cr_assert_eq(transcode_unpack(m, buf_str(&bytes), &arena, &got, &e), ERR_OK, "%s", e.text);
    Core__Pod *pod = (Core__Pod *)got;
    cr_expect_str_eq(pod->metadata->name, "p");
    cr_expect_str_eq(pod->spec->containers[0]->resources->requests[0]->value->string, "1");
    cr_assert_eq(transcode_pack(m, got, &arena, &text, &e), ERR_OK);
    cr_expect(str_eq(buf_str(&text), buf_str(&bytes)));

    pod->spec->node_name = (char *)""; /* Empty: as if it were not there. */
    pod->spec->has_priority = 1;
    buf_clear(&text);
    cr_assert_eq(transcode_pack(m, got, &arena, &text, &e), ERR_OK);
    cr_expect_eq(text.len, bytes.len + 3); /* priority: tag of two bytes and 0 */
    cr_expect_eq(transcode_unpack(m, STR("\x0a\x03\x0a\x01\xff"), &arena, &got, &e), ERR_CORRUPT);
    end();
}

/* What code puts into a struct in any order becomes canonical; lists of numbers come either way. */
TEST(transcode, structs_need_not_be_canonical)
{
    const struct schema_message *m = message(CORE "Pod"), *s = message(CORE "PodSecurityContext");
    Meta__ObjectMeta__LabelsEntry b = META__OBJECT_META__LABELS_ENTRY__INIT, a = b, last = b;
    Meta__ObjectMeta__LabelsEntry *labels[] = {&b, &a, &last};
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Core__Pod pod = CORE__POD__INIT;
    ProtobufCMessage *got = NULL;
    struct err e = {0};
    begin();
    b.key = last.key = (char *)"b";
    b.value = (char *)"first";
    last.value = (char *)"last";
    a.key = (char *)"a"; /* Without a value: empty. */
    meta.labels = labels;
    meta.n_labels = 3;
    pod.metadata = &meta;
    cr_assert_eq(transcode_pack(m, &pod.base, &arena, &bytes, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(transcode_to_json(m, buf_str(&bytes), NULL, &text, &e), ERR_OK);
    cr_expect(str_starts(buf_str(&text), STR("{\"metadata\":{\"creationTimestamp\":null,"
                                             "\"labels\":{\"a\":\"\",\"b\":\"last\"}}")),
              STR_FMT, STR_ARG(buf_str(&text)));
    meta.name = (char *)"\xff";
    cr_expect_eq(transcode_pack(m, &pod.base, &arena, &bytes, &e), ERR_INVALID);

    /* supplementalGroups: two packed, one not, then one behind another field. */
    struct str groups = STR("\x22\x02\x01\x02\x20\x03\x28\x07\x20\x04");
    cr_assert_eq(transcode_unpack(s, groups, &arena, &got, &e), ERR_OK, "%s", e.text);
    Core__PodSecurityContext *security = (Core__PodSecurityContext *)got;
    cr_assert_eq(security->n_supplemental_groups, 4);
    for (int64_t i = 0; i < 4; i++)
        cr_expect_eq(security->supplemental_groups[i], i + 1);
    cr_expect(security->has_fs_group && security->fs_group == 7);
    end();
}

/* Agents' messages recurse: a peer may nest them as deeply as its bytes allow. */
TEST(transcode, deep_messages_are_refused)
{
    const struct schema_message *m = message("baton.agent.v1.ContainerFact");
    struct buf deep, wider;
    struct err e = {0};
    ProtobufCMessage *got = NULL;
    begin();
    buf_init(&deep, 1 << 20);
    buf_init(&wider, 1 << 20);
    for (int i = 0; i < 200; i++) {
        buf_clear(&wider);
        wire_put_bytes(&wider, 16, buf_str(&deep));
        buf_clear(&deep);
        buf_add(&deep, buf_str(&wider));
    }
    cr_expect_eq(transcode_unpack(m, buf_str(&deep), &arena, &got, &e), ERR_LIMIT);
    cr_expect_eq(transcode_from_protobuf(m, buf_str(&deep), &arena, &bytes, &e), ERR_LIMIT);
    cr_expect_eq(transcode_to_json(m, buf_str(&deep), NULL, &text, &e), ERR_LIMIT);
    buf_free(&deep);
    buf_free(&wider);
    end();
}

/* A name is copied without looking at its length, up to a length: each field of each message, alone and behind others. */
static void is_named(const struct schema_message *m, const struct schema_field *f)
{
    struct json *tree = NULL;
    struct err e = {0};
    begin();
    if (f->type >= SCHEMA_STRING)
        wire_put_bytes(&bytes, f->number, STR(""));
    else
        wire_put_u64(&bytes, f->number, 1);
    cr_assert_eq(transcode_to_json(m, buf_str(&bytes), NULL, &text, &e), ERR_OK,
                 STR_FMT "." STR_FMT ": %s", STR_ARG(m->name), STR_ARG(f->json), e.text);
    cr_assert_eq(json_parse(&arena, buf_str(&text), &tree, &e), ERR_OK, STR_FMT ": %s",
                 STR_ARG(buf_str(&text)), e.text);
    cr_expect_not_null(json_find(tree, f->json), STR_FMT " is not in " STR_FMT, STR_ARG(f->json),
                       STR_ARG(buf_str(&text)));
    cr_expect_eq(f->key.len, f->json.len + 4);
    for (size_t at = f->key.len; at < SCHEMA_KEY_SIZE; at++)
        cr_expect_eq(f->key.at[at], '\0');
    end();
}

TEST(transcode, writes_each_name)
{
    for (const struct schema_message *m = schema_messages;
         m < schema_messages + schema_messages_count; m++)
        for (uint32_t i = 0; m->special == SCHEMA_PLAIN && i < m->fields_count; i++)
            if (!m->fields[i].inlined)
                is_named(m, &m->fields[i]);
}

/* The longest there are, as the first of an object and behind another. */
TEST(transcode, long_names_stand_whole)
{
    becomes(CORE "Affinity",
            "{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{"
            "\"nodeSelectorTerms\":[{}]},\"preferredDuringSchedulingIgnoredDuringExecution\":[{"
            "\"weight\":1,\"preference\":{}}]}}",
            "{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{"
            "\"nodeSelectorTerms\":[{}]},\"preferredDuringSchedulingIgnoredDuringExecution\":[{"
            "\"weight\":1,\"preference\":{}}]}}");
}

TEST(transcode, limits_are_errors)
{
    struct err e = {0};
    struct buf small;
    begin();
    buf_init(&small, 10);
    cr_expect_eq(transcode_from_json(message(CORE "ConfigMap"),
                                     STR("{\"data\":{\"key\":\"0123456789\"}}"), &arena, NULL, NULL,
                                     &small, &e),
                 ERR_LIMIT);
    cr_expect_eq(small.len, 0);
    buf_free(&small);
    end();
}
