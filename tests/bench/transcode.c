/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast an object changes its form: one core, release build, no system calls.
 *
 * Each line does one conversion over and over for SECONDS on one object, and prints how long one
 * takes and how many bytes of JSON per second that is. bare is what it costs to look at every
 * byte of the JSON once (json_read_skip), which no decoder can beat.
 */
#include "api/table.h"
#include "api/transcode.h"
#include "base/check.h"
#include "base/jsonread.h"

#include <stdio.h>
#include <time.h>

static const double SECONDS = 0.4;

/* A pod as a client posts it: names, an image, requests, a probe, a volume. 1 KB. */
static const char posted[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"example.org/owner\":"
    "\"team-checkout\",\"example.org/revision\":\"2026-11-21-0815\"},\"labels\":{\"app\":"
    "\"checkout\",\"tier\":\"backend\",\"pod-template-hash\":\"5d9c7b6f44\"},\"name\":"
    "\"checkout-5d9c7b6f44-x7k2p\",\"namespace\":\"production\"},\"spec\":{\"containers\":[{"
    "\"args\":[\"--listen=:8080\",\"--log-level=info\"],\"env\":[{\"name\":\"DATABASE_URL\","
    "\"valueFrom\":{\"secretKeyRef\":{\"key\":\"url\",\"name\":\"checkout-db\"}}},{\"name\":"
    "\"GOMAXPROCS\",\"value\":\"2\"}],\"image\":\"registry.example.org/shop/checkout:v2.14.3\","
    "\"imagePullPolicy\":\"IfNotPresent\",\"name\":\"checkout\",\"ports\":[{\"containerPort\":8080,"
    "\"name\":\"http\",\"protocol\":\"TCP\"}],\"readinessProbe\":{\"httpGet\":{\"path\":"
    "\"/healthz\",\"port\":\"http\"},\"periodSeconds\":5},\"resources\":{\"limits\":{\"cpu\":\"2\","
    "\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"500m\",\"memory\":\"512Mi\"}},\"volumeMounts\":[{"
    "\"mountPath\":\"/cache\",\"name\":\"cache\"}]}],\"nodeSelector\":{\"kubernetes.io/arch\":"
    "\"amd64\"},\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"volumes\":[{"
    "\"emptyDir\":{\"sizeLimit\":\"1Gi\"},\"name\":\"cache\"}]}}";

/* CPU time: others may be using the machine. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench {
    const struct kind *kind;
    const struct schema_message *m;
    struct str json, bytes;
    struct arena arena;
    struct buf out;
};

static void bare(struct bench *b)
{
    struct json_reader r;
    json_read_text(&r, &b->arena, b->json);
    CHECK(json_read_skip(&r));
}

static void to_bytes(struct bench *b)
{
    struct transcode_notes notes;
    struct transcode_head head;
    CHECK(transcode_from_json(b->m, b->json, &b->arena, &notes, &head, &b->out, NULL) == ERR_OK);
}

static void to_json(struct bench *b)
{
    static const struct transcode_json how = {STR("v1"), STR("Pod"), 123456, NULL};
    CHECK(transcode_to_json(b->m, b->bytes, &how, &b->out, NULL) == ERR_OK);
}

static void to_cells(struct bench *b)
{
    CHECK(table_cells(b->kind, b->bytes, &b->arena, &b->out, NULL) == ERR_OK);
}

static void to_tree(struct bench *b)
{
    struct json *tree = NULL;
    CHECK(json_parse(&b->arena, b->json, &tree, NULL) == ERR_OK);
}

static void bytes_to_tree(struct bench *b)
{
    struct json *tree = NULL;
    CHECK(transcode_to_tree(b->m, b->bytes, NULL, &b->arena, &tree, NULL) == ERR_OK);
}

static void to_canonical(struct bench *b)
{
    CHECK(transcode_from_protobuf(b->m, b->bytes, &b->arena, &b->out, NULL) == ERR_OK);
}

static void to_struct(struct bench *b)
{
    ProtobufCMessage *object = NULL;
    CHECK(transcode_unpack(b->m, b->bytes, &b->arena, &object, NULL) == ERR_OK);
}

static const char *only = ""; /* Lines whose name begins like this. */

static void run(const char *name, struct bench *b, void (*once)(struct bench *b))
{
    uint64_t count = 0;
    if (!str_starts(str_of(name), str_of(only)))
        return;
    double begin = now(), end = begin;
    while (end - begin < SECONDS) {
        for (int i = 0; i < 100; i++, count++) {
            buf_clear(&b->out);
            once(b);
            arena_free(&b->arena);
        }
        end = now();
    }
    double each = (end - begin) / (double)count;
    printf("transcode %s %.0f ns\n", name, each * 1e9);
    printf("transcode %s_rate %.0f MB/s\n", name, (double)b->json.len / each / 1e6);
}

/* transcode [NAME]: only the lines that begin with NAME, as for a profiler. */
int main(int argc, char **argv)
{
    if (argc > 1)
        only = argv[1];
    const struct kind *pods = kind_find(STR(""), STR("pods"));
    struct bench b = {.kind = pods, .m = kind_schema(pods)->message, .json = str_of(posted)};
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    buf_init(&b.out, 1 << 20);
    arena_init(&b.arena, 64 << 20);
    CHECK(transcode_from_json(b.m, b.json, &b.arena, NULL, NULL, &bytes, NULL) == ERR_OK);
    b.bytes = buf_str(&bytes);

    printf("transcode json_size %zu bytes\n", b.json.len);
    printf("transcode bytes_size %zu bytes\n", b.bytes.len);
    run("bare", &b, bare);
    run("json_to_bytes", &b, to_bytes);
    run("bytes_to_json", &b, to_json);
    run("bytes_to_cells", &b, to_cells);
    run("json_to_tree", &b, to_tree);
    run("bytes_to_tree", &b, bytes_to_tree);
    run("protobuf_to_bytes", &b, to_canonical);
    run("bytes_to_struct", &b, to_struct);
    buf_free(&bytes);
    buf_free(&b.out);
    return 0;
}
