/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts, and v2 against a directory that holds the files the kernel would make. The kernel's
 * own v1 is met in tests/e2e/host. */
#include "io/fs.h"
#include "nodeagent/host/cgroup_priv.h"
#include "nodeagent/host/cpuset_proc.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cpuset set_of(const char *text)
{
    struct cpuset s;
    cr_assert_eq(cpuset_parse(str_of(text), &s), ERR_OK, "%s", text);
    return s;
}

TEST(cpuset, reads_own_threads)
{
    struct cpuset s;
    uint32_t threads;
    cr_assert_eq(cpuset_of_threads(getpid(), &s, &threads, NULL), ERR_OK);
    cr_assert_geq(threads, 1);
    cr_assert_not(cpuset_is_empty(&s));
    cr_assert_eq(cpuset_of_threads(0x7ffffff, &s, &threads, NULL), ERR_NOT_FOUND);
}

TEST(cgroup, weights_follow_kubernetes)
{
    cr_assert_eq(cgroup_shares(0), 2);
    cr_assert_eq(cgroup_shares(1000), 1024);
    cr_assert_eq(cgroup_shares(1000000), 262144);
    cr_assert_eq(cgroup_weight(0), 1);
    cr_assert_eq(cgroup_weight(1000), 39); /* KEP-2254's own example. */
    cr_assert_eq(cgroup_weight(1000000), 10000);
}

TEST(cgroup, reads_flat_keyed_files)
{
    uint64_t v = 0;
    struct str text = STR("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    cr_assert_eq(cgroup_field(text, "oom_kill", &v), ERR_OK);
    cr_assert_eq(v, 3);
    cr_assert_eq(cgroup_field(text, "oom", &v), ERR_NOT_FOUND);
}

static const char hybrid[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

TEST(cgroup, finds_a_hybrid_hosts_hierarchies)
{
    struct cgroup_layout l;
    cr_assert_eq(cgroup_layout_parse(str_of(hybrid), STR("hugetlb\n"), &l, NULL), ERR_OK);
    cr_assert_not(l.unified);
    cr_assert_str_eq(l.mount[CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuacct");
    cr_assert_str_eq(l.mount[CGROUP_CPUSET], "/sys/fs/cgroup/cpuset");
    cr_assert_str_eq(l.mount[CGROUP_CPUACCT], "", "mounted together: one hierarchy");
    cr_assert_str_eq(l.mount[CGROUP_DEVICES], "/sys/fs/cgroup/devices");
    cr_assert_not(l.hugetlb, "it is nowhere in v1, and those of v2 are not ours here");
    cr_assert_eq(l.v1_count, 5, "every v1 mount, once");
}

TEST(cgroup, names_the_controller_that_is_missing)
{
    struct cgroup_layout l;
    struct err e;
    struct str only_v2 = STR("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    cr_assert_eq(cgroup_layout_parse(only_v2, STR("cpu memory pids\n"), &l, &e), ERR_NOT_FOUND);
    cr_assert(strstr(e.text, "cpuset") != NULL, "%s", e.text);
    cr_assert_eq(cgroup_layout_parse(only_v2, STR("cpuset cpu io memory hugetlb pids\n"), &l, &e),
                 ERR_OK);
    cr_assert(l.unified);
    cr_assert(l.hugetlb);
}

/* --- v2, in a directory --- */

struct fake {
    char root[64];
    struct cgroup_layout layout;
    struct cgroup_tree *tree;
};

static void file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL && fputs(text, f) >= 0);
    fclose(f);
}

static const char *const v2_files[] = {"cgroup.subtree_control",
                                       "cgroup.procs",
                                       "cgroup.kill",
                                       "cpuset.cpus",
                                       "cpuset.mems",
                                       "cpu.weight",
                                       "cpu.max",
                                       "memory.max",
                                       "memory.oom.group",
                                       "pids.max"};

static void fake_group(struct fake *f, const char *name)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s%s", f->root, name);
    mkdir(dir, 0755);
    for (size_t i = 0; i < COUNT_OF(v2_files); i++)
        file(dir, v2_files[i], "");
    file(dir, "cpuset.cpus.effective", "0-7\n");
    file(dir, "cpuset.mems.effective", "0\n");
}

static void text_is(struct fake *f, const char *name, const char *want)
{
    char path[512];
    struct buf b;
    buf_init(&b, 4096);
    snprintf(path, sizeof path, "%s%s", f->root, name);
    cr_assert_eq(fs_read(path, &b, NULL), ERR_OK, "%s", name);
    cr_assert(str_eq(str_trim(buf_str(&b)), str_of(want)), "%s: \"%.*s\", want \"%s\"", name,
              STR_ARG(buf_str(&b)), want);
    buf_free(&b);
}

static void fake_open(struct fake *f)
{
    *f = (struct fake){.root = "/tmp/baton-cgroup-XXXXXX", .layout = {.unified = true}};
    cr_assert(mkdtemp(f->root) != NULL);
    snprintf(f->layout.mount[0], CGROUP_PATH_MAX, "%s", f->root);
    const char *const groups[] = {"", "/baton-t", "/baton-t/pool", "/baton-t/x",
                                  "/baton-t/pool/web.0"};
    for (size_t i = 0; i < COUNT_OF(groups); i++)
        fake_group(f, groups[i]);
    struct err e;
    cr_assert_eq(cgroup_open(&f->layout, STR("baton-t"), &f->tree, &e), ERR_OK, "%s", e.text);
}

static void fake_close(struct fake *f)
{
    cgroup_close(f->tree);
    cr_assert_eq(fs_remove_tree(f->root, NULL), ERR_OK);
}

TEST(cgroup, v2_tree_delegates_and_starts_with_all_cpus)
{
    struct fake f;
    fake_open(&f);
    text_is(&f, "/cgroup.subtree_control", "+cpuset +cpu +memory +pids");
    text_is(&f, "/baton-t/pool/cgroup.subtree_control", "+cpuset +cpu +memory +pids");
    text_is(&f, "/baton-t/pool/cpuset.cpus", "0-7");
    fake_close(&f);
}

TEST(cgroup, v2_exclusive_is_beside_the_pool)
{
    struct fake f;
    struct err e;
    fake_open(&f);
    struct cgroup_limits l = {.exclusive = true,
                              .cpus = set_of("2-3"),
                              .weight_milli = 2000,
                              .memory_bytes = 1 << 20,
                              .pids_max = 100};
    cr_assert_eq(cgroup_make(f.tree, STR("x"), &l, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/baton-t/x/cpuset.cpus", "2-3");
    text_is(&f, "/baton-t/x/cpu.max", "max 100000");
    text_is(&f, "/baton-t/x/memory.max", "1048576");
    text_is(&f, "/baton-t/x/pids.max", "100");
    text_is(&f, "/baton-t/x/memory.oom.group", "1");
    fake_close(&f);
}

TEST(cgroup, v2_shared_is_below_the_pool_and_follows_it)
{
    struct fake f;
    struct err e;
    struct cpuset narrow = set_of("0-1"), got;
    fake_open(&f);
    struct cgroup_limits l = {.weight_milli = 500, .quota_us = 50000};
    cr_assert_eq(cgroup_make(f.tree, STR("web.0"), &l, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/baton-t/pool/web.0/cpuset.cpus", "");
    text_is(&f, "/baton-t/pool/web.0/cpu.max", "50000 100000");
    text_is(&f, "/baton-t/pool/web.0/pids.max", "max");

    cr_assert_eq(cgroup_pool_set(f.tree, &narrow, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/baton-t/pool/cpuset.cpus", "0-1");
    cr_assert_eq(cgroup_pool_get(f.tree, &got, &e), ERR_OK);
    cr_assert(cpuset_eq(&got, &narrow));
    struct cpuset none = {0};
    cr_assert_eq(cgroup_pool_set(f.tree, &none, &e), ERR_INVALID);
    fake_close(&f);
}

/* Where a host swaps, a limit that counts memory alone would be no limit. A kernel that does not count swap has no file for it. */
TEST(cgroup, a_memory_limit_is_not_evaded_by_swap)
{
    struct fake f;
    struct err e;
    struct cgroup_limits limited = {.memory_bytes = 64 << 20}, free = {0};
    fake_open(&f);
    cr_assert_eq(cgroup_make(f.tree, STR("web.0"), &limited, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(cgroup_make(f.tree, STR("web.0"), &limited, &e), ERR_OK, "%s", e.text);
    file(f.root, "baton-t/pool/web.0/memory.swap.max", "");
    cr_assert_eq(cgroup_make(f.tree, STR("web.0"), &limited, &e), ERR_OK, "%s", e.text);

    text_is(&f, "/baton-t/pool/web.0/memory.swap.max", "0");
    file(f.root, "baton-t/pool/web.0/memory.swap.max", "");
    cr_assert_eq(cgroup_make(f.tree, STR("web.0"), &free, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/baton-t/pool/web.0/memory.swap.max", "max");
    fake_close(&f);
}

/* Nobody has huge pages that he did not ask for, of whatever size. */
TEST(cgroup, v2_huge_pages_are_what_was_asked_for)
{
    static const char *const files[] = {"2MB.max",      "2MB.rsvd.max",       "1GB.max",
                                        "1GB.rsvd.max", "64KB.max",           "2MB.events",
                                        "2MB.current",  "2MB.rsvd.events.not"};
    struct fake f;
    struct err e;
    fake_open(&f);
    cgroup_close(f.tree);
    f.layout.hugetlb = true;
    const char *const groups[] = {"/baton-t/pool", "/baton-t/x", "/baton-t/pool/web.0"};
    for (size_t i = 0; i < COUNT_OF(groups) * COUNT_OF(files); i++) {
        char dir[256], name[64];
        snprintf(dir, sizeof dir, "%s%s", f.root, groups[i / COUNT_OF(files)]);
        snprintf(name, sizeof name, "hugetlb.%s", files[i % COUNT_OF(files)]);
        file(dir, name, "");
    }
    cr_assert_eq(cgroup_open(&f.layout, STR("baton-t"), &f.tree, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/cgroup.subtree_control", "+cpuset +cpu +memory +pids +hugetlb");
    struct cgroup_limits l = {.huge_2m_bytes = 8 << 20};
    cr_assert_eq(cgroup_make(f.tree, STR("web.0"), &l, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/baton-t/pool/web.0/hugetlb.2MB.max", "8388608");
    text_is(&f, "/baton-t/pool/web.0/hugetlb.2MB.rsvd.max", "8388608");
    text_is(&f, "/baton-t/pool/web.0/hugetlb.1GB.rsvd.max", "0");
    text_is(&f, "/baton-t/pool/web.0/hugetlb.64KB.max", "0");
    text_is(&f, "/baton-t/pool/web.0/hugetlb.2MB.events", "");
    text_is(&f, "/baton-t/pool/hugetlb.2MB.max", "");
    l = (struct cgroup_limits){.exclusive = true, .cpus = set_of("2"), .any_huge = true};
    cr_assert_eq(cgroup_make(f.tree, STR("x"), &l, &e), ERR_OK, "%s", e.text);
    text_is(&f, "/baton-t/x/hugetlb.2MB.max", "");
    fake_close(&f);
}

/* /dev/null plays a kernel that does not keep what was written. */
TEST(cgroup, v2_a_write_that_does_not_read_back_is_a_conflict)
{
    struct fake f;
    struct err e;
    char path[256];
    fake_open(&f);
    snprintf(path, sizeof path, "%s/baton-t/x/cpuset.cpus", f.root);
    unlink(path);
    cr_assert_eq(symlink("/dev/null", path), 0); /* Takes every write, reads as the empty set. */
    struct cgroup_limits l = {.exclusive = true, .cpus = set_of("2-3")};
    cr_assert_eq(cgroup_make(f.tree, STR("x"), &l, &e), ERR_CONFLICT);
    cr_assert(strstr(e.text, "wrote 2-3, reads") != NULL, "%s", e.text);
    fake_close(&f);
}

static bool count_group(void *arg, struct str id)
{
    uint32_t *seen = arg;
    *seen += str_is(id, "x") ? 1 : str_is(id, "web.0") ? 10 : 100;
    return true;
}

TEST(cgroup, lists_and_reads)
{
    struct fake f;
    struct cgroup_stats s;
    uint32_t seen = 0;
    char dir[256];
    fake_open(&f);
    cr_assert_eq(cgroup_list(f.tree, count_group, &seen, NULL), ERR_OK);
    cr_assert_eq(seen, 11);

    snprintf(dir, sizeof dir, "%s/baton-t/x", f.root);
    file(dir, "memory.current", "5000\n");
    file(dir, "memory.stat", "anon 1\ninactive_file 1000\n");
    file(dir, "memory.events", "oom 2\noom_kill 1\n");
    file(dir, "cpu.stat", "usage_usec 77\nthrottled_usec 7\n");
    cr_assert_eq(cgroup_get_stats(f.tree, STR("x"), &s, NULL), ERR_OK);
    cr_assert_eq(s.cpu_us, 77);
    cr_assert_eq(s.memory_working_bytes, 4000);
    cr_assert_eq(s.oom_kills, 1);

    struct buf b;
    buf_init(&b, 4096);
    cr_assert_eq(cgroup_procs_files(f.tree, STR("web.0"), &b, NULL), ERR_OK);
    cr_assert(str_ends(buf_str(&b), STR("/baton-t/pool/web.0/cgroup.procs\n")));
    buf_free(&b);
    cr_assert_eq(cgroup_get_stats(f.tree, STR("nobody"), &s, NULL), ERR_NOT_FOUND);
    fake_close(&f);
}

TEST(cgroup, refuses_names_that_lead_elsewhere)
{
    struct fake f;
    struct cgroup_limits l = {0};
    const char *const bad[] = {"", "..", ".x", "a/b", "pool", "system", "A"};
    fake_open(&f);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(cgroup_make(f.tree, str_of(bad[i]), &l, NULL), ERR_INVALID, "%s", bad[i]);
    cr_assert_eq(cgroup_kill(f.tree, STR("nobody"), NULL), ERR_OK);
    cr_assert_eq(cgroup_remove(f.tree, STR("nobody"), NULL), ERR_OK);
    fake_close(&f);
}
