/* SPDX-License-Identifier: Apache-2.0 */
/* Records are written in order and told of in order, and the loop's thread waits for no disk. CMake has fsync() wrapped. */
#include "nodeagent/shell/recordwork.h"

#include "base/buf.h"
#include "io/fs.h"
#include "tests/testlib/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct world {
    char state[64];
    struct loop *loop;
    struct recordwork *records;
    uint64_t told[64];
    enum err_code codes[64];
    uint32_t told_count;
    uint64_t again; /* Asked for when this is told; 0: nothing. */
} world;

static pthread_t loops_thread;
static _Atomic uint32_t syncs, syncs_on_the_loop;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    syncs++;
    syncs_on_the_loop += pthread_equal(pthread_self(), loops_thread) != 0;
    return __real_fsync(fd);
}

static void save(uint64_t op, const char *uid, const char *bytes)
{
    recordwork_do(world.records,
                  &(struct agent_effect){
                      .type = FX_SAVE, .op = op, .uid = str_of(uid), .bytes = str_of(bytes)});
}

static void forget(uint64_t op, const char *uid)
{
    recordwork_do(world.records,
                  &(struct agent_effect){.type = FX_FORGET, .op = op, .uid = str_of(uid)});
}

static void done(void *owner, uint64_t op, const struct agent_host_done *answer)
{
    (void)owner;
    world.codes[world.told_count] = answer->code;
    world.told[world.told_count++] = op;
    if (op == world.again)
        save(99, "asked-while-told", "x");
}

static void begin(void)
{
    char folder[96];
    world = (struct world){.state = "/tmp/baton-recw-XXXXXX"};
    cr_assert_not_null(mkdtemp(world.state));
    snprintf(folder, sizeof folder, "%s/records", world.state);
    cr_assert_eq(fs_mkdir(folder, 0700, NULL), ERR_OK);
    world.loop = loop_new();
    world.records = recordwork_new(
        &(struct recordwork_options){.loop = world.loop, .state = world.state, .done = done});
    loops_thread = pthread_self();
    syncs = syncs_on_the_loop = 0;
}

static void turn_until(uint32_t count)
{
    for (int i = 0; i < 1000 && world.told_count < count; i++)
        loop_step(world.loop, SPAN_MS(10));
    cr_assert_eq(world.told_count, count);
}

static bool says(const char *uid, const char *want)
{
    char path[128];
    struct buf text;
    buf_init(&text, 4096);
    snprintf(path, sizeof path, "%s/records/%s", world.state, uid);
    bool same = fs_read(path, &text, NULL) == ERR_OK && str_is(buf_str(&text), want);
    buf_free(&text);
    return same;
}

static void end(void)
{
    recordwork_free(world.records);
    loop_free(world.loop);
    cr_assert_eq(fs_remove_tree(world.state, NULL), ERR_OK);
}

TEST(recordwork, in_order_and_not_on_the_loop)
{
    begin();
    world.again = 2;
    save(1, "a", "one");
    save(2, "a", "two");
    save(3, "b", "three");
    forget(4, "b");
    save(5, "b/../../c", "names no record");
    cr_assert_eq(world.told_count, 0, "told from inside the asking");
    cr_assert(recordwork_has(world.records, STR("b")));
    cr_assert_not(recordwork_has(world.records, STR("c")));
    turn_until(6);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(world.told[i], i + 1);
    cr_assert_eq(world.told[5], 99);
    cr_assert(world.codes[3] == ERR_OK && world.codes[4] == ERR_INVALID);
    cr_assert(says("a", "two") && says("asked-while-told", "x") && !says("b", "three"));
    cr_assert_not(recordwork_has(world.records, STR("a")));
    cr_assert(syncs > 0 && syncs_on_the_loop == 0);
    end();
}

TEST(recordwork, what_was_forgotten_in_one_go_is_synced_once)
{
    char uid[8];
    begin();
    for (int i = 0; i < 20; i++) {
        snprintf(uid, sizeof uid, "u%d", i);
        forget((uint64_t)i + 1, uid);
    }
    turn_until(20);
    cr_assert_eq(syncs, 1);
    end();
}

TEST(recordwork, the_last_ones_are_written_before_it_ends)
{
    begin();
    save(1, "a", "one");
    loop_step(world.loop, SPAN_MS(0));
    save(2, "b", "two");
    recordwork_free(world.records);
    cr_assert(says("a", "one") && says("b", "two"));
    world.records = NULL;
    end();
}
