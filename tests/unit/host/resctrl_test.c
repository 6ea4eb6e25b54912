/* SPDX-License-Identifier: Apache-2.0 */
/* Ways and bandwidth, against a tree of files that acts as the kernel does: this machine has no resctrl. */
#include "nodeagent/host/resctrl.h"
#include "base/mem.h"
#include "io/fs.h"
#include "base/cpuset.h"
#include "tests/testlib/test.h"
#include "tests/unit/host/kernel.h"

#include <stdio.h>

static const struct str A = STR("baton-123456-n0.a"), B = STR("baton-123456-n0.b");

static const char *text_of(struct kernel *k, const char *name)
{
    static char text[512];
    char path[FS_PATH_MAX];
    struct buf b;
    buf_init(&b, sizeof text - 1);
    snprintf(path, sizeof path, "%s/%s", k->resctrl, name);
    if (fs_read(path, &b, NULL) != ERR_OK)
        buf_clear(&b);
    snprintf(text, sizeof text, STR_FMT, (int)b.len, b.at == NULL ? "" : b.at);
    buf_free(&b);
    return text;
}

static struct cpuset cpus(uint32_t first, uint32_t count)
{
    struct cpuset set = {0};
    for (uint32_t i = first; i < first + count; i++)
        cpuset_add(&set, i);
    return set;
}

TEST(resctrl, what_can_be_given_away)
{
    struct kernel *k = kernel_new();
    struct resctrl r;
    struct err e;
    cr_assert_eq(resctrl_look(&k->sysfs, &r, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(r.ways_total, 11);
    cr_assert_eq(r.ways, 9, "devices share two");
    cr_assert_eq(r.step, 10);
    cr_assert_eq(r.groups, 3);
    cr_assert_eq(r.domains_count, 2);
    k->sysfs.resctrl = "/nonexistent";
    cr_assert_eq(resctrl_look(&k->sysfs, &r, &e), ERR_NOT_FOUND);
    kernel_free(k);
}

/* What one is given, the others leave; what two had and gave back is everybody's again. */
TEST(resctrl, groups_and_everybody_else)
{
    static const struct resctrl_grant a[] = {{.domain = 1, .ways = 0x1f, .percent = 30}};
    static const struct resctrl_grant b[] = {{.domain = 1, .ways = 0xe0, .percent = 5},
                                             {.domain = 0, .ways = 0x7}};
    struct kernel *k = kernel_new();
    struct cpuset four = cpus(4, 2), eight = cpus(8, 4);
    struct err e;
    cr_assert_eq(resctrl_make(&k->sysfs, A, a, 1, &four, &e), ERR_OK, "%s", e.text);
    cr_expect_str_eq(text_of(k, "baton-123456-n0.a/schemata"), "L3:0=600;1=1f\nMB:0=100;1=30");
    cr_expect_str_eq(text_of(k, "baton-123456-n0.a/cpus_list"), "4-5");
    cr_expect_str_eq(text_of(k, "schemata"), "L3:0=7ff;1=7e0\nMB:0=100;1=70");
    cr_assert_eq(resctrl_make(&k->sysfs, B, b, 2, &eight, &e), ERR_OK, "%s", e.text);
    cr_expect_str_eq(text_of(k, "baton-123456-n0.b/schemata"), "L3:0=7;1=e0\nMB:0=100;1=10");
    cr_expect_str_eq(text_of(k, "schemata"), "L3:0=7f8;1=700\nMB:0=100;1=65");
    cr_assert_eq(resctrl_make(&k->sysfs, A, a, 1, &four, &e), ERR_OK, "again: %s", e.text);
    cr_assert_eq(resctrl_remove(&k->sysfs, B, &e), ERR_OK, "%s", e.text);
    cr_expect_str_eq(text_of(k, "schemata"), "L3:0=7ff;1=7e0\nMB:0=100;1=70");
    cr_assert_eq(resctrl_remove(&k->sysfs, A, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(resctrl_remove(&k->sysfs, A, &e), ERR_OK, "not there: %s", e.text);
    cr_expect_str_eq(text_of(k, "schemata"), "L3:0=7ff;1=7ff\nMB:0=100;1=100");
    kernel_free(k);
}

static bool count_one(void *arg, const char *group)
{
    (void)group;
    ++*(uint32_t *)arg;
    return true;
}

/* Killed at each call; what is found by its name is taken away. */
TEST(resctrl, a_crash_at_any_write)
{
    static const struct resctrl_grant a[] = {{.domain = 0, .ways = 0x3, .percent = 20}};
    for (uint32_t at = 1; at <= 4; at++) {
        struct kernel *k = kernel_new();
        struct cpuset four = cpus(4, 2);
        struct err e;
        uint32_t left = 0;
        k->pokes_max = at;
        cr_expect_eq(resctrl_make(&k->sysfs, A, a, 1, &four, &e) == ERR_OK, at >= 4, "%u", at);
        k->pokes_max = 0;
        cr_assert_eq(resctrl_list(&k->sysfs, STR("baton-123456-n0."), count_one, &left, &e),
                     ERR_OK);
        cr_expect_eq(left, 1, "%u", at);
        cr_assert_eq(resctrl_remove(&k->sysfs, A, &e), ERR_OK, "%s", e.text);
        cr_expect_str_eq(text_of(k, "schemata"), "L3:0=7ff;1=7ff\nMB:0=100;1=100", "%u", at);
        kernel_free(k);
    }
}

TEST(resctrl, no_class_of_service_is_free)
{
    static const struct resctrl_grant a[] = {{.domain = 0, .ways = 0x3}};
    struct kernel *k = kernel_new();
    struct cpuset four = cpus(4, 2);
    struct err e;
    k->pokes_max = 1, k->pokes = 1;
    cr_assert_eq(resctrl_make(&k->sysfs, A, a, 1, &four, &e), ERR_LIMIT);
    cr_assert_str_eq(e.text, "is a class of service free?: killed");
    cr_assert_eq(resctrl_make(&k->sysfs, STR("other"), a, 1, &four, &e), ERR_INVALID);
    kernel_free(k);
}

/* The description has each cache's number, whatever order the kernel gave them. */
TEST(resctrl, caches_by_their_cpus)
{
    struct kernel *k = kernel_new();
    struct discover *d = mem_zalloc(1, sizeof *d);
    struct err e;
    cr_assert_eq(discover("package:2 l3:1 core:2 pu:1", "/tmp", d, &e), ERR_OK, "%s", e.text);
    for (uint32_t cpu = 0; cpu < 4; cpu++) {
        char name[128];
        snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%u/cache/index0/level", cpu);
        kernel_file(k, name, "1\n");
        snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%u/cache/index3/level", cpu);
        kernel_file(k, name, "3\n");
        snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%u/cache/index3/id", cpu);
        kernel_file(k, name, cpu < 2 ? "1\n" : "0\n");
    }
    resctrl_describe(&k->sysfs, d);
    cr_expect_eq(d->cache_groups, 3);
    cr_expect(d->caches[0].resctrl_id == 1 && d->caches[1].resctrl_id == 0);
    cr_expect(d->caches[0].ways == 9 && d->caches[1].bandwidth_step == 10);
    mem_free(d);
    kernel_free(k);
}
