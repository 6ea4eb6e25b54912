/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: by the group they are in, and shims, which are in none of their container's, by their command line. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/proc.h"
#include "nodeagent/doctor/inventory.h"

#include <stdio.h>
#include <unistd.h>

enum { TEXT_MAX = 64 << 10, COMMAND_SHOWN = 120 };

/* "4:pids:/baton-c-n/pool/ID": ID of a line, empty when it is in no instance's group. */
static struct str id_in_line(const struct inventory *v, struct str line)
{
    struct str part;
    bool ours = false;
    while (str_split(&line, '/', &part)) {
        if (ours && !str_is(part, "pool"))
            return str_is(part, "system") ? (struct str){NULL, 0} : part;
        ours = ours || str_is(part, v->group);
    }
    return (struct str){NULL, 0};
}

static struct str id_by_group(const struct inventory *v, struct str groups)
{
    struct str line, id = {0};
    while (id.len == 0 && str_split(&groups, '\n', &line))
        id = id_in_line(v, line);
    return id;
}

/* "…/baton-shim STATE/run/ID", the words with a NUL behind each. */
static struct str id_by_command(const struct inventory *v, struct str command)
{
    struct str program, directory, rest;
    size_t begin = strlen(v->state) + sizeof "/run/" - 1;
    if (!str_split(&command, '\0', &program) || !str_ends(program, STR("/baton-shim")) ||
        !str_split(&command, '\0', &directory) || directory.len <= begin ||
        !str_starts(directory, str_of(v->state)))
        return (struct str){NULL, 0};
    rest = str_slice(directory, strlen(v->state), directory.len);
    return str_starts(rest, STR("/run/")) ? str_slice(directory, begin, directory.len)
                                          : (struct str){NULL, 0};
}

static void add_process(struct inventory *v, int32_t pid, struct str id, struct str command)
{
    char shown[COMMAND_SHOWN];
    size_t len = min_size(command.len, sizeof shown);
    for (size_t i = 0; i < len; i++)
        shown[i] = (unsigned char)command.at[i] < ' ' ? ' ' : command.at[i];
    uint64_t start = proc_start_time(pid);
    /* Ticks after boot, and clock_now() counts from there, too. */
    int64_t age = clock_now().ns - (int64_t)start * (SPAN_S(1).ns / sysconf(_SC_CLK_TCK));
    inventory__add(v, (struct host_thing){.kind = HOST_PROCESS,
                                          .uid = str_slice(id, 0, str_find(id, '.', 0)),
                                          .name = str_trim(str_from(shown, len)),
                                          .since = {clock_wall().ns - age},
                                          .pid = pid,
                                          .start = start});
}

struct reading {
    struct inventory *v;
    struct buf groups, command;
};

static bool visit_process(void *arg, const char *name)
{
    struct reading *r = arg;
    char path[64];
    uint64_t pid;

    if (str_parse_u64(str_of(name), &pid) != ERR_OK || pid == (uint64_t)getpid())
        return true;
    buf_clear(&r->groups);
    buf_clear(&r->command);
    snprintf(path, sizeof path, "/proc/%s/cgroup", name);
    if (fs_read(path, &r->groups, NULL) != ERR_OK)
        return true; /* Gone meanwhile. */
    snprintf(path, sizeof path, "/proc/%s/cmdline", name);
    if (fs_read(path, &r->command, NULL) != ERR_OK || r->command.len == 0)
        return true; /* The kernel's own, or dead already. */
    struct str id = id_by_group(r->v, buf_str(&r->groups));
    if (id.len == 0)
        id = id_by_command(r->v, buf_str(&r->command));
    if (id.len > 0)
        add_process(r->v, (int32_t)pid, id, buf_str(&r->command));
    return true;
}

enum err_code inventory__processes(struct inventory *v, struct err *e)
{
    struct reading r = {.v = v};
    buf_init(&r.groups, TEXT_MAX);
    buf_init(&r.command, 4 << 20);
    enum err_code code = fs_list("/proc", visit_process, &r, e);
    buf_free(&r.command);
    buf_free(&r.groups);
    return code;
}
