/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for whom among pulls. skopeo is a script here, which fails at once, or never where the registry is called slow. */
#include "nodeagent/shell/hostimages.h"

#include "io/clock.h"
#include "io/fs.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct world {
    char directory[64], state[96];
    struct loop *loop;
    struct hostimages *images;
    uint64_t told[32];
    uint32_t told_count;
} world;

static void done(void *owner, uint64_t op, const struct agent_host_done *answer)
{
    (void)owner;
    cr_assert_neq(answer->code, ERR_OK);
    world.told[world.told_count++] = op;
}

static bool begin(uint32_t high_percent)
{
    static const char script[] = "#!/bin/sh\ncase \"$*\" in *slow*) exec sleep 100 ;; esac\n"
                                 "echo 'manifest unknown' >&2\nexit 1\n";
    char path[128], old[4096];
    struct err e;
    if (access("/usr/bin/setpriv", X_OK) != 0) {
        fputs("skipped: needs setpriv\n", stderr);
        return false;
    }
    world = (struct world){.directory = "/tmp/baton-pulls-XXXXXX"};
    cr_assert_not_null(mkdtemp(world.directory));
    snprintf(path, sizeof path, "%s/skopeo", world.directory);
    cr_assert_eq(fs_write(path, str_from(script, sizeof script - 1), 0755, NULL), ERR_OK);
    snprintf(old, sizeof old, "%s:%s", world.directory, getenv("PATH"));
    cr_assert_eq(setenv("PATH", old, 1), 0);
    snprintf(world.state, sizeof world.state, "%s/images", world.directory);
    world.loop = loop_new();
    cr_assert_eq(
        hostimages_new(
            &(struct hostimages_options){
                .loop = world.loop,
                .store = {.directory = str_of(world.state), .import = str_of(world.state)},
                .keep = {high_percent, high_percent == 100 ? 100 : 0, .hold_max = SPAN_MS(400)},
                .done = done},
            &world.images, &e),
        ERR_OK, "%s", e.text);
    return true;
}

static void pull(uint64_t op, const char *reference)
{
    char root[128];
    snprintf(root, sizeof root, "%s/root-%llu", world.directory, (unsigned long long)op);
    struct agent_effect fx = {.type = FX_IMAGE, .op = op};
    fx.image.reference = str_of(reference);
    fx.image.root = str_of(root);
    hostimages_do(world.images, &fx);
}

static bool was_told(uint64_t op)
{
    for (uint32_t i = 0; i < world.told_count; i++)
        if (world.told[i] == op)
            return true;
    return false;
}

static bool told_within(uint64_t op, uint32_t ms)
{
    struct instant until = instant_add(clock_now(), SPAN_MS(ms));
    while (!was_told(op) && !instant_due(until, clock_now()))
        loop_step(world.loop, SPAN_MS(10));
    return was_told(op);
}

static void end(uint64_t slow)
{
    hostimages_give_up(world.images, slow);
    cr_assert(told_within(slow, 5000));
    hostimages_free(world.images);
    loop_free(world.loop);
    cr_assert_eq(fs_remove_tree(world.directory, NULL), ERR_OK);
}

/* A pull that ends has the disk looked at. That must not keep everybody from pulling until the slowest has ended. */
TEST(hostimages, a_slow_registry_holds_up_its_own)
{
    char name[64];
    if (!begin(100))
        return;
    pull(1, "slow.example/x:1");
    pull(2, "slow.example/y:1"); /* One after another. */
    for (uint64_t op = 3; op < 12; op++) {
        snprintf(name, sizeof name, "quick-%llu.example/x:1", (unsigned long long)op);
        pull(op, name);
        cr_assert(told_within(op, 5000), "%llu waits for the slow one", (unsigned long long)op);
    }
    cr_assert(!was_told(1) && !was_told(2));
    hostimages_give_up(world.images, 2);
    cr_assert(told_within(2, 5000), "given up, and waiting behind the slow one");
    end(1);
}

/* Without room others wait for what is under way, but not for ever. */
TEST(hostimages, want_of_room_holds_nobody_up_for_ever)
{
    if (!begin(1))
        return;
    pull(1, "slow.example/x:1");
    cr_assert_not(told_within(1, 50));
    pull(2, "quick-2.example/x:1"); /* Its end has the disk looked at. */
    cr_assert(told_within(2, 5000));
    cr_assert_not(told_within(1, 50));
    struct instant begun = clock_now();
    pull(3, "quick-3.example/x:1");
    cr_assert(told_within(3, 10000));
    cr_assert_geq(instant_sub(clock_now(), begun).ns, SPAN_MS(100).ns, "it was not held");
    end(1);
}
