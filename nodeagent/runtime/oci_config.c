/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json as a function of a spec: OCI runtime-spec 1.0, config.md and config-linux.md. What a
 * container gets beyond its spec is what Kubernetes' runtimes agree on, less CAP_MKNOD (see
 * capability_default()).
 */
#include "base/json.h"
#include "nodeagent/runtime/oci_priv.h"

#include "base/capability.h"
#include "base/check.h"
#include <linux/capability.h>
#include <stdio.h>

static void strings(struct buf *out, const struct str *at, uint32_t count)
{
    buf_add_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        json_print_string(out, at[i]);
    }
    buf_add_char(out, ']');
}

static void capabilities(struct buf *out, uint64_t set)
{
    static const char *const kinds[] = {"bounding", "effective", "permitted"};
    buf_add(out, STR(",\"capabilities\":{"));
    for (uint32_t k = 0; k < COUNT_OF(kinds); k++) {
        const char *comma = "";
        buf_printf(out, "%s\"%s\":[", k > 0 ? "," : "", kinds[k]);
        for (uint32_t i = 0; i < (uint32_t)CAPABILITY_COUNT; i++) {
            if ((set & CAPABILITY_BIT(i)) == 0)
                continue;
            buf_printf(out, "%s\"CAP_%s\"", comma, capability_name(i));
            comma = ",";
        }
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
}

static uint64_t granted(const struct runtime_container *c, const struct oci_host *host)
{
    if (c->privileged)
        return host->capabilities;
    return c->capabilities & host->capabilities & ~CAPABILITY_BIT(CAP_MKNOD);
}

static void process(struct buf *out, const struct runtime_spec *spec, const struct oci_host *host)
{
    const struct runtime_container *c = &spec->container;
    buf_printf(out, "\"process\":{\"terminal\":%s,\"user\":{\"uid\":%u,\"gid\":%u",
               c->tty ? "true" : "false", c->uid, c->gid);
    for (uint32_t i = 0; i < c->groups_count; i++)
        buf_printf(out, "%s%u", i == 0 ? ",\"additionalGids\":[" : ",", c->groups[i]);
    buf_printf(out, "%s},\"args\":", c->groups_count > 0 ? "]" : "");
    strings(out, c->args, c->args_count);
    buf_add(out, STR(",\"env\":"));
    strings(out, c->env, c->env_count);
    buf_add(out, STR(",\"cwd\":"));
    json_print_string(out, c->cwd.len == 0 ? STR("/") : c->cwd);
    capabilities(out, granted(c, host));
    if (c->locks_memory)
        buf_add(out, STR(",\"rlimits\":[{\"type\":\"RLIMIT_MEMLOCK\","
                         "\"hard\":18446744073709551615,\"soft\":18446744073709551615}]"));
    buf_printf(out, ",\"noNewPrivileges\":%s", c->no_new_privs ? "true" : "false");
    /* Lowering it below our own needs CAP_SYS_RESOURCE; without, the container gets ours. */
    if (c->oom_score_adj >= host->oom_score_adj_least)
        buf_printf(out, ",\"oomScoreAdj\":%d", (int)c->oom_score_adj);
    buf_add_char(out, '}');
}

struct fixed_mount {
    const char *target, *type, *source, *options; /* options: JSON, without the brackets. */
};

static void fixed_mounts(struct buf *out, const struct runtime_container *c,
                         const struct oci_host *host)
{
    const struct fixed_mount list[] = {
        {"/proc", "proc", "proc", "\"nosuid\",\"noexec\",\"nodev\""},
        c->privileged
            ? (struct fixed_mount){"/dev", "bind", "/dev", "\"rbind\",\"rprivate\",\"rw\""}
            : (struct fixed_mount){"/dev", "tmpfs", "tmpfs",
                                   "\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\""},
        {"/dev/pts", "devpts", "devpts",
         "\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\""},
        {"/dev/shm", "tmpfs", "shm",
         "\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\""},
        {"/dev/mqueue", "mqueue", "mqueue", "\"nosuid\",\"noexec\",\"nodev\""},
        {"/sys", "sysfs", "sysfs",
         c->privileged ? "\"nosuid\",\"noexec\",\"nodev\",\"rw\""
                       : "\"nosuid\",\"noexec\",\"nodev\",\"ro\""},
        {"/sys/fs/cgroup", "cgroup", "cgroup", "\"nosuid\",\"noexec\",\"nodev\",\"ro\""},
    };
    /* v1's groups could only be shown by the runtime's own cgroup code, which is switched off. */
    uint32_t count = COUNT_OF(list) - (host->unified ? 0 : 1);
    for (uint32_t i = 0; i < count; i++)
        buf_printf(out,
                   "%s{\"destination\":\"%s\",\"type\":\"%s\",\"source\":\"%s\",\"options\":[%s]}",
                   i > 0 ? "," : "", list[i].target, list[i].type, list[i].source, list[i].options);
}

/* A part of a volume is where the shim mounts it, as the n-th of its parts: nodeagent/shim/part.c. */
static void source(struct buf *out, const struct runtime_mount *m, const struct oci_host *host,
                   uint32_t *parts)
{
    char path[OCI_PATH_MAX];
    if (m->below.len == 0) {
        json_print_string(out, m->source);
        return;
    }
    int len = snprintf(path, sizeof path, STR_FMT "/parts/%u", STR_ARG(host->directory), *parts);
    CHECK(len > 0 && (size_t)len < sizeof path); /* oci__take() bounds the directory. */
    json_print_string(out, str_from(path, (size_t)len));
    *parts += 1;
}

static void mounts(struct buf *out, const struct runtime_spec *spec, const struct oci_host *host)
{
    const struct runtime_container *c = &spec->container;
    uint32_t parts = 0;
    buf_add(out, STR(",\"mounts\":["));
    fixed_mounts(out, c, host);
    for (uint32_t i = 0; i < c->mounts_count; i++) {
        buf_add(out, STR(",{\"destination\":"));
        json_print_string(out, c->mounts[i].target);
        buf_add(out, STR(",\"type\":\"bind\",\"source\":"));
        source(out, &c->mounts[i], host, &parts);
        buf_printf(out, ",\"options\":[\"rbind\",\"rprivate\",\"%s\"]}",
                   c->mounts[i].read_only ? "ro" : "rw");
    }
    buf_add_char(out, ']');
}

static void namespaces(struct buf *out, const struct runtime_container *c,
                       const struct oci_host *host)
{
    buf_add(out, STR("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
                     "{\"type\":\"mount\"}"));
    if (c->netns.len > 0) {
        buf_add(out, STR(",{\"type\":\"network\",\"path\":"));
        json_print_string(out, c->netns);
        buf_add_char(out, '}');
    }
    if (host->unified)
        buf_add(out, STR(",{\"type\":\"cgroup\"}"));
    buf_add_char(out, ']');
}

/* The container's user may open what it was given: nobody else has it. A privileged one has the host's own
 * /dev. */
static void devices(struct buf *out, const struct runtime_container *c, const struct oci_host *host)
{
    for (uint32_t i = 0; i < c->devices_count && !c->privileged; i++) {
        const struct oci_node *n = &host->nodes[i];
        buf_add(out, i == 0 ? STR(",\"devices\":[{\"path\":") : STR(",{\"path\":"));
        json_print_string(out, c->devices[i]);
        buf_printf(out,
                   ",\"type\":\"%s\",\"major\":%u,\"minor\":%u,\"fileMode\":%u,\"uid\":%u,"
                   "\"gid\":%u}",
                   n->block ? "b" : "c", n->major, n->minor, 0660u, c->uid, c->gid);
    }
    if (c->devices_count > 0 && !c->privileged)
        buf_add_char(out, ']');
}

/* runc adds "no devices but these few" of its own where nothing is said. */
static void device_rules(struct buf *out, const struct runtime_container *c,
                         const struct oci_host *host)
{
    if (c->privileged)
        buf_add(out, STR(",\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}"));
    for (uint32_t i = 0; i < c->devices_count && !c->privileged; i++)
        buf_printf(out,
                   "%s{\"allow\":true,\"type\":\"%s\",\"major\":%u,\"minor\":%u,"
                   "\"access\":\"rwm\"}",
                   i == 0 ? ",\"resources\":{\"devices\":[" : ",", host->nodes[i].block ? "b" : "c",
                   host->nodes[i].major, host->nodes[i].minor);
    if (c->devices_count > 0 && !c->privileged)
        buf_add(out, STR("]}"));
}

/* What Docker hides (moby, oci/defaults.go), because it tells or changes the host. */
static const char masked[] =
    ",\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\","
    "\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\","
    "\"/proc/scsi\",\"/proc/interrupts\",\"/sys/firmware\",\"/sys/devices/virtual/powercap\"]"
    ",\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\","
    "\"/proc/sysrq-trigger\"]";

void oci_config_print(struct buf *out, const struct runtime_spec *spec, const struct oci_host *host)
{
    const struct runtime_container *c = &spec->container;
    buf_add(out, STR("{\"ociVersion\":\"1.0.2\","));
    process(out, spec, host);
    buf_add(out, STR(",\"root\":{\"path\":"));
    json_print_string(out, c->rootfs);
    buf_printf(out, ",\"readonly\":%s}", c->read_only_root ? "true" : "false");
    if (c->hostname.len > 0) {
        buf_add(out, STR(",\"hostname\":"));
        json_print_string(out, c->hostname);
    }
    mounts(out, spec, host);
    buf_add(out, STR(",\"linux\":{"));
    namespaces(out, c, host);
    if (host->cgroups_path.len > 0) {
        buf_add(out, STR(",\"cgroupsPath\":"));
        json_print_string(out, host->cgroups_path);
        device_rules(out, c, host);
    }
    devices(out, c, host);
    if (!c->privileged) {
        buf_add(out, str_of(masked));
        oci_seccomp_print(out, granted(c, host));
    }
    buf_add(out, STR("}}\n"));
}
