/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/etcd/home.h"

#include "base/check.h"
#include "io/fs.h"
#include "io/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make_dir(struct rig *r)
{
    snprintf(r->dir, sizeof r->dir, "/tmp/baton-etcd-XXXXXX");
    CHECK(mkdtemp(r->dir) != NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void one_make(struct rig *r)
{
    make_dir(r);
    etcd_server_init(&r->etcd[0], r->dir, false);
}

static void three_make(struct rig *r)
{
    make_dir(r);
    etcd_servers_init(r->etcd, 3, r->dir);
    for (uint32_t i = 0; i < 3; i++)
        etcd_server_start(&r->etcd[i]);
}

static void tls_make(struct rig *r)
{
    make_dir(r);
    etcd_server_init(&r->etcd[0], r->dir, true);
}

/* A guest has no server, and no folder. */
static void guest_make(struct rig *r)
{
    (void)r;
}

static struct engine with(void (*make)(struct rig *))
{
    struct engine e = engine_etcd;
    e.make = make;
    return e;
}

struct rig *home_new(const char *argument)
{
    static struct engine engine;
    engine = with(one_make);
    struct rig *r = rig_new(&engine);
    r->etcd[0].args[0] = argument;
    etcd_server_start(&r->etcd[0]);
    return r;
}

struct rig *home_new_tls(void)
{
    static struct engine engine;
    engine = with(tls_make);
    return rig_new(&engine);
}

struct rig *home_of_three(char endpoints[256])
{
    static struct engine engine;
    engine = with(three_make);
    struct rig *r = rig_new(&engine);
    snprintf(endpoints, 256, "%s,%s,%s", r->etcd[0].client_url, r->etcd[1].client_url,
             r->etcd[2].client_url);
    r->endpoints = endpoints;
    for (uint32_t i = 0; i < 3; i++)
        home_wait(&r->etcd[i]);
    return r;
}

struct rig *home_guest(struct rig *home, const char *holder)
{
    static struct engine engine;
    engine = with(guest_make);
    struct rig *r = rig_new(&engine);
    r->endpoints = home->endpoints != NULL ? home->endpoints : home->etcd[0].client_url;
    r->holder = holder;
    return r;
}

void home_wait(const struct etcd_server *s)
{
    for (uint32_t tries = 0; tries < 100; tries++) {
        if (etcd_ctl(s, "endpoint health", NULL, 0) == 0)
            return;
        usleep(100000);
    }
    CHECK(false); /* It does not come. */
}

uint32_t home_rounds(uint32_t usual)
{
    const char *times = getenv("BATON_ETCD_TIMES");
    return usual * (times == NULL ? 1 : (uint32_t)strtoul(times, NULL, 10));
}

bool home_get(const struct rig *home, const char *key, char out[512])
{
    char arguments[128];
    snprintf(arguments, sizeof arguments, "get --print-value-only %s", key);
    CHECK(etcd_ctl(&home->etcd[0], arguments, out, 512) == 0);
    out[strcspn(out, "\n")] = '\0';
    return out[0] != '\0';
}
