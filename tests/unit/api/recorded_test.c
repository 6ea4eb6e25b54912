/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every object that a real Kubernetes server was recorded to answer with (tests/wire), of the kinds
 * we have, goes to bytes and comes back as it was: presence, fields that are always there, names
 * and special values are what Kubernetes does, not what we think it does.
 */
#include "api/transcode.h"
#include "tests/testlib/test.h"

#include <dirent.h>
#include <stdio.h>

static uint32_t objects;

static struct str read_file(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *at = arena_alloc(a, size + 1);
    cr_assert_not_null(at);
    cr_assert_eq(fread(at, 1, size, f), size);
    fclose(f);
    return str_from(at, size);
}

/* Recordings say "<time>" where a time was; any will do. */
static struct str with_times(struct arena *a, struct str line)
{
    static const struct {
        struct str mark, time;
    } marks[] = {{STR("\"<time>\""), STR("\"2026-01-02T03:04:05Z\"")},
                 {STR("\"<microtime>\""), STR("\"2026-01-02T03:04:05.060708Z\"")}};
    struct buf out;
    buf_init(&out, 16 << 20);
    for (size_t i = 0; i < line.len;) {
        size_t m = 0;
        struct str rest = str_slice(line, i, line.len);
        while (m < COUNT_OF(marks) && !str_starts(rest, marks[m].mark))
            m++;
        if (m == COUNT_OF(marks)) {
            buf_add_char(&out, line.at[i++]);
            continue;
        }
        buf_add(&out, marks[m].time);
        i += marks[m].mark.len;
    }
    struct str copy = arena_str(a, buf_str(&out));
    buf_free(&out);
    return copy;
}

/* The message of an object or a list, NULL when it is none of ours. */
static const struct schema_message *message_of(const struct json *value)
{
    struct str api_version = json_text(json_find(value, STR("apiVersion")));
    struct str kind = json_text(json_find(value, STR("kind")));
    if (json_find(value, STR("metadata")) == NULL)
        return NULL; /* A reference. */
    if (str_is(kind, "Status") && str_is(api_version, "v1"))
        return schema_message(STR("k8s.io.apimachinery.pkg.apis.meta.v1.Status"));
    for (uint32_t i = 0; i < schema_kinds_count; i++) {
        const struct schema_kind *k = &schema_kinds[i];
        if (!str_eq(k->api_version, api_version))
            continue;
        if (str_eq(k->kind, kind))
            return k->message;
        if (str_eq(k->list->name, kind))
            return k->list;
    }
    return NULL;
}

/* Through a struct, by ours and by protobuf-c's own functions. */
static void check_struct(struct arena *a, const struct schema_message *m, struct str bytes,
                         const char *file)
{
    struct buf ours, theirs;
    struct err e = {0};
    ProtobufCMessage *got = NULL;
    buf_init(&ours, 4 << 20);
    buf_init(&theirs, 4 << 20);
    cr_assert_eq(transcode_unpack(m, bytes, a, &got, &e), ERR_OK, "%s: %s", file, e.text);
    cr_assert_eq(transcode_pack(m, got, a, &ours, &e), ERR_OK, "%s: %s", file, e.text);
    cr_expect(str_eq(buf_str(&ours), bytes), "%s: changed by a struct", file);

    uint8_t *packed = arena_alloc(a, protobuf_c_message_get_packed_size(got) + 1);
    struct str plain = str_from(packed, protobuf_c_message_pack(got, packed));
    cr_assert_eq(transcode_from_protobuf(m, plain, a, &theirs, &e), ERR_OK, "%s: %s", file, e.text);
    cr_expect(str_eq(buf_str(&theirs), bytes), "%s: protobuf-c reads it otherwise", file);
    buf_free(&ours);
    buf_free(&theirs);
}

static void check_object(struct arena *a, const struct schema_message *m, const struct json *want,
                         const char *file)
{
    struct buf bytes, again, text;
    struct transcode_notes notes;
    struct transcode_json how = {0};
    struct json *got = NULL;
    struct err e = {0};
    buf_init(&bytes, 4 << 20);
    buf_init(&again, 4 << 20);
    buf_init(&text, 4 << 20);
    struct transcode_head head;
    cr_assert_eq(transcode_from_tree(m, want, a, &notes, &head, &bytes, &e), ERR_OK, "%s: %s", file,
                 e.text);
    cr_expect_eq(notes.count, 0, "%s: " STR_FMT, file, STR_ARG(notes.at[0]));
    check_struct(a, m, buf_str(&bytes), file);
    how.api_version = head.api_version;
    how.kind = head.kind;
    cr_assert_eq(transcode_to_tree(m, buf_str(&bytes), &how, a, &got, &e), ERR_OK, "%s", e.text);
    if (!json_equal(want, got)) {
        json_print(&text, want);
        buf_add(&text, STR("\ngives\n"));
        json_print(&text, got);
        cr_expect(false, "%s:\n" STR_FMT, file, STR_ARG(buf_str(&text)));
    }
    cr_assert_eq(transcode_from_tree(m, got, a, NULL, NULL, &again, &e), ERR_OK, "%s", e.text);
    cr_expect(str_eq(buf_str(&bytes), buf_str(&again)), "%s", file);
    objects++;
    buf_free(&bytes);
    buf_free(&again);
    buf_free(&text);
}

/* Answers, watch events and what is in them. */
static void walk(struct arena *a, const struct json *value, const char *file)
{
    const struct schema_message *m = value->type == JSON_OBJECT ? message_of(value) : NULL;
    if (m != NULL) {
        check_object(a, m, value, file);
        return;
    }
    for (const struct json *c = value->first; c != NULL; c = c->next)
        walk(a, c, file);
}

static bool holds(struct str s, struct str part)
{
    return memmem(s.at, s.len, part.at, part.len) != NULL;
}

static void check_file(const char *path)
{
    struct arena a;
    arena_init(&a, 256 << 20);
    struct str rest = read_file(&a, path), line;
    while (str_split(&rest, '\n', &line)) {
        struct json *root = NULL;
        struct err e;
        if (line.len == 0 || holds(line, STR("\\u0000")))
            continue; /* One recording holds a text with NUL, which we refuse. */
        cr_assert_eq(json_parse(&a, with_times(&a, line), &root, &e), ERR_OK, "%s: %s", path,
                     e.text);
        for (const struct json *c = root->first; c != NULL; c = c->next) {
            if (str_starts(c->key, STR("response_body")) || str_is(c->key, "response_events"))
                walk(&a, c, path);
        }
    }
    arena_free(&a);
}

TEST(recorded, objects_come_back_as_they_were)
{
    DIR *folder = opendir(TESTS_DIR "/wire/expect");
    cr_assert_not_null(folder);
    objects = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[512];
        if (!str_ends(str_of(entry->d_name), STR(".jsonl")))
            continue;
        (void)snprintf(path, sizeof path, TESTS_DIR "/wire/expect/%s", entry->d_name);
        check_file(path);
    }
    closedir(folder);
    cr_expect_gt(objects, 500);
}
