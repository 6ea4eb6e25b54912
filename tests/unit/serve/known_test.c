/* SPDX-License-Identifier: Apache-2.0 */
/* The same pod over and over, by a connection whose thread kept its spec, and with a blank more each time, which was never
 * met: the answers are the same, whatever changes meanwhile. */
#include "tests/unit/serve/whole.h"

#include "tests/testlib/test.h"

#define PODS "/api/v1/namespaces/default/pods"

static struct caller caller; /* The one client. */
static uint32_t blanks;

static uint32_t ask(const char *method, const char *path, struct str body)
{
    caller.ended = false;
    buf_clear(&caller.body);
    caller_start(&caller, method, path, body, false);
    whole_until(caller.whole, &caller.ended);
    return caller.status;
}

/* Without what differs from one pod to the next. */
static void mask(const char *key)
{
    buf_add_char(&caller.body, '\0');
    for (char *at = caller.body.at; (at = strstr(at, key)) != NULL;)
        for (at += strlen(key); *at != '"' && *at != '\0'; at++)
            *at = '*';
    caller.body.len--;
}

static uint32_t create(const char *query, const char *meta, const char *spec, struct buf *answer)
{
    struct buf body, path;
    buf_init(&body, 1 << 16);
    buf_init(&path, 1 << 10);
    buf_printf(&path, PODS "%s", query);
    buf_add_char(&path, '\0');
    buf_printf(&body, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":%s,\"spec\":%s}", meta,
               spec);
    uint32_t status = ask("POST", path.at, buf_str(&body));
    mask("\"uid\":\"");
    mask("\"creationTimestamp\":\"");
    mask("\"lastTransitionTime\":\"");
    buf_init(answer, 1 << 20);
    buf_add(answer, buf_str(&caller.body));
    buf_free(&body);
    buf_free(&path);
    return status;
}

/* Of a spec that came five times, and of one with other blanks. */
static void check(uint32_t want, const char *query, const char *meta, const char *spec)
{
    struct buf known, plain, fresh;
    buf_init(&fresh, 1 << 16);
    buf_printf(&fresh, "{%*s%s", (int)++blanks, "", spec + 1);
    buf_add_char(&fresh, '\0');
    for (uint32_t i = 0; i < 4; i++) {
        (void)create(query, meta, spec, &known);
        buf_free(&known);
    }
    uint32_t is = create(query, meta, spec, &known);
    cr_expect_eq(is, want, "%u " STR_FMT, is, STR_ARG(buf_str(&known)));
    cr_expect_eq(create(query, meta, fresh.at, &plain), want);
    cr_expect(str_eq(buf_str(&known), buf_str(&plain)), STR_FMT "\n" STR_FMT,
              STR_ARG(buf_str(&known)), STR_ARG(buf_str(&plain)));
    buf_free(&known);
    buf_free(&plain);
    buf_free(&fresh);
}

#define MAIN "\"containers\":[{\"name\":\"main\",\"image\":\"busybox:1\"}]"
#define CLASSES "/apis/scheduling.k8s.io/v1/priorityclasses"
#define RANGES "/api/v1/namespaces/default/limitranges"

static void check_all(const char *spec)
{
    check(201, "?dryRun=All", "{\"name\":\"p\"}", spec);
    check(201, "?dryRun=All&fieldValidation=Strict", "{\"name\":\"p\",\"labels\":{\"a\":\"b\"}}",
          spec);
    check(400, "?dryRun=All&fieldValidation=Strict", "{\"name\":\"p\",\"nme\":\"x\"}", spec);
    check(422, "?dryRun=All", "{\"name\":\"Upper\"}", spec);
    check(400, "?dryRun=All", "{\"name\":\"p\",\"namespace\":\"other\"}", spec);
    check(400, "?dryRun=All", "{\"name\":\"p\",\"resourceVersion\":\"5\"}", spec);
    check(422, "?dryRun=All",
          "{\"name\":\"p\",\"annotations\":{\"baton.dev/core-policy\":\"full-cores-only\"}}", spec);
}

TEST(known, pods_are_answered_the_same_whether_their_spec_was_kept)
{
    static const char spec[] = "{" MAIN "}", other[] = "{\"priorityClassName\":\"high\"," MAIN "}";
    struct whole w;
    whole_open(&w);
    caller = (struct caller){0};
    (void)caller_connect(&caller, &w, w.admin_tls);
    check_all(spec);
    check(403, "?dryRun=All", "{\"name\":\"p\"}", other);
    cr_assert_eq(ask("POST", CLASSES, STR("{\"metadata\":{\"name\":\"high\"},\"value\":9}")), 201);
    check(201, "?dryRun=All", "{\"name\":\"p\"}", other);
    cr_assert_eq(ask("POST", CLASSES,
                     STR("{\"metadata\":{\"name\":\"all\"},\"value\":5,\"globalDefault\":true}")),
                 201);
    check_all(spec);
    cr_assert_eq(ask("DELETE", CLASSES "/high", STR("")), 200);
    check(403, "?dryRun=All", "{\"name\":\"p\"}", other);
    check_all(spec);
    cr_assert_eq(ask("POST", RANGES,
                     STR("{\"metadata\":{\"name\":\"r\"},\"spec\":{\"limits\":[{\"type\":"
                         "\"Container\",\"default\":{\"cpu\":\"2\"}}]}}")),
                 201);
    check_all(spec);
    caller_close(&caller);
    whole_close(&w);
}
