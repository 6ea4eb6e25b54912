/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/clean.h"

#include "base/log.h"
#include "io/fs.h"
#include "io/loop.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/host/net.h"
#include "nodeagent/identity.h"

#include <stdio.h>
#include <sys/mount.h>

enum { PURGE_TRIES_MAX = 100, PURGE_PAUSE_MS = 100, MOUNTS_MAX = 4 << 20 };

struct cleaning {
    const struct options *o;
    struct identity identity;
    char name[128]; /* Of cgroup parent and network, as main.c makes it. */
    int failed;
};

static void complain(struct cleaning *c, const char *what, const struct err *e)
{
    log_event(LOG_ERROR, "clean.failed", "what=%s err=%s", what, log_quote(str_of(e->text)).text);
    c->failed = 1;
}

static void nap(struct loop *l, struct loop_client *c)
{
    loop_set_deadline(c, instant_add(loop_now(l), SPAN_MS(PURGE_PAUSE_MS)));
    loop_step(l, SPAN_MS(PURGE_PAUSE_MS));
}

static void ignore(struct loop_client *self, const struct io_event *ev)
{
    (void)self;
    (void)ev;
}

/* What was killed takes a moment to be gone; until then its group is busy. */
static void clean_cgroups(struct cleaning *c)
{
    struct loop_client timer = {.event = ignore};
    struct cgroup_layout layout;
    struct cgroup_tree *tree;
    struct err e;

    if (cgroup_layout_read(&layout, &e) != ERR_OK ||
        cgroup_open(&layout, str_of(c->name), &tree, &e) != ERR_OK) {
        complain(c, "cgroups", &e);
        return;
    }
    struct loop *l = loop_new();
    loop_join(l, &timer);
    enum err_code code = ERR_BUSY;
    for (int tries = 0; code == ERR_BUSY && tries < PURGE_TRIES_MAX; tries++) {
        code = cgroup_purge(tree, &e);
        if (code == ERR_BUSY)
            nap(l, &timer);
    }
    loop_leave(&timer);
    loop_free(l);
    cgroup_close(tree);
    if (code != ERR_OK)
        complain(c, "cgroups", &e);
}

static void clean_network(struct cleaning *c)
{
    char netns[FS_PATH_MAX];
    /* Purging asks nothing of the address; it is names that are taken away. */
    struct net_address gateway = {{10, 0, 0, 1}, 24};
    struct net *net;
    struct err e;

    if (!fs_join(netns, c->o->state, "netns"))
        return;
    if (net_open(&(struct net_config){.cluster = str_of(c->name + sizeof "baton-" - 1),
                                      .netns_directory = str_of(netns),
                                      .gateway = gateway},
                 &net, &e) != ERR_OK) {
        complain(c, "network", &e);
        return;
    }
    if (net_purge(net, &e) != ERR_OK)
        complain(c, "network", &e);
    net_close(net);
}

/* The mounts below STATE, the last made first. proc(5): the fifth field of mountinfo, octal escapes. */
static void clean_mounts(struct cleaning *c)
{
    struct buf text;
    struct err e;

    buf_init(&text, MOUNTS_MAX);
    if (fs_read("/proc/self/mountinfo", &text, &e) != ERR_OK)
        complain(c, "mounts", &e);
    for (size_t end = text.len; end > 0;) {
        size_t begin = end - 1;
        while (begin > 0 && text.at[begin - 1] != '\n')
            begin--;
        struct str line = str_slice(buf_str(&text), begin, end), part;
        end = begin;
        for (int field = 0; field < 5 && str_split(&line, ' ', &part); field++)
            ;
        char path[FS_PATH_MAX];
        size_t length = strlen(c->o->state);
        if (part.len >= sizeof path || !str_starts(part, str_of(c->o->state)) ||
            part.len == length || part.at[length] != '/')
            continue;
        memcpy(path, part.at, part.len);
        path[part.len] = '\0';
        if (umount2(path, MNT_DETACH) != 0) {
            err_set(&e, ERR_UNAVAILABLE, "unmount %s: %m", path);
            complain(c, "mounts", &e);
        }
    }
    buf_free(&text);
}

static void clean_files(struct cleaning *c)
{
    static const char *const names[] = {"pods", "run", "records", "netns"};
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

    enum err_code code = identity_read(o->state, &c.identity, &e);
    if (code == ERR_NOT_FOUND)
        return 0; /* It never joined: it never ran anything. */
    if (code != ERR_OK) {
        complain(&c, "identity", &e);
        return 1;
    }
    snprintf(c.name, sizeof c.name, "baton-%s-%s", c.identity.cluster_id, c.identity.node_name);
    clean_cgroups(&c);
    clean_mounts(&c);
    clean_network(&c);
    clean_files(&c);
    identity_free(&c.identity);
    return c.failed;
}
