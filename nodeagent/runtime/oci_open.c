/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: which command, and what we are ourselves. */
#include "base/mem.h"
#include "io/fs.h"
#include "io/proc.h"
#include "nodeagent/runtime/oci_instance.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum err_code find_command(struct str wanted, char out[OCI_PATH_MAX], struct err *e)
{
    static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin",
                                          "/usr/local/sbin"};
    static const char *const names[] = {"crun", "runc"};

    if (wanted.len > 0 && (wanted.len >= OCI_PATH_MAX || wanted.at[0] != '/'))
        return err_set(e, ERR_INVALID, "the OCI runtime " STR_FMT " is not an absolute path",
                       STR_ARG(wanted));
    if (wanted.len > 0) {
        snprintf(out, OCI_PATH_MAX, STR_FMT, STR_ARG(wanted));
        return access(out, X_OK) == 0 ? ERR_OK : err_set(e, ERR_NOT_FOUND, "%s: %m", out);
    }
    for (size_t n = 0; n < COUNT_OF(names); n++)
        for (size_t f = 0; f < COUNT_OF(folders); f++) {
            snprintf(out, OCI_PATH_MAX, "%s/%s", folders[f], names[n]);
            if (access(out, X_OK) == 0)
                return ERR_OK;
        }
    return err_set(e, ERR_NOT_FOUND, "neither crun nor runc is installed");
}

/* "crun version 1.8.1" and "runc version 1.1.5+ds1" are how their first lines begin. */
enum err_code runtime_oci_version(struct str command, char out[OCI_VERSION_MAX], struct err *e)
{
    char path[OCI_PATH_MAX];
    const char *const argv[] = {path, "--version", NULL};
    struct proc_request request = {.argv = argv, .timeout = SPAN_S(2)};
    struct str rest, line, name, word, version = {0};
    struct buf text;
    int status = 0;
    enum err_code code = find_command(command, path, e);
    if (code != ERR_OK)
        return code;
    buf_init(&text, PROC_CAPTURE_DEFAULT);
    code = proc_run_wait(&request, &text, NULL, &status, e);
    rest = buf_str(&text);
    if (code == ERR_OK && status == 0 && str_split(&rest, '\n', &line) &&
        str_split(&line, ' ', &name) && str_split(&line, ' ', &word) && str_is(word, "version"))
        version = line;
    if (code == ERR_OK && (version.len == 0 || name.len + version.len + 4 > OCI_VERSION_MAX))
        code = err_set(e, ERR_INVALID, "%s does not tell its version", path);
    if (code == ERR_OK)
        snprintf(out, OCI_VERSION_MAX, STR_FMT "://" STR_FMT, STR_ARG(name), STR_ARG(version));
    buf_free(&text);
    return code;
}

/* What we are ourselves bounds what a container can be. */
static void read_own_rights(struct oci_host *host)
{
    struct buf text;
    struct str rest, line, value;
    char *end;
    int64_t own = 0;

    buf_init(&text, 64 << 10);
    if (fs_read("/proc/self/status", &text, NULL) == ERR_OK) {
        buf_add_char(&text, '\0');
        rest = buf_str(&text);
        while (str_split(&rest, '\n', &line))
            if (str_starts(line, STR("CapEff:\t")))
                host->capabilities = strtoull(line.at + 8, &end, 16);
    }
    buf_clear(&text);
    value = fs_read("/proc/self/oom_score_adj", &text, NULL) == ERR_OK ? str_trim(buf_str(&text))
                                                                       : STR("0");
    if (str_parse_i64(value, &own) != ERR_OK)
        own = 0;
    enum { CAP_SYS_RESOURCE_BIT = 24 };
    bool may_lower = (host->capabilities >> CAP_SYS_RESOURCE_BIT & 1) != 0;
    host->oom_score_adj_least = may_lower ? -1000 : (int32_t)own;
    buf_free(&text);
}

enum err_code runtime_oci_open(struct loop *l, const struct runtime_oci_options *opt,
                               struct runtime_sink sink, struct runtime **out, struct err *e)
{
    struct oci *o = mem_zalloc(1, sizeof *o);
    enum err_code code = find_command(opt->command, o->command, e);
    if (code == ERR_OK && (opt->shim.len >= OCI_PATH_MAX || opt->state.len >= OCI_PATH_MAX / 2))
        code = err_set(e, ERR_LIMIT, "a path of the OCI runtime is too long");
    if (code != ERR_OK) {
        mem_free(o);
        return code;
    }
    o->is_runc = strncmp(strrchr(o->command, '/') + 1, "runc", 4) == 0;
    snprintf(o->shim, sizeof o->shim, STR_FMT, STR_ARG(opt->shim));
    snprintf(o->state, sizeof o->state, STR_FMT, STR_ARG(opt->state));
    o->runtime = (struct runtime){&oci__ops, sink};
    o->cgroups = opt->cgroups;
    o->pids_max = opt->pids_max > 0 ? opt->pids_max : 4096;
    o->host.unified = cgroup_layout(o->cgroups)->unified;
    read_own_rights(&o->host);
    slots_init(&o->slots, RUNTIME_INSTANCES_MAX);
    map_init(&o->by_id, RUNTIME_INSTANCES_MAX);
    o->instances = mem_zalloc(RUNTIME_INSTANCES_MAX, sizeof *o->instances);
    o->pending = mem_zalloc(PENDING_MAX, sizeof *o->pending);
    o->client = (struct loop_client){.event = oci__on_event, .turn = oci__on_turn};
    loop_join(l, &o->client);
    *out = &o->runtime;
    return ERR_OK;
}
