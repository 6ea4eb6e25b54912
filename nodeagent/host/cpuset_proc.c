/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/cpuset_proc.h"
#include "io/fs.h"
#include <stdio.h>

enum { STATUS_MAX = 64 << 10 };

enum err_code cpuset_of_status(struct str status, struct cpuset *out)
{
    struct str line;
    while (str_split(&status, '\n', &line))
        if (str_starts(line, STR("Cpus_allowed_list:")))
            return cpuset_parse(str_slice(line, sizeof "Cpus_allowed_list:" - 1, line.len), out);
    return ERR_INVALID;
}

struct threads_visit {
    int32_t pid;
    struct cpuset cpus;
    uint32_t count;
    enum err_code code;
    struct err *e;
};

static bool visit_thread(void *arg, const char *name)
{
    struct threads_visit *v = arg;
    struct buf text;
    struct cpuset cpus;
    char path[64];

    buf_init(&text, STATUS_MAX);
    snprintf(path, sizeof path, "/proc/%d/task/%s/status", v->pid, name);
    enum err_code code = fs_read(path, &text, NULL);
    if (code == ERR_OK && cpuset_of_status(buf_str(&text), &cpus) == ERR_OK) {
        cpuset_join(&v->cpus, &cpus);
        v->count++;
    } else if (code == ERR_OK) {
        v->code = err_set(v->e, ERR_CORRUPT, "%s names no cpus", path);
    } /* Else the thread has ended since the listing. */
    buf_free(&text);
    return v->code == ERR_OK;
}

enum err_code cpuset_of_threads(int32_t pid, struct cpuset *out, uint32_t *out_threads_count,
                                struct err *e)
{
    struct threads_visit v = {.pid = pid, .e = e};
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    enum err_code code = fs_list(path, visit_thread, &v, e);
    if (code != ERR_OK)
        return code;
    if (v.code != ERR_OK)
        return v.code;
    if (v.count == 0)
        return err_set(e, ERR_NOT_FOUND, "process %d has no threads left", pid);
    *out = v.cpus;
    *out_threads_count = v.count;
    return ERR_OK;
}
