/* SPDX-License-Identifier: Apache-2.0 */
/* Lists longer than one answer that is made whole: every form of them comes in parts and says the same. */
#include "tests/unit/serve/whole.h"

#include "api/transcode.h"
#include "api/yaml.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"

#include <stdio.h>

enum { OBJECTS = 5, VALUE_LEN = 700 << 10 };

#define PATH "/api/v1/namespaces/default/configmaps"

static void create(struct whole *w, uint32_t number)
{
    struct caller c = {0};
    struct buf body;

    buf_init(&body, 4 << 20);
    buf_printf(&body, "{\"metadata\":{\"name\":\"m%u\"},\"data\":{\"a\":\"x: [y]\",\"z\":\"",
               number);
    for (uint32_t i = 0; i < VALUE_LEN; i++)
        buf_add_char(&body, (char)('a' + (i + number) % 26));
    buf_add(&body, STR("\"}}"));
    whole_ask(&c, w, w->admin_tls, "POST", PATH, buf_str(&body));
    cr_assert_eq(c.status, 201, STR_FMT, STR_ARG(str_slice(buf_str(&c.body), 0, 400)));
    caller_close(&c);
    buf_free(&body);
}

/* The body lives until caller_close(). */
static struct str list(struct caller *c, struct whole *w, const char *accept, const char *path)
{
    *c = (struct caller){.accept = accept};
    whole_ask(c, w, w->admin_tls, "GET", path, STR(""));
    cr_assert_eq(c->status, 200, STR_FMT, STR_ARG(str_slice(buf_str(&c->body), 0, 400)));
    cr_assert(!c->failed);
    return buf_str(&c->body);
}

static void check_pretty(struct whole *w, struct str compact)
{
    struct caller c;
    struct buf want;

    buf_init(&want, 64 << 20);
    json_indent(&want, str_trim(compact));
    cr_assert(str_eq(list(&c, w, "application/json", PATH "?pretty=true"), buf_str(&want)));
    caller_close(&c);
    buf_free(&want);
}

static void check_yaml(struct whole *w, const char *path)
{
    struct caller json, yaml;
    struct json *want, *documents[YAML_DOCUMENTS_MAX];
    struct arena a;
    struct err e;
    uint32_t count;

    arena_init(&a, 256 << 20);
    struct str text = list(&json, w, NULL, path);
    cr_assert_eq(json_parse(&a, text, &want, &e), ERR_OK, "%s", e.text);
    text = list(&yaml, w, "application/yaml", path);
    cr_assert(str_starts(text, STR("apiVersion: v1\nitems:")));
    cr_assert_eq(yaml_parse(&a, text, documents, &count, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(count, 1);
    cr_assert(json_equal(documents[0], want));
    caller_close(&json);
    caller_close(&yaml);
    arena_free(&a);
}

static void check_protobuf(struct whole *w)
{
    struct caller c;
    struct transcode_envelope env;
    struct str bytes = list(&c, w, "application/vnd.kubernetes.protobuf", PATH);

    cr_assert_eq(transcode_open(bytes, &env, NULL), ERR_OK);
    Core__ConfigMapList *l =
        core__config_map_list__unpack(NULL, env.raw.len, (const uint8_t *)env.raw.at);
    cr_assert_not_null(l);
    cr_assert_eq(l->n_items, OBJECTS);
    cr_assert_str_eq(l->items[OBJECTS - 1]->metadata->name, "m4");
    cr_assert_eq(strlen(l->items[0]->data[1]->value), VALUE_LEN);
    core__config_map_list__free_unpacked(l, NULL);
    caller_close(&c);
}

TEST(list, long_ones_come_in_parts_in_every_form)
{
    struct whole w;
    struct caller c;

    whole_open(&w);
    check_yaml(&w, "/api/v1/namespaces/default/pods"); /* An empty one. */
    for (uint32_t i = 0; i < OBJECTS; i++)
        create(&w, i);
    struct str compact = list(&c, &w, NULL, PATH);
    cr_assert_gt(compact.len, OBJECTS * VALUE_LEN);
    check_pretty(&w, compact);
    caller_close(&c);
    check_yaml(&w, PATH);
    check_yaml(&w, PATH "?limit=2");
    check_protobuf(&w);
    whole_close(&w);
}

/* ---- runs of neighbours, and item by item ---- */

enum { SMALL = 60, PAGE = 7 };

#define BY_ITEM                                                                                    \
    "fieldSelector=metadata.namespace%3Ddefault" /* A selector is asked of each object. */

static void write_small(struct whole *w, const char *method, uint32_t number, const char *value,
                        uint32_t status)
{
    struct caller c = {0};
    char path[128], body[256];
    bool is_new = str_is(str_of(method), "POST");

    snprintf(path, sizeof path, is_new ? PATH : PATH "/s%02u", number);
    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"s%02u\"},\"data\":{\"a\":\"%s\"}}",
             number, value);
    whole_ask(&c, w, w->admin_tls, method, path,
              str_is(str_of(method), "DELETE") ? STR("") : str_of(body));
    cr_assert_eq(c.status, status, STR_FMT, STR_ARG(buf_str(&c.body)));
    caller_close(&c);
}

/* A Table's ages go on with the seconds: what is compared must have been asked for within one of them. */
static void check_same(struct whole *w, const char *accept)
{
    bool is_one_second = false;
    for (int tries = 0; tries < 20 && !is_one_second; tries++) {
        struct caller before, runs, again, after;
        struct str want = list(&before, w, accept, PATH "?" BY_ITEM);
        struct str first = list(&runs, w, accept, PATH), second = list(&again, w, accept, PATH);
        is_one_second = str_eq(list(&after, w, accept, PATH "?" BY_ITEM), want);
        cr_assert(!is_one_second || (str_eq(first, want) && str_eq(second, want)), "%s", accept);
        caller_close(&before);
        caller_close(&runs);
        caller_close(&again);
        caller_close(&after);
    }
    cr_assert(is_one_second, "%s", accept);
}

/* Page after page: every name once, in order, though names come and go in between: a page is of the state its list began
 * with. Each is asked for on a connection of its own, so threads that kept the state and threads that must make it again
 * answer in turn. */
static void check_pages(struct whole *w, const char *order)
{
    bool is_new = false;
    struct caller c;
    struct json *tree;
    struct arena a;
    struct err e;
    struct buf names;
    char path[512] = PATH "?limit=7";

    arena_init(&a, 64 << 20);
    buf_init(&names, 4096);
    for (struct str next = STR("?"); next.len > 0;) {
        cr_assert_eq(json_parse(&a, list(&c, w, NULL, path), &tree, &e), ERR_OK, "%s", e.text);
        struct json *items = json_find(tree, STR("items"));
        next = json_text(json_find(json_find(tree, STR("metadata")), STR("continue")));
        cr_assert(items->count == PAGE || next.len == 0);
        for (struct json *i = items->first; i != NULL; i = i->next)
            buf_add(&names, json_text(json_find(json_find(i, STR("metadata")), STR("name"))));
        snprintf(path, sizeof path, PATH "?limit=7&continue=" STR_FMT, STR_ARG(next));
        caller_close(&c);
        is_new = !is_new;
        write_small(w, is_new ? "POST" : "DELETE", 99, "between", is_new ? 201 : 200);
        write_small(w, "PUT", 0, is_new ? "new" : "old", 200);
    }
    if (is_new)
        write_small(w, "DELETE", 99, "", 200);
    cr_assert(str_is(buf_str(&names), order), STR_FMT, STR_ARG(buf_str(&names)));
    buf_free(&names);
    arena_free(&a);
}

/* What is kept of neighbours is theirs alone: each write among them shows. */
TEST(list, runs_say_what_the_objects_say)
{
    static const char *const forms[] = {
        "application/json", "application/vnd.kubernetes.protobuf",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1;g=meta.k8s.io"};
    struct whole w;
    char order[4 * SMALL] = "";

    whole_open(&w);
    for (uint32_t i = 0; i < SMALL; i++)
        write_small(&w, "POST", (i * 7) % SMALL, "first", 201);
    for (uint32_t round = 0; round < 3; round++) {
        for (size_t f = 0; f < COUNT_OF(forms); f++)
            check_same(&w, forms[f]);
        write_small(&w, "PUT", 20 + round, "second", 200);
        write_small(&w, "DELETE", 40 + round, "", 200);
    }
    for (uint32_t i = 0; i < SMALL; i++)
        if (i < 40 || i > 42)
            snprintf(order + strlen(order), 5, "s%02u", i);
    check_pages(&w, order);
    check_pages(&w, order);
    whole_close(&w);
}
