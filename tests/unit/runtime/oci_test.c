/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and the small files of an instance, as text. What crun makes of them is asked in
 * tests/conformance/runtime. */
#include "base/capability.h"
#include "base/json.h"
#include "base/cpuset.h"
#include "nodeagent/runtime/oci_priv.h"
#include "tests/testlib/test.h"
#include <linux/capability.h>
#include <signal.h>

static const struct str args[] = {{"/bin/sh", 7}, {"-c", 2}, {"echo \"a\"\n", 9}};
static const struct str env[] = {{"A=b", 3}};
static const struct runtime_mount volume = {
    .source = {"/var/x", 6}, .target = {"/data", 5}, .read_only = true};

static struct runtime_spec spec_of(void)
{
    return (struct runtime_spec){
        .id = STR("u.main.0"),
        .kind = RUNTIME_CONTAINER,
        .container = {.rootfs = STR("/roots/u"),
                      .netns = STR("/netns/u"),
                      .args = args,
                      .args_count = 3,
                      .env = env,
                      .env_count = 1,
                      .hostname = STR("web"),
                      .uid = 33,
                      .gid = 34,
                      .mounts = &volume,
                      .mounts_count = 1,
                      .capabilities = capability_default() | 1ull << CAP_MKNOD,
                      .no_new_privs = true,
                      .log_path = STR("/log/0.log"),
                      .log_max_bytes = 1000,
                      .log_files = 3}};
}

struct printed {
    struct buf text;
    struct arena arena;
    struct json *root;
};

static void print(struct printed *p, const struct runtime_spec *spec, bool unified)
{
    struct oci_host host = {.unified = unified, .capabilities = ~0ull, .oom_score_adj_least = 0};
    struct err e;
    buf_init(&p->text, 1 << 20);
    arena_init(&p->arena, 1 << 22);
    oci_config_print(&p->text, spec, &host);
    cr_assert_eq(json_parse(&p->arena, buf_str(&p->text), &p->root, &e), ERR_OK, "%s", e.text);
}

static void drop(struct printed *p)
{
    arena_free(&p->arena);
    buf_free(&p->text);
}

static bool holds(const struct printed *p, const char *part)
{
    return memmem(p->text.at, p->text.len, part, strlen(part)) != NULL;
}

TEST(oci, runc_is_told_the_group_and_a_privileged_one_its_devices)
{
    struct runtime_spec spec = spec_of();
    struct oci_host host = {.cgroups_path = STR("/baton-c/pool/u")};
    struct buf text;
    for (int privileged = 0; privileged <= 1; privileged++) {
        spec.container.privileged = privileged;
        buf_init(&text, 1 << 20);
        oci_config_print(&text, &spec, &host);
        cr_assert(memmem(text.at, text.len, "\"cgroupsPath\":\"/baton-c/pool/u\"", 31) != NULL);
        cr_assert_eq(memmem(text.at, text.len, "\"access\":\"rwm\"", 14) != NULL, privileged);
        buf_free(&text);
    }
}

TEST(oci, config_says_what_the_spec_says)
{
    struct runtime_spec spec = spec_of();
    struct printed p;
    print(&p, &spec, false);
    cr_assert(str_is(json_text(json_path(p.root, "root.path")), "/roots/u"));
    cr_assert(str_is(json_text(json_at(json_path(p.root, "process.args"), 2)), "echo \"a\"\n"));
    cr_assert(str_is(json_text(json_path(p.root, "hostname")), "web"));
    cr_assert(holds(&p, "\"noNewPrivileges\":true"));
    cr_assert(holds(&p, "{\"type\":\"network\",\"path\":\"/netns/u\"}"));
    cr_assert(holds(&p, "\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/var/x\""));
    cr_assert(holds(&p, "\"CAP_CHOWN\""));
    cr_assert_not(holds(&p, "CAP_MKNOD"), "devices are not filtered, so it is not given");
    cr_assert_not(holds(&p, "CAP_SYS_ADMIN"));
    cr_assert_not(holds(&p, "{\"type\":\"cgroup\"}"));
    cr_assert_not(holds(&p, "resources"), "cgroups are ours, not the runtime's");
    cr_assert(holds(&p, "\"maskedPaths\""));
    drop(&p);
}

TEST(oci, config_of_a_privileged_one)
{
    struct runtime_spec spec = spec_of();
    struct printed p;
    spec.container.privileged = true;
    spec.container.netns = STR("");
    print(&p, &spec, true);
    cr_assert(holds(&p, "CAP_SYS_ADMIN"));
    cr_assert_not(holds(&p, "seccomp"));
    cr_assert_not(holds(&p, "maskedPaths"));
    cr_assert_not(holds(&p, "\"network\""), "the host's");
    cr_assert(holds(&p, "{\"type\":\"cgroup\"}"));
    drop(&p);
}

TEST(oci, seccomp_opens_with_the_capability)
{
    struct runtime_spec spec = spec_of();
    struct printed p;
    print(&p, &spec, false);
    cr_assert(holds(&p, "\"umount2\"") && holds(&p, "\"bpf\"") && holds(&p, "\"clone3\""));
    drop(&p);
    spec.container.capabilities |= 1ull << CAP_SYS_ADMIN;
    print(&p, &spec, false);
    cr_assert_not(holds(&p, "\"umount2\""));
    cr_assert_not(holds(&p, "\"clone3\""));
    cr_assert(holds(&p, "\"bpf\"") && holds(&p, "\"keyctl\""));
    drop(&p);
}

TEST(oci, config_too_long_is_a_limit)
{
    struct runtime_spec spec = spec_of();
    struct oci_host host = {0};
    struct buf out;
    buf_init(&out, 500);
    oci_config_print(&out, &spec, &host);
    cr_assert_eq(buf_status(&out, NULL), ERR_LIMIT);
    buf_free(&out);
}

TEST(oci, capabilities_by_name)
{
    uint32_t n;
    cr_assert(capability_find(STR("NET_ADMIN"), &n) && n == CAP_NET_ADMIN);
    cr_assert(capability_find(STR("CAP_CHECKPOINT_RESTORE"), &n) && n == CAP_CHECKPOINT_RESTORE);
    cr_assert_not(capability_find(STR("ALL_OF_THEM"), &n));
}

TEST(oci, signals_by_name)
{
    int n;
    cr_assert(oci_signal_parse(STR(""), &n) == ERR_OK && n == SIGTERM);
    cr_assert(oci_signal_parse(STR("SIGQUIT"), &n) == ERR_OK && n == SIGQUIT);
    cr_assert(oci_signal_parse(STR("WINCH"), &n) == ERR_OK && n == SIGWINCH);
    cr_assert(oci_signal_parse(STR("9"), &n) == ERR_OK && n == SIGKILL);
    cr_assert(oci_signal_parse(STR("SIGRTMIN+3"), &n) == ERR_OK && n == SIGRTMIN + 3);
    cr_assert_eq(oci_signal_parse(STR("SIGNOPE"), &n), ERR_INVALID);
    cr_assert_eq(oci_signal_parse(STR("0"), &n), ERR_INVALID);
    cr_assert_eq(oci_signal_parse(STR("65"), &n), ERR_INVALID);
}

TEST(oci, the_record_is_read_as_it_was_written)
{
    struct runtime_spec spec = spec_of();
    struct oci_record was = {.exclusive = true, .stop_signal = SIGQUIT, .weight_milli = 250}, is;
    struct buf out;
    cpuset_add(&was.cpus, 2);
    cpuset_add(&was.cpus, 3);
    buf_init(&out, 1 << 16);
    oci_conf_print(&out, &spec, "/usr/bin/crun", STR("/sys/fs/cgroup/unified\n"),
                   STR("/cg/a/tasks\n/cg/b/tasks\n"), &was);
    cr_assert_eq(oci_conf_parse(buf_str(&out), &is), ERR_OK);
    cr_assert(is.exclusive && is.stop_signal == SIGQUIT && is.weight_milli == 250 &&
              cpuset_eq(&is.cpus, &was.cpus));
    struct str cut =
        str_slice(buf_str(&out), 0, out.len / 2); /* A power cut while it was written. */
    cr_assert_eq(oci_conf_parse(cut, &is), ERR_CORRUPT);
    buf_free(&out);
}

TEST(oci, shim_and_exit_files)
{
    struct oci_shim s;
    struct oci_exit x;
    cr_assert_eq(oci_shim_parse(STR("12 345 11 344 1795253823197888323\n"), &s), ERR_OK);
    cr_assert(s.pid == 12 && s.start == 345 && s.shim_pid == 11);
    cr_assert_eq(oci_exit_parse(STR("137 9 1795253823201953163\n"), &x), ERR_OK);
    cr_assert(x.code == 137 && x.signal == 9);
    const char *const bad[] = {"",           "1 2 3",     "0 1 1 1 1",
                               "-1 1 1 1 1", "a b c d e", "1 2 99999999999 4 5"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(oci_shim_parse(str_of(bad[i]), &s), ERR_CORRUPT, "%s", bad[i]);
}
