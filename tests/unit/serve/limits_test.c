/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that come to a limit, over sockets: each is told so, and nothing is left half done. */
#include "base/json.h"
#include "tests/testlib/test.h"
#include "tests/unit/serve/whole.h"

#include <stdio.h>

static const char maps[] = "/api/v1/namespaces/default/configmaps";

static bool has(const struct caller *c, const char *text)
{
    return memmem(c->body.at == NULL ? "" : c->body.at, c->body.len, text, strlen(text)) != NULL;
}

/* A patch whose tree is larger than a request's memory: 400 without a word, once; a create in YAML was told 200. */
TEST(limits, who_has_no_memory_left_to_say_why_is_told)
{
    enum { COUNT = REST_ARENA_MAX / sizeof(struct json) + 1000 };
    struct whole w;
    struct caller c = {.content_type = "application/merge-patch+json"};
    struct buf body;
    buf_init(&body, 3 << 20);
    buf_add(&body, STR("{\"x\":[0"));
    for (size_t i = 1; i < COUNT; i++)
        buf_add(&body, STR(",0"));
    buf_add(&body, STR("]}"));
    whole_open(&w);
    whole_ask(&c, &w, w.admin_tls, "PATCH", "/api/v1/namespaces/default", buf_str(&body));
    cr_expect_eq(c.status, 413, "%u: " STR_FMT, c.status, STR_ARG(buf_str(&c.body)));
    cr_expect(has(&c, "more memory than a request may"), STR_FMT, STR_ARG(buf_str(&c.body)));
    buf_free(&body);
    caller_close(&c);
    whole_close(&w);
}

/* Anybody may ask for a console, under any name that a head has room for. */
TEST(limits, a_console_of_a_long_name_is_refused)
{
    enum { NAME = 40 << 10 };
    struct whole w;
    struct err e = {0};
    struct tls_config *nobody = NULL;
    struct caller c = {.grpc = true};
    struct buf path;
    buf_init(&path, 1 << 20);
    buf_add(&path, STR("/apis/subresources.kubevirt.io/v1/namespaces/"));
    memset(buf_reserve(&path, NAME), 'a', NAME);
    buf_commit(&path, NAME);
    buf_add(&path, STR("/virtualmachineinstances/x/console"));
    buf_add_char(&path, '\0');
    whole_open(&w);
    struct tls_client_options o = {.ca = buf_str(&w.authority.ca_cert)};
    cr_assert_eq(tls_client_config(&o, &nobody, &e), ERR_OK);
    whole_ask(&c, &w, nobody, "POST", path.at, STR(""));
    cr_expect_eq(c.grpc_status, GRPC_PERMISSION_DENIED, "%s", c.why);
    cr_expect_not_null(strstr(c.why, "cannot create"), "%s", c.why);
    caller_close(&c);
    tls_config_free(nobody);
    buf_free(&path);
    whole_close(&w);
}

/* A stranger's inventions are counted, but not under the names that he gave them. */
TEST(limits, metrics_take_no_names_from_strangers)
{
    static const char *const paths[] = {"/apis/invented/v1/things", "/api/v1invented/pods",
                                        "/apis/apps/v1/invented",
                                        "/api/v1/namespaces/default/pods/x/invented"};
    struct whole w;
    struct err e = {0};
    struct tls_config *nobody = NULL;
    struct caller c = {0};
    whole_open(&w);
    struct tls_client_options o = {.ca = buf_str(&w.authority.ca_cert)};
    cr_assert_eq(tls_client_config(&o, &nobody, &e), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        cr_expect_eq(whole_status(&w, nobody, "GET", paths[i]), 403, "%s", paths[i]);
    cr_expect_eq(whole_status(&w, nobody, "GET", "/api/v1/nodes/x/status"), 403);
    whole_ask(&c, &w, w.admin_tls, "GET", "/metrics", STR(""));
    cr_expect_not(has(&c, "invented"));
    cr_expect(has(&c, "resource=\"nodes\",subresource=\"status\",scope=\"resource\",code=\"403\""));
    caller_close(&c);
    tls_config_free(nobody);
    whole_close(&w);
}

/* More than one answer may show: all of them go. */
TEST(limits, a_collection_that_is_too_long_to_show_is_deleted_whole)
{
    enum { MAPS = 9, BYTES = (1 << 20) - 1024 };
    struct whole w;
    struct caller c;
    char name[16];
    struct buf body;
    whole_open(&w);
    for (int i = 0; i < MAPS; i++) {
        c = (struct caller){0};
        buf_init(&body, 3 << 20);
        snprintf(name, sizeof name, "m%d", i);
        buf_printf(&body, "{\"metadata\":{\"name\":\"%s\"},\"data\":{\"a\":\"", name);
        memset(buf_reserve(&body, BYTES), 'a', BYTES);
        buf_commit(&body, BYTES);
        buf_add(&body, STR("\"}}"));
        whole_ask(&c, &w, w.admin_tls, "POST", maps, buf_str(&body));
        cr_assert_eq(c.status, 201, STR_FMT, STR_ARG(str_slice(buf_str(&c.body), 0, 200)));
        caller_close(&c);
        buf_free(&body);
    }
    c = (struct caller){0};
    whole_ask(&c, &w, w.admin_tls, "DELETE", maps, STR(""));
    cr_expect_eq(c.status, 200);
    cr_expect(has(&c, "\"items\":[]"), STR_FMT, STR_ARG(str_slice(buf_str(&c.body), 0, 200)));
    caller_close(&c);
    c = (struct caller){0};
    whole_ask(&c, &w, w.admin_tls, "GET", maps, STR(""));
    cr_expect(has(&c, "\"items\":[]"), STR_FMT, STR_ARG(str_slice(buf_str(&c.body), 0, 200)));
    caller_close(&c);
    whole_close(&w);
}
