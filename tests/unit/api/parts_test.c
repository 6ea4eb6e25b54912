/* SPDX-License-Identifier: Apache-2.0 */
/* Thousandths of devices in a manifest: what they mean, and what is refused with its path. */
#include "api/parts.h"
#include "tests/testlib/parse.h"
#include "tests/testlib/test.h"

#include <stdio.h>

struct asked {
    struct arena a;
    struct kind_call call;
    bool ok;
    char causes[1024];
};

/* annotations, and the limits of an init container and of two containers, each JSON members. */
static Core__Pod *pod_of(struct asked *w, const char *annotations, const char *const limits[3])
{
    char json[2048];
    snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"annotations\":{%s}},\"spec\":{"
        "\"initContainers\":[{\"name\":\"i\",\"image\":\"x\",\"resources\":{\"limits\":{%s}}}],"
        "\"containers\":[{\"name\":\"a\",\"image\":\"x\",\"resources\":{\"limits\":{%s}}},"
        "{\"name\":\"b\",\"image\":\"x\",\"resources\":{\"limits\":{%s}}}]}}",
        annotations, limits[0], limits[1], limits[2]);
    return parse(&w->a, "k8s.io.api.core.v1.Pod", json);
}

static void judge(struct asked *w, Core__Pod *pod, const Core__Pod *old)
{
    const struct kind *k = kind_find(STR(""), STR("pods"));
    size_t len = 0;
    kind_call_init(&w->call, &w->a, old == NULL ? KIND_CREATE : KIND_UPDATE, (struct wall){1}, 1);
    w->ok = kind_prepare(k, &w->call, &pod->base, old == NULL ? NULL : &old->base);
    w->causes[0] = '\0';
    for (const struct cause *c = w->call.causes.first; c != NULL; c = c->next)
        len +=
            (size_t)snprintf(w->causes + len, sizeof w->causes - len, STR_FMT ": " STR_FMT "%s",
                             STR_ARG(c->field), STR_ARG(c->message), c->next == NULL ? "" : "\n");
}

static void refused(const char *annotations, const char *init, const char *a, const char *b,
                    const char *why)
{
    struct asked w;
    arena_init(&w.a, 16 << 20);
    const char *const limits[3] = {init, a, b};
    judge(&w, pod_of(&w, annotations, limits), NULL);
    cr_expect_str_eq(w.causes, why);
    cr_expect_eq(w.ok, why[0] == '\0');
    arena_free(&w.a);
}

#define COUNT(n) "\"baton.dev/gpu-count\":\"" n "\""
#define MILLI(n) "\"x.org/gpu-milli\":\"" n "\""
#define AT(list, i) "spec." list "[" #i "].resources.limits[x.org/gpu-milli]: "

TEST(parts, what_is_refused)
{
    refused("", MILLI("250"), MILLI("1000"), "\"y.org/gpu\":\"1\"", "");
    refused(COUNT("3"), "", MILLI("3k"), "", "");
    refused("", "", MILLI("1001"), "",
            AT("containers", 0) "Invalid value: \"1001\": must be 1 to 1000 thousandths of one "
                                "device; the annotation baton.dev/gpu-count spreads an amount over "
                                "several");
    refused(COUNT("2"), MILLI("501"), "", MILLI("2002"),
            AT("containers",
               1) "Invalid value: \"2002\": must be 2 times 1 to 1000: baton.dev/gpu-count "
                  "spreads it evenly over 2 devices\n" AT(
                      "initContainers",
                      0) "Invalid value: \"501\": must be 2 times 1 to 1000: baton.dev/gpu-count "
                         "spreads it evenly over 2 devices");
    refused("", "\"x.org/gpu\":\"1\"", MILLI("1"), "",
            AT("containers", 0) "Forbidden: a pod has devices of one name whole or by the "
                                "thousandth, and this one asks for x.org/gpu, too");
    refused(
        COUNT("0"), "", MILLI("1"), "",
        "metadata.annotations[baton.dev/gpu-count]: Invalid value: \"0\": must be a number from "
        "1 to 64");
    refused(
        COUNT("2"), "", "\"x.org/gpu\":\"1\"", MILLI("0"),
        "metadata.annotations[baton.dev/gpu-count]: Invalid value: \"2\": no container asks for "
        "thousandths of a device: vendor.com/name-milli");
}

/* The agent reads it as well, later. */
TEST(parts, the_count_stays)
{
    static const char *const limits[3] = {"", MILLI("500"), ""};
    struct asked w;
    arena_init(&w.a, 16 << 20);
    Core__Pod *old = pod_of(&w, COUNT("2"), limits);
    judge(&w, old, NULL);
    cr_assert(w.ok, "%s", w.causes);
    judge(&w, pod_of(&w, COUNT("5"), limits), old);
    cr_expect(strstr(w.causes, "metadata.annotations[baton.dev/gpu-count]: Invalid value: \"5\": "
                               "field is immutable") != NULL,
              "%s", w.causes);
    arena_free(&w.a);
}

TEST(parts, what_an_amount_means)
{
    static const char *const limits[3] = {MILLI("999"), MILLI("500"), "\"x.org/gpu\":\"1\""};
    struct str device;
    struct asked w;
    arena_init(&w.a, 16 << 20);
    cr_assert(part_name(STR("x.org/gpu-milli"), &device));
    cr_assert(str_is(device, "x.org/gpu"));
    cr_expect_not(part_name(STR("x.org/-milli"), &device));
    cr_expect_not(part_name(STR("gpu-milli"), &device));
    cr_expect_not(part_name(STR("x.org/milli"), &device));
    Core__Pod *p = pod_of(&w, COUNT("2"), limits);
    struct str name = STR("x.org/gpu-milli");
    cr_expect_eq(part_of(p->spec->init_containers[0], p->metadata, name), 0, "not even");
    cr_expect_eq(part_of(p->spec->containers[0], p->metadata, name), 250);
    cr_expect_eq(part_of(p->spec->containers[1], p->metadata, name), 0);
    cr_expect_eq(part_devices(p->metadata), 2);
    arena_free(&w.a);
}
