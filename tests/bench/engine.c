/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/engine.h"

#include "base/check.h"
#include "controlplane/store/store_etcd.h"
#include "controlplane/store/store_sqlite.h"
#include "io/fs.h"

#include <stdio.h>
#include <stdlib.h>

bool engine_is_etcd(const char *where)
{
    return str_starts(str_of(where), STR("http"));
}

static void told(void *state, const struct store_event *ev)
{
    struct engine *e = state;
    if (!e->waiting || ev->type == STORE_ROW) {
        e->sink.post(e->sink.state, ev);
        return;
    }
    CHECK(ev->code == ERR_OK);
    e->fence = ev->fence;
    e->waiting = false;
}

static void wait(struct engine *e)
{
    while (e->waiting)
        loop_step(e->loop, SPAN_MS(100));
}

static enum err_code open_etcd(struct engine *e, const char *name, struct err *why)
{
    char prefix[STORE_ETCD_PREFIX_MAX + 1];
    struct store_sink sink = {told, e};
    snprintf(prefix, sizeof prefix, "/%s/", name);
    struct store_etcd_options o = {.endpoints = e->where,
                                   .prefix = prefix,
                                   .cluster = e->cluster == NULL ? "bench" : e->cluster,
                                   .holder = "bench",
                                   .seal = e->seal,
                                   .loop = e->loop};
    return store_etcd_open(&o, &sink, &e->store, why);
}

static enum err_code open_sqlite(struct engine *e, const char *name, struct err *why)
{
    char path[FS_PATH_MAX];
    struct store_sink sink = {told, e};
    snprintf(path, sizeof path, "%s/%s.db", e->where, name);
    struct store_sqlite_options o = {.path = path, .seal = e->seal, .loop = e->loop};
    return store_sqlite_open(&o, &sink, &e->store, why);
}

void engine_open(struct engine *e, const char *name)
{
    struct err why;
    enum err_code code =
        engine_is_etcd(e->where) ? open_etcd(e, name, &why) : open_sqlite(e, name, &why);
    if (code != ERR_OK) {
        fprintf(stderr, "%s: %s\n", e->where, why.text);
        exit(1);
    }
    e->waiting = true;
    e->store->ops->load(e->store, ++e->op);
    wait(e);
}

void engine_close(struct engine *e)
{
    e->waiting = true;
    e->store->ops->close(e->store, ++e->op);
    wait(e);
}
