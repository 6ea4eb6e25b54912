/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/doctor/clean.h"

#include "base/log.h"
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/doctor/sweep.h"

struct cleaning {
    const struct options *o;
    struct inventory inventory;
    int failed;
};

static void complain(struct cleaning *c, const char *what, const struct err *e)
{
    log_event(LOG_ERROR, "clean.failed", "what=%s err=%s", what, log_quote(str_of(e->text)).text);
    c->failed = 1;
}

/* The agent itself may be dying in the pool. */
static void clean_cgroups(struct cleaning *c)
{
    struct instant until = instant_add(clock_now(), SPAN_MS(SWEEP_PATIENCE_MS));
    enum err_code code = ERR_OK;
    struct err e;
    while (c->inventory.cgroups != NULL &&
           (code = cgroup_purge(c->inventory.cgroups, &e)) == ERR_BUSY &&
           !instant_due(until, clock_now()))
        sweep_pause();
    if (code != ERR_OK)
        complain(c, "cgroups", &e);
}

static void complain_of(void *arg, const struct host_thing *t, const char *why, enum err_code code,
                        const struct err *e)
{
    (void)why;
    if (code != ERR_OK)
        complain(arg, host_kind_names[t->kind], e);
}

/* With no record left, nothing should be here. */
static void clean_workloads(struct cleaning *c)
{
    char path[FS_PATH_MAX];
    struct err e;
    if (fs_join(path, c->o->state, "records") && fs_remove_tree(path, &e) != ERR_OK)
        complain(c, "records", &e);
    inventory_drop_logs(&c->inventory);
    struct leftover_view view = inventory_view(&c->inventory, false);
    sweep_all(&c->inventory, &view, complain_of, c);
}

static void clean_files(struct cleaning *c)
{
    static const char *const names[] = {"pods", "run", "netns"};
    char path[FS_PATH_MAX];
    struct err e;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (fs_join(path, c->o->state, names[i]) && fs_remove_tree(path, &e) != ERR_OK &&
            e.code != ERR_NOT_FOUND)
            complain(c, names[i], &e);
}

int clean(const struct options *o)
{
    struct cleaning c = {.o = o};
    struct err e;

    enum err_code code = inventory_read(o->state, &c.inventory, &e);
    if (code == ERR_OK) {
        clean_workloads(&c);
        clean_cgroups(&c);
        if (net_purge(c.inventory.net, &e) != ERR_OK)
            complain(&c, "network", &e);
        clean_files(&c);
    } else if (code != ERR_NOT_FOUND) { /* It never joined: it never ran anything. */
        complain(&c, "inventory", &e);
    }
    inventory_free(&c.inventory);
    return c.failed;
}
