/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"
#include "cli/plan.h"
#include "cli/print.h"
#include "cli/resource.h"

static void set_text(struct cli *c, struct json *object, const char *key, struct str value)
{
    json_set(&c->arena, object, str_of(key), json_new_string(&c->arena, value));
}

enum err_code plan_ask(struct cli *c, struct json *spec, const struct json **out, struct err *e)
{
    struct json *plan = json_new(&c->arena, JSON_OBJECT);
    struct buf body;
    set_text(c, plan, "apiVersion", STR("baton.dev/v1"));
    set_text(c, plan, "kind", STR("Plan"));
    json_set(&c->arena, plan, STR("spec"), spec);
    buf_init(&body, MANIFEST_MAX);
    json_print(&body, plan);
    struct client_request ask = {.method = "POST",
                                 .path = "/apis/baton.dev/v1/plans?fieldValidation=Strict",
                                 .body = arena_str(&c->arena, buf_str(&body))};
    buf_free(&body);
    enum err_code code = arena_status(&c->arena, e);
    return code != ERR_OK ? code : client_json(c->client, &c->arena, &ask, out, e);
}

/* ---- the question ---- */

/* What is no workload has nothing to be placed. */
static void add_workload(struct cli *c, struct json *list, struct json *object)
{
    struct str kind = json_text(json_find(object, STR("kind")));
    bool is_pod = str_is(kind, "Pod"), is_machine = str_is(kind, "VirtualMachineInstance");
    struct json *meta = (struct json *)json_find(object, STR("metadata"));
    if (!is_pod && !is_machine) {
        fprintf(stderr, "baton: " STR_FMT " " STR_FMT ": nothing to place\n", STR_ARG(kind),
                STR_ARG(json_text(json_path(object, "metadata.name"))));
        return;
    }
    if (meta != NULL && json_find(meta, STR("namespace")) == NULL)
        set_text(c, meta, "namespace", str_of(cli_namespace(c)));
    struct json *one = json_new(&c->arena, JSON_OBJECT);
    json_set(&c->arena, one, is_pod ? STR("pod") : STR("machine"), object);
    json_append(list, one);
}

static void add_manifest(struct cli *c, const struct manifest *m, struct json *spec)
{
    struct json *list = json_new(&c->arena, JSON_ARRAY);
    for (uint32_t i = 0; i < m->count; i++)
        add_workload(c, list, m->documents[i]);
    json_set(&c->arena, spec, STR("workloads"), list);
}

/* ---- the answer ---- */

/* What the table has no room for: who must leave, and what is short. */
static void print_notes(struct cli *c, const struct json *steps)
{
    for (const struct json *x = steps == NULL ? NULL : steps->first; x != NULL; x = x->next) {
        struct str who = plan_workload(&c->arena, json_find(x, STR("workload")));
        const struct json *victims = json_find(x, STR("victims"));
        for (const struct json *v = victims == NULL ? NULL : victims->first; v != NULL; v = v->next)
            printf(STR_FMT " drives away " STR_FMT "\n", STR_ARG(who),
                   STR_ARG(plan_workload(&c->arena, v)));
        struct str result = json_text(json_find(x, STR("result")));
        if (!str_is(result, "DoesNotFit") && !str_is(result, "NotWaiting"))
            continue;
        printf(STR_FMT ": ", STR_ARG(who));
        print_text(json_text(json_find(x, STR("message"))));
        putchar('\n');
    }
}

static int show(struct cli *c, const struct json *plan)
{
    const struct json *status = json_find(plan, STR("status"));
    const struct json *steps = json_find(status, STR("steps"));
    const struct json *left = json_find(status, STR("stepsLeftOut"));
    int64_t refused = 0;
    if (c->format != CLI_TEXT) {
        print_object(c, plan);
    } else {
        if (steps != NULL)
            print_table(c, plan_table(&c->arena, steps), false);
        print_notes(c, steps);
        if (left != NULL)
            printf(STR_FMT " more, like the ones above\n", STR_ARG(left->text));
        print_text(json_text(json_find(status, STR("summary"))));
        putchar('\n');
    }
    const struct json *count = json_find(status, STR("refused"));
    return count != NULL && json_i64(count, &refused) == ERR_OK && refused > 0 ? CLI_FAILED
                                                                               : CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct json *spec = json_new(&c->arena, JSON_OBJECT);
    const struct json *plan;
    const char *value, *file;
    struct manifest m = {0};
    struct err e;

    for (int at = 1; at < argc;) {
        if ((value = cmd_option(argc, argv, &at, "drain", 0)) != NULL) {
            set_text(c, spec, "drain", str_of(value));
            continue;
        }
        if ((value = cmd_option(argc, argv, &at, "dead", 0)) != NULL) {
            set_text(c, spec, "dead", str_of(value));
            continue;
        }
        file = cmd_option(argc, argv, &at, "filename", 'f');
        if (file == NULL && argv[at][0] == '-' && argv[at][1] != '\0')
            return cmd_usage(&cmd_plan, "%s is not an option", argv[at]);
        if (manifest_read(c, file != NULL ? file : argv[at++], &m, &e) != ERR_OK)
            return cli_fail(&e);
    }
    if (spec->count == 0 && m.count == 0)
        return cmd_usage(&cmd_plan, "say what would come, or which node would go");
    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    if (m.count > 0)
        add_manifest(c, &m, spec); /* Into the namespace that the client knows. */
    if (plan_ask(c, spec, &plan, &e) != ERR_OK)
        return cli_fail(&e);
    return show(c, plan);
}

const struct cmd cmd_plan = {
    .name = "plan",
    .args = "[FILE...] [--drain NODE] [--dead NODE]",
    .summary = "Say what would go where, whom it would drive away, and what would not fit",
    .help =
        "  FILE           a manifest with pods and virtual machines; - reads standard input\n"
        "  --drain NODE   the node would be emptied; --dead NODE: it would be lost\n\n"
        "Nothing is created, moved or held. Drain and death come first, so that a manifest sees\n"
        "what they leave. The exit status is 1 when something does not fit.\n"
        "  baton plan web.yaml && baton apply -f web.yaml\n",
    .run = run,
};
