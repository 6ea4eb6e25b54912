/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's part: asked through the API, with what anybody with this kubeconfig may see. */
#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/kubeconfig.h"
#include "io/clock.h"
#include "io/pki.h"

enum { CLOCK_WARN_MS = 2000, CLOCK_FAIL_MS = 60000, CERTIFICATE_WARN_DAYS = 14 };

static const int64_t DAY_S = 86400;

struct looking {
    struct cli *c;
    struct json *checks;
    bool failed;
};

static void say(struct looking *l, const char *name, const char *status, struct str text)
{
    struct arena *a = &l->c->arena;
    struct json *one = json_new(a, JSON_OBJECT);
    json_set(a, one, STR("name"), json_new_string(a, str_of(name)));
    json_set(a, one, STR("status"), json_new_string(a, str_of(status)));
    json_set(a, one, STR("text"), json_new_string(a, arena_str(a, text)));
    json_append(l->checks, one);
    l->failed |= strcmp(status, "fail") == 0;
}

static const struct json *get(struct looking *l, const char *path, const char *name)
{
    const struct json *answer;
    struct err e;
    if (client_json(l->c->client, &l->c->arena, &(struct client_request){.path = path}, &answer,
                    &e) == ERR_OK)
        return answer;
    say(l, name, "fail", str_of(e.text));
    return NULL;
}

/* What a create would have stamped; nothing is stored. Seconds are all that a timestamp has. */
static void check_clock(struct looking *l)
{
    static const struct str body =
        STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{"
            "\"generateName\":\"baton-doctor-\"}}");
    const struct json *answer;
    struct wall theirs, ours = clock_wall();
    struct err e;
    if (client_json(
            l->c->client, &l->c->arena,
            &(struct client_request){.method = "POST",
                                     .path = "/api/v1/namespaces/default/configmaps?dryRun=All",
                                     .body = body},
            &answer, &e) != ERR_OK ||
        wall_parse(json_text(json_path(answer, "metadata.creationTimestamp")), &theirs) != ERR_OK) {
        say(l, "clock", "warn", STR("the control plane's could not be asked"));
        return;
    }
    int64_t apart = (theirs.ns + SPAN_MS(500).ns - ours.ns) / SPAN_MS(1).ns;
    int64_t size = apart < 0 ? -apart : apart;
    say(l, "clock",
        size > CLOCK_FAIL_MS   ? "fail"
        : size > CLOCK_WARN_MS ? "warn"
                               : "ok",
        size <= CLOCK_WARN_MS
            ? STR("the control plane's and this machine's agree to the second")
            : arena_printf(&l->c->arena, "the control plane's is %lld s %s this machine's",
                           (long long)(size / 1000), apart < 0 ? "behind" : "ahead of"));
}

static void check_certificate(struct looking *l)
{
    struct kubeconfig k;
    struct pki_identity id;
    struct err e;
    char until[WALL_TEXT_MAX];
    if (kubeconfig_read(&l->c->arena, l->c->kubeconfig, &k, &e) != ERR_OK || k.cert.len == 0)
        return;
    if (pki_identify(NULL, k.cert, clock_wall(), &id, &e) != ERR_OK) {
        say(l, "certificate", "fail", str_of(e.text));
        return;
    }
    int64_t days = (wall_seconds(id.not_after) - wall_seconds(clock_wall())) / DAY_S;
    wall_print(id.not_after, until);
    say(l, "certificate",
        days < 0                       ? "fail"
        : days < CERTIFICATE_WARN_DAYS ? "warn"
                                       : "ok",
        arena_printf(&l->c->arena, "of %s in %s: %s %s", pki_common_name(&id), l->c->kubeconfig,
                     days < 0 ? "ended" : "ends", until));
}

/* Kubernetes' own conditions are good when False but for Ready; baton.dev's say what is wrong. */
static void check_node(struct looking *l, const struct json *node)
{
    struct arena *a = &l->c->arena;
    const struct json *list = json_path(node, "status.conditions");
    struct str name = json_text(json_path(node, "metadata.name")), bad = {0};
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next) {
        struct str type = json_text(json_find(one, STR("type")));
        bool is_true = str_is(json_text(json_find(one, STR("status"))), "True");
        if (is_true != str_is(type, "Ready"))
            bad = arena_printf(a, "%s" STR_FMT ": " STR_FMT, bad.len > 0 ? bad.at : "",
                               STR_ARG(type), STR_ARG(json_text(json_find(one, STR("message")))));
    }
    say(l, "node", bad.len > 0 ? "fail" : "ok",
        arena_printf(a, STR_FMT ": " STR_FMT, STR_ARG(name),
                     STR_ARG(bad.len > 0 ? bad : STR("Ready"))));
}

static void check_nodes(struct looking *l)
{
    const struct json *nodes = get(l, "/api/v1/nodes", "nodes");
    const struct json *items = json_find(nodes, STR("items"));
    if (nodes != NULL && (items == NULL || items->count == 0))
        say(l, "nodes", "warn", STR("none has joined: nothing can run"));
    for (const struct json *n = items == NULL ? NULL : items->first; n != NULL; n = n->next)
        check_node(l, n);
}

static void collect_placed(struct looking *l, struct buf *placed)
{
    const struct json *all = get(l, "/apis/baton.dev/v1/placements", "placements");
    const struct json *items = json_find(all, STR("items"));
    for (const struct json *p = items == NULL ? NULL : items->first; p != NULL; p = p->next)
        buf_printf(placed, STR_FMT "\n", STR_ARG(json_text(json_path(p, "spec.workload.uid"))));
}

bool doctor_cluster(struct cli *c, struct json **out, struct buf *placed)
{
    struct looking l = {.c = c, .checks = json_new(&c->arena, JSON_ARRAY)};
    struct json *root = json_new(&c->arena, JSON_OBJECT);
    struct err e;

    if (cli_client(c, &e) == NULL) {
        say(&l, "api", "fail", str_of(e.text));
    } else {
        json_set(&c->arena, root, STR("server"),
                 json_new_string(&c->arena, str_of(client_server(c->client))));
        const struct json *version = get(&l, "/version", "api");
        if (version != NULL) {
            say(&l, "api", "ok",
                arena_printf(&c->arena, "answers, version " STR_FMT,
                             STR_ARG(json_text(json_find(version, STR("gitVersion"))))));
            check_clock(&l);
            check_nodes(&l);
            collect_placed(&l, placed);
        }
        check_certificate(&l);
    }
    json_set(&c->arena, root, STR("checks"), l.checks);
    *out = root;
    return !l.failed;
}
