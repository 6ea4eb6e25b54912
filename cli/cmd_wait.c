/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"
#include "io/clock.h"

enum { TARGETS_MAX = 64 };

struct wish {
    enum { WISH_CONDITION, WISH_PATH, WISH_DELETED } kind;
    struct str name, value; /* Condition type and status, or path and text. */
};

/* kubectl's {.status.phase} and .status.phase mean status.phase here. False: more than names and dots,
 * which would be looked for as a name and never be found. */
static bool parse_path(struct str *path)
{
    if (path->len >= 2 && path->at[0] == '{' && path->at[path->len - 1] == '}')
        *path = str_slice(*path, 1, path->len - 1);
    if (path->len > 0 && path->at[0] == '.')
        *path = str_slice(*path, 1, path->len);
    for (size_t i = 0; i < path->len; i++)
        if (strchr("[]{}()*?@$\"' ", path->at[i]) != NULL)
            return false;
    return path->len > 0;
}

/* condition=Ready[=False], jsonpath=status.phase=Running, delete */
static bool parse_wish(const char *text, struct wish *out)
{
    struct str rest = str_of(text), head;

    if (!str_split(&rest, '=', &head))
        return false;
    if (str_is(head, "delete") && rest.at == NULL) {
        out->kind = WISH_DELETED;
        return true;
    }
    if (rest.at == NULL || !str_split(&rest, '=', &out->name) || out->name.len == 0)
        return false;
    out->value = rest.at == NULL ? STR("True") : rest;
    out->kind = str_is(head, "jsonpath") ? WISH_PATH : WISH_CONDITION;
    if (out->kind == WISH_PATH)
        return rest.at != NULL && parse_path(&out->name);
    return str_is(head, "condition");
}

static bool holds_for(const struct json *object, const struct wish *w, struct arena *a)
{
    if (w->kind == WISH_PATH)
        return str_eq(json_text(json_path(object, arena_dup(a, w->name))), w->value);
    const struct json *conditions = json_path(object, "status.conditions");
    for (const struct json *one = conditions == NULL ? NULL : conditions->first; one != NULL;
         one = one->next)
        if (str_eq(json_text(json_find(one, STR("type"))), w->name))
            return str_eq_nocase(json_text(json_find(one, STR("status"))), w->value);
    return false;
}

/* One look. A collection ("node") holds when it has members and all of them do. */
static bool holds(struct cli *c, const char *path, const struct wish *w, struct err *e)
{
    struct arena turn;
    const struct json *answer;
    bool yes = false;

    arena_init(&turn, 256 << 20);
    enum err_code code =
        client_json(c->client, &turn, &(struct client_request){.path = path}, &answer, e);
    if (code == ERR_OK)
        *e = (struct err){0}; /* What an earlier look was refused for is over. */
    if (w->kind == WISH_DELETED) {
        yes = code == ERR_NOT_FOUND;
    } else if (code == ERR_OK) {
        const struct json *items = json_find(answer, STR("items"));
        yes = items == NULL ? holds_for(answer, w, &turn) : items->count > 0;
        for (const struct json *one = items == NULL ? NULL : items->first; one != NULL;
             one = one->next)
            yes = yes && holds_for(one, w, &turn);
    }
    arena_free(&turn);
    return yes;
}

static int say_not_so(const char *target, uint64_t timeout_s, const struct err *e)
{
    fprintf(stderr, "baton: %s: not so after %u s%s", target, (unsigned)timeout_s,
            e->text[0] == '\0' ? "" : ": ");
    print_complaint(str_of(e->text));
    putc('\n', stderr);
    return CLI_FAILED;
}

static int wait_for(struct cli *c, char **targets, uint32_t count, const struct wish *w,
                    uint64_t timeout_s)
{
    struct err e = {0};

    for (uint32_t i = 0; i < count; i++) {
        struct resource r;
        struct str name = STR("");
        bool one = strchr(targets[i], '/') != NULL;
        if ((one ? resource_parse(c, targets[i], &r, &name, &e)
                 : resource_find(c, str_of(targets[i]), &r, &e)) != ERR_OK)
            return cli_fail(&e);
        const char *path = resource_path(c, &r, str_of(cli_namespace(c)), name);
        struct instant until = instant_add(clock_now(), SPAN_S((int64_t)timeout_s));
        e = (struct err){0};
        while (!holds(c, path, w, &e)) {
            if (instant_due(until, clock_now()))
                return say_not_so(targets[i], timeout_s, &e);
            client_wait(c->client, SPAN_MS(200));
        }
        printf("%s: met\n", targets[i]);
    }
    return CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    char *targets[TARGETS_MAX];
    uint32_t count = 0;
    struct wish wish = {0};
    bool wished = false;
    uint64_t timeout_s = 30;
    const char *value;

    for (int at = 1; at < argc;) {
        if ((value = cmd_option(argc, argv, &at, "for", 0)) != NULL) {
            if (!parse_wish(value, &wish))
                return cmd_usage(&cmd_wait,
                                 "--for %s is none of condition=TYPE[=STATUS], "
                                 "jsonpath=FIELD.FIELD=VALUE and delete",
                                 value);
            wished = true;
        } else if ((value = cmd_option(argc, argv, &at, "timeout", 0)) != NULL) {
            if (!cmd_seconds(value, &timeout_s) || timeout_s > 86400)
                return cmd_usage(&cmd_wait, "--timeout %s is not a span of time up to 24h", value);
        } else if (argv[at][0] == '-' || count == TARGETS_MAX) {
            return cmd_usage(&cmd_wait, "%s: not an option, or too many", argv[at]);
        } else {
            targets[count++] = argv[at++];
        }
    }
    if (!wished || count == 0)
        return cmd_usage(&cmd_wait, "say for what, and for whom");
    return wait_for(c, targets, count, &wish, timeout_s);
}

const struct cmd cmd_wait = {
    .name = "wait",
    .args = "KIND/NAME... --for WISH [--timeout 30s]",
    .summary = "Wait until something is so",
    .help = "  --for condition=Ready             a condition is True (or =False)\n"
            "  --for jsonpath=status.phase=Running\n"
            "  --for delete                      it is not there any more\n"
            "A KIND alone means all of its objects, and at least one.\n",
    .run = run,
};
