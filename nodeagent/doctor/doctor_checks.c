/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator would look at first. Each line says what it means, not only what it is. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/pki.h"
#include "io/proc.h"
#include "nodeagent/doctor/doctor.h"
#include "nodeagent/host/devices_given.h"

#include <stdio.h>
#include <sys/statvfs.h>

enum {
    CERTIFICATE_WARN_DAYS =
        14, /* It is renewed long before: somebody should look why it was not. */
    DISK_WARN_PERCENT = 10,
    DISK_FAIL_PERCENT = 2,
    PROGRAM_LIMIT_S = 10
};

static const int64_t DAY_S = 86400;

void doctor_say(struct doctor_findings *f, const char *name, const char *status, struct str text)
{
    struct json *one = json_new(f->arena, JSON_OBJECT);
    json_set(f->arena, one, STR("name"), json_new_string(f->arena, str_of(name)));
    json_set(f->arena, one, STR("status"), json_new_string(f->arena, str_of(status)));
    json_set(f->arena, one, STR("text"), json_new_string(f->arena, arena_str(f->arena, text)));
    json_append(f->checks, one);
    f->failed |= strcmp(status, "fail") == 0;
}

static void check_certificate(struct doctor_findings *f, const struct inventory *v)
{
    struct pki_identity id;
    struct err e;
    char until[WALL_TEXT_MAX];
    if (pki_identify(NULL, buf_str(&v->identity.cert), clock_wall(), &id, &e) != ERR_OK) {
        doctor_say(f, "certificate", "fail", str_of(e.text));
        return;
    }
    int64_t days = (wall_seconds(id.not_after) - wall_seconds(clock_wall())) / DAY_S;
    wall_print(id.not_after, until);
    const char *status = days < 0 ? "fail" : days < CERTIFICATE_WARN_DAYS ? "warn" : "ok";
    doctor_say(f, "certificate", status,
               arena_printf(f->arena, "of node %s: %s %s", pki_common_name(&id),
                            days < 0 ? "ended" : "ends", until));
}

/* Images, upper layers and records share one file system unless somebody mounted otherwise. */
static void check_disk(struct doctor_findings *f, const struct inventory *v)
{
    struct statvfs fs;
    if (statvfs(v->state, &fs) != 0 || fs.f_blocks == 0) {
        doctor_say(f, "disk", "warn", STR("its room cannot be read"));
        return;
    }
    uint64_t room = fs.f_bavail * 100 / fs.f_blocks;
    uint64_t inodes = fs.f_files == 0 ? 100 : fs.f_favail * 100 / fs.f_files;
    uint64_t least = min_u64(room, inodes);
    doctor_say(f, "disk",
               least < DISK_FAIL_PERCENT   ? "fail"
               : least < DISK_WARN_PERCENT ? "warn"
                                           : "ok",
               arena_printf(f->arena, "%llu MiB (%llu %%) and %llu %% of the inodes are free at %s",
                            (unsigned long long)(fs.f_bavail * (fs.f_frsize >> 10) >> 10),
                            (unsigned long long)room, (unsigned long long)inodes, v->state));
}

/* "crun version 1.8.1": the first line it says of itself; false: it is not there. */
static bool ask_version(struct doctor_findings *f, const char *program, struct str *out)
{
    const char *const argv[] = {program, "--version", NULL};
    struct proc_request r = {.argv = argv, .timeout = SPAN_S(PROGRAM_LIMIT_S)};
    struct buf text;
    struct str line = {0}, rest;
    int status = 0;
    buf_init(&text, PROC_CAPTURE_DEFAULT);
    bool there = proc_run_wait(&r, &text, NULL, &status, NULL) == ERR_OK && status == 0;
    rest = buf_str(&text);
    if (there && str_split(&rest, '\n', &line))
        *out = arena_str(f->arena, line);
    buf_free(&text);
    return there;
}

static void check_programs(struct doctor_findings *f)
{
    static const struct {
        const char *name, *programs[2], *without, *status;
    } rows[] = {
        {"runtime", {"crun", "runc"}, "neither crun nor runc: no pod can run", "fail"},
        {"qemu", {"qemu-system-x86_64", NULL}, "not there: no virtual machine can run", "warn"},
        {"nft", {"nft", NULL}, "not there: no pod network, no host ports", "fail"},
        {"skopeo", {"skopeo", NULL}, "not there: images cannot be fetched", "warn"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str version = {0};
        bool there = ask_version(f, rows[i].programs[0], &version) ||
                     (rows[i].programs[1] != NULL && ask_version(f, rows[i].programs[1], &version));
        doctor_say(f, rows[i].name, there ? "ok" : rows[i].status,
                   there ? version : str_of(rows[i].without));
    }
}

/* "key value" a line, as accel.h keeps it. */
static struct str value_of(struct str text, const char *key)
{
    struct str line, word;
    while (str_split(&text, '\n', &line))
        if (str_split(&line, ' ', &word) && str_is(word, key))
            return line;
    return (struct str){NULL, 0};
}

static void check_accelerator(struct doctor_findings *f, const struct inventory *v)
{
    char path[FS_PATH_MAX];
    struct buf text;
    buf_init(&text, 16 << 10);
    bool read = fs_join(path, v->state, "accelerator") && fs_read(path, &text, NULL) == ERR_OK;
    struct str kvm = value_of(buf_str(&text), "kvm_ns"), tcg = value_of(buf_str(&text), "tcg_ns");
    if (!read)
        doctor_say(f, "accelerator", "warn",
                   STR("not measured yet: the agent does, when it starts"));
    else
        doctor_say(f, "accelerator", "ok",
                   arena_printf(f->arena,
                                "measured: kvm " STR_FMT " ns, tcg " STR_FMT
                                " ns for the probe (0: does not run)",
                                STR_ARG(kvm), STR_ARG(tcg)));
    buf_free(&text);
}

static void check_groups(struct doctor_findings *f, const struct inventory *v)
{
    if (v->layout.mount[0][0] == '\0')
        doctor_say(f, "cgroups", "fail", STR("no hierarchy with cpuset, cpu, memory and pids"));
    else if (v->cgroups == NULL)
        doctor_say(f, "cgroups", "warn",
                   arena_printf(f->arena, "%s has no group %s yet", v->layout.mount[0], v->group));
    else
        doctor_say(f, "cgroups", "ok",
                   arena_printf(f->arena, "version %s%s, below %s", v->layout.unified ? "2" : "1",
                                v->layout.beside[0] != '\0' ? ", with version 2 beside it" : "",
                                v->group));
}

static bool has_pages(const char *path)
{
    struct buf text;
    buf_init(&text, 64);
    bool any = fs_read(path, &text, NULL) == ERR_OK && !str_is(str_trim(buf_str(&text)), "0");
    buf_free(&text);
    return any;
}

static void check_huge_pages(struct doctor_findings *f, const struct inventory *v)
{
    if (!has_pages("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages") &&
        !has_pages("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"))
        return;
    doctor_say(f, "hugepages", v->layout.hugetlb ? "ok" : "warn",
               v->layout.hugetlb ? STR("each workload is held to its own")
                                 : STR("no hugetlb controller: whoever maps huge pages can take "
                                       "another workload's"));
}

/* What became of the devices that were given away at the agent's start, a line each. */
static void check_devices(struct doctor_findings *f, const struct inventory *v)
{
    struct devices_judged all;
    struct err e;
    enum err_code code = devices_given_judge(f->arena, v->state, &all, &e);
    if (code == ERR_NOT_FOUND)
        return;
    if (code != ERR_OK) {
        doctor_say(f, "devices", "warn", str_of(e.text));
        return;
    }
    for (uint32_t i = 0; i < all.troubles_count; i++)
        doctor_say(f, "devices", all.at[i].is_failure ? "fail" : "warn", all.at[i].text);
    if (all.troubles_lost > 0)
        doctor_say(f, "devices", "warn", arena_printf(f->arena, "%u more", all.troubles_lost));
    if (all.troubles_count == 0)
        doctor_say(f, "devices", "ok",
                   arena_printf(f->arena, "%u of " STR_FMT ", as at the agent's start", all.count,
                                STR_ARG(all.file)));
}

static void check_forwarding(struct doctor_findings *f)
{
    struct buf text;
    buf_init(&text, 64);
    bool on = fs_read("/proc/sys/net/ipv4/ip_forward", &text, NULL) == ERR_OK &&
              str_is(str_trim(buf_str(&text)), "1");
    doctor_say(f, "forwarding", on ? "ok" : "warn",
               on ? STR("IPv4 is forwarded: pods reach the outside")
                  : STR("net.ipv4.ip_forward is 0: the agent sets it with the first pod"));
    buf_free(&text);
}

void doctor_check_node(struct doctor_findings *f, const struct inventory *v)
{
    check_certificate(f, v);
    check_disk(f, v);
    check_programs(f);
    check_accelerator(f, v);
    check_groups(f, v);
    check_huge_pages(f, v);
    check_devices(f, v);
    check_forwarding(f);
    doctor_say(f, "workloads", "ok", arena_printf(f->arena, "%u recorded", v->records_count));
}
