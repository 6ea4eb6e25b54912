/* SPDX-License-Identifier: Apache-2.0 */
/* Where the hierarchies are: proc(5), /proc/PID/mountinfo. */
#include "io/fs.h"
#include "nodeagent/host/cgroup.h"
#include <stdio.h>

enum { MOUNTINFO_MAX = 1 << 20, FIELDS_MAX = 32 };

static const char *const controllers[CGROUP__COUNT] = {"cpuset",  "cpu",     "memory", "pids",
                                                       "cpuacct", "devices", "hugetlb"};

struct mount_line {
    struct str point, type, options;
};

/* "36 35 98:0 /root /point rw,noatime shared:1 - type source options" */
static bool parse_line(struct str line, struct mount_line *out)
{
    struct str field[FIELDS_MAX];
    uint32_t count = 0, dash = 0;
    while (count < FIELDS_MAX && str_split(&line, ' ', &field[count])) {
        if (dash == 0 && count >= 6 && str_is(field[count], "-"))
            dash = count;
        count++;
    }
    if (dash == 0 || dash + 3 >= count)
        return false;
    *out = (struct mount_line){field[4], field[dash + 1], field[dash + 3]};
    return true;
}

static bool has_word(struct str list, char sep, const char *word)
{
    struct str part;
    while (str_split(&list, sep, &part))
        if (str_is(part, word))
            return true;
    return false;
}

static void copy_point(char out[CGROUP_PATH_MAX], struct str point)
{
    if (out[0] == '\0' && point.len < CGROUP_PATH_MAX) /* The first mount of a hierarchy counts. */
        snprintf(out, CGROUP_PATH_MAX, STR_FMT, STR_ARG(point));
}

static bool v2_has_all(struct str names)
{
    names = str_trim(names);
    for (uint32_t c = 0; c < CGROUP_CPUACCT; c++)
        if (!has_word(names, ' ', controllers[c]))
            return false;
    return true;
}

enum err_code cgroup_layout_parse(struct str mountinfo, struct str v2_controllers,
                                  struct cgroup_layout *out, struct err *e)
{
    struct cgroup_layout l = {0};
    char v2[CGROUP_PATH_MAX] = "";
    struct mount_line m;
    struct str line;

    while (str_split(&mountinfo, '\n', &line)) {
        if (!parse_line(line, &m))
            continue;
        if (str_is(m.type, "cgroup2"))
            copy_point(v2, m.point);
        if (str_is(m.type, "cgroup") && l.v1_count < CGROUP_V1_MAX)
            copy_point(l.v1[l.v1_count++], m.point);
        for (uint32_t c = 0; c < CGROUP__COUNT && str_is(m.type, "cgroup"); c++)
            if (has_word(m.options, ',', controllers[c]))
                copy_point(l.mount[c], m.point);
    }
    if (v2[0] != '\0' && v2_has_all(v2_controllers)) {
        l = (struct cgroup_layout){.unified = true,
                                   .hugetlb = has_word(str_trim(v2_controllers), ' ', "hugetlb")};
        copy_point(l.mount[0], str_of(v2));
    }
    for (uint32_t c = 0; c < CGROUP_CPUACCT && !l.unified; c++)
        if (l.mount[c][0] == '\0')
            return err_set(e, ERR_NOT_FOUND, "no cgroup hierarchy has the controller %s",
                           controllers[c]);
    if (!l.unified) {
        copy_point(l.beside, str_of(v2));
        l.hugetlb = l.mount[CGROUP_HUGETLB][0] != '\0';
    }
    if (strcmp(l.mount[CGROUP_CPUACCT], l.mount[CGROUP_CPU]) == 0)
        l.mount[CGROUP_CPUACCT][0] = '\0'; /* One hierarchy for both, as systemd mounts it. */
    *out = l;
    return ERR_OK;
}

/* The first cgroup2 mount's list of controllers; nothing when there is none. */
static void read_v2_controllers(struct str mountinfo, struct buf *out)
{
    char path[CGROUP_PATH_MAX + 32];
    struct mount_line m;
    struct str line;
    while (str_split(&mountinfo, '\n', &line))
        if (parse_line(line, &m) && str_is(m.type, "cgroup2") && m.point.len < CGROUP_PATH_MAX) {
            snprintf(path, sizeof path, STR_FMT "/cgroup.controllers", STR_ARG(m.point));
            if (fs_read(path, out, NULL) != ERR_OK)
                buf_clear(out);
            return;
        }
}

enum err_code cgroup_layout_read(struct cgroup_layout *out, struct err *e)
{
    struct buf mounts, names;
    buf_init(&mounts, MOUNTINFO_MAX);
    buf_init(&names, 4096);
    enum err_code code = fs_read("/proc/self/mountinfo", &mounts, e);
    if (code == ERR_OK) {
        read_v2_controllers(buf_str(&mounts), &names);
        code = cgroup_layout_parse(buf_str(&mounts), buf_str(&names), out, e);
    }
    buf_free(&names);
    buf_free(&mounts);
    return code;
}
