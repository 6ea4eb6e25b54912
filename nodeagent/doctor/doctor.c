/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/doctor/doctor.h"

#include "io/blackbox.h"
#include "io/fs.h"
#include "nodeagent/doctor/sweep.h"

#include <stdio.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 << 20, ARENA_MAX = 128 << 20, STDIN_MAX = 1 << 20 };

struct doctor {
    const struct options *o;
    struct arena arena;
    struct inventory inventory;
    struct doctor_findings findings;
    struct json *root, *leftovers;
    int lock; /* Ours while the agent is away; -1: it runs. */
    bool left;
};

static void set(struct doctor *d, struct json *object, const char *key, struct str text)
{
    if (text.len > 0)
        json_set(&d->arena, object, str_of(key),
                 json_new_string(&d->arena, arena_str(&d->arena, text)));
}

static void tell(void *arg, const struct host_thing *t, const char *why, enum err_code code,
                 const struct err *e)
{
    struct doctor *d = arg;
    struct json *one = json_new(&d->arena, JSON_OBJECT);
    char since[WALL_TEXT_MAX];
    set(d, one, "kind", str_of(host_kind_names[t->kind]));
    set(d, one, "name", t->name);
    set(d, one, "workload", t->uid);
    if (t->since.ns != 0)
        set(d, one, "since", str_from(since, wall_print(t->since, since)));
    set(d, one, "why", str_of(why));
    bool removed = d->o->fix && code == ERR_OK;
    json_set(&d->arena, one, STR("removed"), json_new_bool(&d->arena, removed));
    if (code != ERR_OK)
        set(d, one, "error", str_of(e->text));
    d->left |= !removed;
    json_append(d->leftovers, one);
}

static void want_placed(struct inventory *v)
{
    struct buf text;
    struct str rest, line;
    if (isatty(STDIN_FILENO))
        return;
    buf_init(&text, STDIN_MAX);
    if (fs_read("/dev/stdin", &text, NULL) == ERR_OK)
        for (rest = buf_str(&text); str_split(&rest, '\n', &line);)
            if (str_trim(line).len > 0)
                inventory_want(v, str_trim(line));
    buf_free(&text);
}

static void look_at_leftovers(struct doctor *d)
{
    struct leftover_view view = inventory_view(&d->inventory, d->lock < 0);
    if (d->o->fix) {
        sweep_all(&d->inventory, &view, tell, d);
        return;
    }
    for (int kind = 0; kind < HOST_KIND__COUNT; kind++)
        for (uint32_t i = 0; i < view.things_count; i++) {
            const char *why = (int)view.things[i].kind == kind ? leftover_why(&view, i) : NULL;
            if (why != NULL)
                tell(d, &view.things[i], why, ERR_OK, NULL);
        }
}

static void look_at_agent(struct doctor *d)
{
    char path[FS_PATH_MAX];
    struct err e;
    d->lock = -1;
    enum err_code code = fs_join(path, d->o->state, "lock") ? fs_lock(path, &d->lock, &e)
                                                            : err_set(&e, ERR_LIMIT, "--state");
    if (code == ERR_OK)
        doctor_say(&d->findings, "agent", "fail", STR("does not run: nothing is started or ended"));
    else
        doctor_say(&d->findings, "agent", code == ERR_CONFLICT ? "ok" : "warn",
                   code == ERR_CONFLICT ? STR("runs") : str_of(e.text));
}

static void record(struct doctor *d)
{
    struct json *one = json_new(&d->arena, JSON_OBJECT);
    char asked[FS_PATH_MAX], lock[FS_PATH_MAX];
    struct err e;
    if (!fs_join(asked, d->o->state, BLACKBOX_FOLDER "/" BLACKBOX_ASKED) ||
        !fs_join(lock, d->o->state, "lock"))
        return;
    enum err_code code = d->lock >= 0 /* Ours: it would be taken for the agent's. */
                             ? err_set(&e, ERR_NOT_FOUND, "no agent runs that has a recording")
                             : blackbox_ask(lock, asked, SPAN_MS(SWEEP_PATIENCE_MS), &e);
    if (code == ERR_OK) {
        set(d, one, "name", str_of(asked));
    } else {
        set(d, one, "error", str_of(e.text));
        d->findings.failed = true;
    }
    json_set(&d->arena, d->root, STR("record"), one);
}

static void print(struct doctor *d)
{
    struct buf text;
    buf_init(&text, OUTPUT_MAX);
    json_print(&text, d->root);
    buf_add_char(&text, '\n');
    (void)!fwrite(text.at, 1, text.len, stdout);
    buf_free(&text);
}

static void describe(struct doctor *d)
{
    set(d, d->root, "state", str_of(d->o->state));
    set(d, d->root, "node", str_of(d->inventory.identity.node_name));
    set(d, d->root, "cluster", str_of(d->inventory.identity.cluster_id));
    json_set(&d->arena, d->root, STR("checks"), d->findings.checks);
    json_set(&d->arena, d->root, STR("leftovers"), d->leftovers);
}

int doctor(const struct options *o)
{
    struct doctor d = {.o = o};
    struct err e;
    arena_init(&d.arena, ARENA_MAX);
    d.root = json_new(&d.arena, JSON_OBJECT);
    d.leftovers = json_new(&d.arena, JSON_ARRAY);
    d.findings = (struct doctor_findings){&d.arena, json_new(&d.arena, JSON_ARRAY), false};

    enum err_code code = inventory_read(o->state, &d.inventory, &e);
    if (code != ERR_NOT_FOUND) /* Else there is no node here, and no lock to make. */
        look_at_agent(&d);
    if (code == ERR_OK)
        code = inventory_read_wanted(&d.inventory, &e);
    if (code == ERR_OK) {
        want_placed(&d.inventory);
        look_at_leftovers(&d);
    }
    if (code != ERR_NOT_FOUND)
        doctor_check_node(&d.findings, &d.inventory);
    if (o->record && code != ERR_NOT_FOUND)
        record(&d);
    describe(&d);
    if (code != ERR_OK)
        set(&d, d.root, "refused",
            code == ERR_NOT_FOUND ? STR("no agent has joined a cluster here") : str_of(e.text));
    print(&d);
    fs_close(&d.lock);
    inventory_free(&d.inventory);
    arena_free(&d.arena);
    return code != ERR_OK || d.findings.failed || d.left;
}
