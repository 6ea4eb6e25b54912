/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan.h"
#include "cli/print.h"
#include "cli/resource.h"

static const struct json *condition(const struct json *object, const char *type)
{
    const struct json *list = json_path(object, "status.conditions");
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next)
        if (str_is(json_text(json_find(one, STR("type"))), type))
            return one;
    return NULL;
}

static void line(const char *what, struct str text)
{
    if (text.len == 0)
        return;
    printf("  %-9s ", what);
    print_text(text);
    putchar('\n');
}

static void list_line(struct cli *c, const char *what, const struct json *list, const char *key)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next) {
        const struct json *value = key == NULL ? one : json_find(one, str_of(key));
        if (text.len > 0)
            buf_add(&text, STR(", "));
        if (value != NULL)
            buf_add(&text, value->text);
    }
    line(what, arena_str(&c->arena, buf_str(&text)));
    buf_free(&text);
}

/* "nvidia.com/A100 0000:81:00.0 (NUMA node 1)", a device each; then "cache 1: ways 0x1f, 30 % bandwidth". */
static void device_lines(struct cli *c, const struct json *p)
{
    const struct json *devices = json_path(p, "spec.devices"),
                      *caches = json_path(p, "spec.caches");
    for (const struct json *d = devices == NULL ? NULL : devices->first; d != NULL; d = d->next) {
        struct str id = json_text(json_find(d, STR("pciAddress")));
        const struct json *numa = json_find(d, STR("numaNode"));
        if (id.len == 0)
            id = json_text(json_path(d, "paths") == NULL ? NULL : json_path(d, "paths")->first);
        const struct json *milli = json_find(d, STR("milli"));
        struct str share =
            milli == NULL ? STR("")
                          : arena_printf(&c->arena, ", " STR_FMT " of 1000", STR_ARG(milli->text));
        struct str where =
            numa == NULL ? STR("")
                         : arena_printf(&c->arena, " (NUMA node " STR_FMT ")", STR_ARG(numa->text));
        line("device", arena_printf(&c->arena, STR_FMT " " STR_FMT STR_FMT STR_FMT,
                                    STR_ARG(json_text(json_find(d, STR("name")))), STR_ARG(id),
                                    STR_ARG(share), STR_ARG(where)));
    }
    for (const struct json *k = caches == NULL ? NULL : caches->first; k != NULL; k = k->next) {
        const struct json *domain = json_find(k, STR("cacheDomain"));
        const struct json *mask = json_find(k, STR("waysMask"));
        const struct json *percent = json_find(k, STR("bandwidthPercent"));
        uint64_t ways = 0;
        if (mask != NULL && str_parse_u64(mask->text, &ways) != ERR_OK)
            ways = 0;
        struct str text =
            arena_printf(&c->arena, STR_FMT ":", STR_ARG(domain == NULL ? STR("0") : domain->text));
        if (ways != 0)
            text = arena_printf(&c->arena, STR_FMT " ways 0x%llx", STR_ARG(text),
                                (unsigned long long)ways);
        if (percent != NULL)
            text = arena_printf(&c->arena, STR_FMT " " STR_FMT " %% of its bandwidth",
                                STR_ARG(text), STR_ARG(percent->text));
        line("cache", text);
    }
}

static void show_placement(struct cli *c, const struct json *p)
{
    const struct json *shared = json_path(p, "spec.sharedMillis");
    line("node", json_text(json_path(p, "spec.node")));
    list_line(c, "cpus", json_path(p, "spec.exclusive.cpus"), NULL);
    if (shared != NULL)
        line("pool",
             arena_printf(&c->arena, STR_FMT "m of the shared pool", STR_ARG(shared->text)));
    device_lines(c, p);
    list_line(c, "addresses", json_path(p, "spec.addresses"), "ip");
    line("because", json_text(json_path(p, "spec.decision.reason")));
    for (const struct json *s = json_path(p, "spec.decision.scores") == NULL
                                    ? NULL
                                    : json_path(p, "spec.decision.scores")->first;
         s != NULL; s = s->next) {
        const struct json *value = json_find(s, STR("value"));
        printf("            " STR_FMT " " STR_FMT "\n",
               STR_ARG(json_text(json_find(s, STR("name")))),
               STR_ARG(value == NULL ? STR("0") : value->text));
    }
}

/* What the object's own conditions say is wrong, and what it says of itself: each sentence once, and none that said
 * begins with. */
static void show_own_words(struct cli *c, const struct json *object, struct str said)
{
    static const char *const types[] = {"PodScheduled", "Ready", "ContainersReady"};
    for (uint32_t i = 0; i < COUNT_OF(types); i++) {
        const struct json *one = condition(object, types[i]);
        if (one == NULL || !str_is(json_text(json_find(one, STR("status"))), "False"))
            continue;
        struct str text = json_text(json_find(one, STR("message")));
        line("condition", arena_printf(&c->arena, "%s: " STR_FMT, types[i],
                                       STR_ARG(json_text(json_find(one, STR("reason"))))));
        if (!str_starts(said, text))
            line("", text);
        said = text.len > 0 && !str_starts(said, text) ? text : said;
    }
    struct str text = json_text(json_path(object, "status.message"));
    if (!str_starts(said, text))
        line("message", text);
}

/* What each container that does not run waits for, or how it ended. */
static void show_containers(struct cli *c, const struct json *object, const char *path)
{
    const struct json *list = json_path(object, path);
    for (const struct json *one = list == NULL ? NULL : list->first; one != NULL; one = one->next) {
        const struct json *waiting = json_path(one, "state.waiting");
        const struct json *of = waiting != NULL ? waiting : json_path(one, "state.terminated");
        struct str reason = json_text(json_path(of, "reason"));
        if (reason.len == 0 || str_is(reason, "Completed"))
            continue;
        line("container",
             arena_printf(&c->arena, STR_FMT ": " STR_FMT,
                          STR_ARG(json_text(json_find(one, STR("name")))), STR_ARG(reason)));
        line("", json_text(json_path(of, "message")));
    }
}

/* Asked of the scheduler as it is now: what the object says may be as old as its last try. Its sentence, too. */
static struct str show_short(struct cli *c, const struct resource *r, const struct json *object)
{
    static const char *const names[][2] = {
        {"kind", "kind"}, {"name", "metadata.name"}, {"namespace", "metadata.namespace"}};
    struct json *spec = json_new(&c->arena, JSON_OBJECT), *ref = json_new(&c->arena, JSON_OBJECT);
    const struct json *plan;
    struct err e;
    json_set(&c->arena, ref, STR("apiVersion"), json_new_string(&c->arena, r->group_version));
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        json_set(&c->arena, ref, str_of(names[i][0]),
                 json_new_string(&c->arena, json_text(json_path(object, names[i][1]))));
    json_set(&c->arena, spec, STR("why"), ref);
    if (plan_ask(c, spec, &plan, &e) != ERR_OK) {
        line("now", str_of(e.text));
        return STR("");
    }
    const struct json *steps = json_path(plan, "status.steps");
    const struct json *step = steps == NULL ? NULL : steps->first;
    struct str result = json_text(json_find(step, STR("result")));
    if (str_is(result, "Fits") || str_is(result, "Preempts"))
        line("now", arena_printf(&c->arena, STR_FMT " on node " STR_FMT " when it has its turn",
                                 STR_ARG(str_is(result, "Fits") ? STR("fits")
                                                                : STR("takes the place of others")),
                                 STR_ARG(json_text(json_path(step, "placement.node")))));
    struct str text = json_text(json_find(step, STR("message")));
    line(str_is(result, "DoesNotFit") ? "now" : "", text);
    return text;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct resource r;
    const struct json *object, *placement;
    struct err e;

    if (argc != 2 || argv[1][0] == '-')
        return cmd_usage(&cmd_why, "say which workload");
    if (workload_get(c, argv[1], &r, &object, &e) != ERR_OK)
        return cli_fail(&e);
    struct str name = json_text(json_path(object, "metadata.name"));
    struct str path = arena_printf(
        &c->arena, "/apis/baton.dev/v1/namespaces/" STR_FMT "/placements/" STR_FMT "." STR_FMT,
        STR_ARG(json_text(json_path(object, "metadata.namespace"))), STR_ARG(r.plural),
        STR_ARG(name));
    enum err_code code = client_json(c->client, &c->arena,
                                     &(struct client_request){.path = path.at}, &placement, &e);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        return cli_fail(&e);
    if (c->format != CLI_TEXT) {
        print_object(c, code == ERR_OK ? placement : json_path(object, "status"));
        return CLI_OK;
    }
    printf(STR_FMT "/" STR_FMT ": " STR_FMT "%s\n", STR_ARG(r.plural), STR_ARG(name),
           STR_ARG(json_text(json_path(object, "status.phase"))),
           code == ERR_OK ? "" : ", without a place");
    struct str said = STR("");
    if (code == ERR_OK)
        show_placement(c, placement);
    else
        said = show_short(c, &r, object);
    show_own_words(c, object, said);
    show_containers(c, object, "status.initContainerStatuses");
    show_containers(c, object, "status.containerStatuses");
    return CLI_OK;
}

const struct cmd cmd_why = {
    .name = "why",
    .args = "WORKLOAD",
    .summary = "Say why a workload is where it is, or what it is short of",
    .run = run,
};
