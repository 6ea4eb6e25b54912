/* SPDX-License-Identifier: Apache-2.0 */
#include "api/yaml.h"
#include "cli/manifest.h"
#include "cli/resource.h"
#include "io/clock.h"

enum { DELETE_MAX = YAML_DOCUMENTS_MAX, GRACE_MAX_S = 7 * 86400, LOOK_MS = 200 };

/* What was asked to go, and must be seen gone. */
struct leaving {
    struct str label; /* "pods/web" */
    const char *path; /* NULL: it could not be asked. */
    struct str uid;   /* Another object may have the name by the time one looks. */
};

struct order {
    struct leaving *all;
    uint32_t count;
    const char *grace; /* "" or the query that shortens or lengthens the grace. */
    uint64_t timeout_s;
    bool no_wait;
};

static enum err_code ask_one(struct cli *c, struct order *o, const struct resource *r,
                             struct str namespace, struct str name, struct err *e)
{
    struct leaving *l = &o->all[o->count];
    const struct json *answer;

    l->path = resource_path(c, r, namespace, name);
    l->label = arena_printf(&c->arena, STR_FMT "/" STR_FMT, STR_ARG(r->plural), STR_ARG(name));
    struct str asked = arena_printf(&c->arena, "%s%s", l->path, o->grace);
    enum err_code code = arena_status(&c->arena, e);
    if (code == ERR_OK)
        code =
            client_json(c->client, &c->arena,
                        &(struct client_request){.method = "DELETE", .path = asked.at}, &answer, e);
    if (code != ERR_OK)
        return code;
    l->uid = json_text(json_path(answer, "metadata.uid"));
    if (l->uid.len == 0)
        l->uid = json_text(json_path(answer, "details.uid"));
    o->count++;
    return ERR_OK;
}

static bool is_gone(struct cli *c, const struct leaving *l)
{
    struct arena turn;
    const struct json *now;
    struct err e;

    arena_init(&turn, 64 << 20);
    enum err_code code =
        client_json(c->client, &turn, &(struct client_request){.path = l->path}, &now, &e);
    bool gone =
        code == ERR_NOT_FOUND || (code == ERR_OK && l->uid.len > 0 &&
                                  !str_eq(json_text(json_path(now, "metadata.uid")), l->uid));
    arena_free(&turn);
    return gone;
}

static int wait_for_all(struct cli *c, const struct order *o)
{
    struct instant until = instant_add(clock_now(), SPAN_S((int64_t)o->timeout_s));

    for (uint32_t i = 0; i < o->count; i++) {
        const struct leaving *l = &o->all[i];
        while (!o->no_wait && !is_gone(c, l)) {
            if (instant_due(until, clock_now())) {
                fprintf(stderr, "baton: " STR_FMT ": still there after %u s\n", STR_ARG(l->label),
                        (unsigned)o->timeout_s);
                return CLI_FAILED;
            }
            client_wait(c->client, SPAN_MS(LOOK_MS));
        }
        printf(STR_FMT " deleted\n", STR_ARG(l->label));
    }
    return CLI_OK;
}

/* "pod web db" is pod/web pod/db, as get has it. */
static uint32_t join_names(struct cli *c, char **names, uint32_t count)
{
    const char *kind = names[0];

    if (count < 2 || strchr(kind, '/') != NULL)
        return count;
    for (uint32_t i = 1; i < count; i++) {
        struct str one = arena_printf(&c->arena, "%s/%s", kind, names[i]);
        names[i - 1] = arena_dup(&c->arena, one);
    }
    return count - 1;
}

/* All are asked before one is waited for; one that fails leaves the others to go. */
static int delete_named(struct cli *c, struct order *o, char **names, uint32_t count)
{
    int status = CLI_OK;
    struct resource r;
    struct str name;
    struct err e;

    count = join_names(c, names, count);
    if (arena_status(&c->arena, &e) != ERR_OK)
        return cli_fail(&e);
    for (uint32_t i = 0; i < count; i++) {
        enum err_code code = resource_parse(c, names[i], &r, &name, &e);
        if (code == ERR_OK)
            code = ask_one(c, o, &r, str_of(cli_namespace(c)), name, &e);
        if (code != ERR_OK)
            status = cli_fail(&e);
    }
    return status;
}

/* The other way round: what stands first in a manifest is what the rest needs. */
static int delete_manifest(struct cli *c, struct order *o, const struct manifest *m)
{
    int status = CLI_OK;
    struct manifest_target t;
    struct err e;

    for (uint32_t i = m->count; i-- > 0;) {
        enum err_code code = manifest_find(c, m->documents[i], &t, &e);
        if (code == ERR_OK)
            code = ask_one(c, o, &t.resource, t.namespace, t.name, &e);
        if (code != ERR_OK)
            status = cli_fail(&e);
    }
    return status;
}

/* One option at *at into o or m. CLI_OK; otherwise the command's exit status. */
static int take_option(struct cli *c, int argc, char **argv, int *at, struct order *o,
                       struct manifest *m)
{
    const char *value;
    uint64_t grace_s;
    struct err e;

    if ((value = cmd_option(argc, argv, at, "filename", 'f')) != NULL)
        return manifest_read(c, value, m, &e) == ERR_OK ? CLI_OK : cli_fail(&e);
    if ((value = cmd_option(argc, argv, at, "grace", 0)) != NULL) {
        if (!cmd_seconds(value, &grace_s) || grace_s > GRACE_MAX_S)
            return cmd_usage(&cmd_delete, "--grace %s is not a span of time up to 7d", value);
        o->grace = arena_printf(&c->arena, "?gracePeriodSeconds=%u", (unsigned)grace_s).at;
        return CLI_OK;
    }
    if ((value = cmd_option(argc, argv, at, "timeout", 0)) != NULL) {
        if (!cmd_seconds(value, &o->timeout_s) || o->timeout_s > 86400)
            return cmd_usage(&cmd_delete, "--timeout %s is not a span of time up to 24h", value);
        return CLI_OK;
    }
    if (!cmd_flag(argv, at, "no-wait", 0))
        return cmd_usage(&cmd_delete, "%s: not an option, or too many", argv[*at]);
    o->no_wait = true;
    return CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct order o = {.grace = "", .timeout_s = 300};
    struct manifest m = {0};
    char **names = arena_zalloc(&c->arena, DELETE_MAX, sizeof *names);
    uint32_t count = 0;
    struct err e;

    o.all = arena_zalloc(&c->arena, DELETE_MAX, sizeof *o.all);
    if (arena_status(&c->arena, &e) != ERR_OK)
        return cli_fail(&e);
    for (int at = 1; at < argc;) {
        if (argv[at][0] != '-' && count < DELETE_MAX) {
            names[count++] = argv[at++];
            continue;
        }
        int status = take_option(c, argc, argv, &at, &o, &m);
        if (status != CLI_OK)
            return status;
    }
    if ((m.count == 0) == (count == 0))
        return cmd_usage(&cmd_delete, "say what, by KIND/NAME or by -f FILE");
    int status = m.count > 0 ? delete_manifest(c, &o, &m) : delete_named(c, &o, names, count);
    int waited = wait_for_all(c, &o);
    return status != CLI_OK ? status : waited;
}

const struct cmd cmd_delete = {
    .name = "delete",
    .args = "KIND/NAME... | KIND NAME... | -f FILE...",
    .summary = "Delete objects, and wait until they are gone",
    .help = "  -f FILE        what a manifest names, last document first; - reads standard input\n"
            "  --grace 30s    what a workload gets to end in, instead of its own; 0 kills it\n"
            "  --timeout 5m   give the waiting up; what was asked to go still goes\n"
            "  --no-wait      return once all were asked to go\n",
    .run = run,
};
