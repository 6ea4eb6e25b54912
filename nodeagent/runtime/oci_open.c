/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, the loop's events, closing. */
#include "base/mem.h"
#include "io/fs.h"
#include "io/proc.h"
#include "nodeagent/runtime/oci_instance.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct instance *by_io_op(struct oci *o, uint64_t op)
{
    struct slot_id name = {(uint32_t)(op >> 8) & 0xffffff, (uint32_t)(op >> 32)};
    return slots_live(&o->slots, name) ? &o->instances[name.slot] : NULL;
}

static void post_pending(struct oci *o)
{
    /* The receiver may ask for more while it is told; that goes behind. */
    for (uint32_t i = 0; i < o->pending_count; i++) {
        struct runtime_event ev = o->pending[i];
        o->runtime.sink.post(o->runtime.sink.state, &ev);
    }
    o->pending_count = 0;
}

/* --- the loop --- */

static bool may_close(const struct oci *o)
{
    const struct map_entry *entry;
    for (uint32_t at = 0; (entry = map_next(&o->by_id, &at)) != NULL;) {
        const struct instance *i = entry->value;
        if (i->launch != NULL || i->end_op != 0)
            return false;
    }
    return o->pending_count == 0 && o->execs_count == 0;
}

static void finish_close(struct oci *o)
{
    struct runtime_event ev = oci__event(RUNTIME_DONE, o->close_op, (struct str){NULL, 0});
    struct runtime_sink sink = o->runtime.sink;

    const struct map_entry *entry;
    for (uint32_t at = 0; (entry = map_next(&o->by_id, &at)) != NULL;)
        oci__give(o, entry->value); /* Only our knowledge of it: the instance goes on. */
    loop_leave(&o->client);
    map_fini(&o->by_id);
    slots_fini(&o->slots);
    mem_free(o->instances);
    mem_free(o->pending);
    mem_free(o);
    sink.post(sink.state, &ev);
}

static void retry_due(struct oci *o)
{
    struct instant now = loop_now(o->client.loop), next = {0};
    const struct map_entry *entry;
    for (uint32_t at = 0; o->destroying_count > 0 && (entry = map_next(&o->by_id, &at)) != NULL;) {
        struct instance *i = entry->value;
        if (i->end_op != 0 && instant_due(i->retry_at, now)) {
            oci__step_destroy(o, i); /* May free i's slot; the map allows removing on the way. */
            i = oci__find(o, entry->key);
        }
        if (i != NULL && i->end_op != 0)
            next = instant_earlier(next, i->retry_at);
    }
    loop_set_deadline(&o->client, o->pending_count > 0 ? now : next);
}

static void on_event(struct loop_client *c, const struct io_event *ev)
{
    struct oci *o = CONTAINER_OF(c, struct oci, client);
    if (ev->type == IO_PROC_DONE && (ev->op & 0xff) == IO_EXEC) {
        oci__exec_done(o, ev);
        return;
    }
    struct instance *i = by_io_op(o, ev->op);
    if (i != NULL && ev->type == IO_PROC_DONE && (ev->op & 0xff) == IO_START)
        oci__shim_reported(o, i, ev);
    if (i != NULL && ev->type == IO_PROC_GONE && (ev->op & 0xff) == IO_SHIM)
        oci__shim_is_gone(o, i);
}

static void on_turn(struct loop_client *c, struct instant now)
{
    struct oci *o = CONTAINER_OF(c, struct oci, client);
    (void)now;
    post_pending(o);
    retry_due(o);
    if (o->closing && may_close(o))
        finish_close(o);
}

void oci__close(struct runtime *r, uint64_t op)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    o->closing = true;
    o->close_op = op;
    oci__exec_kill(o);
    loop_set_deadline(&o->client, loop_now(o->client.loop));
}

/* --- opening --- */

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
    o->client = (struct loop_client){.event = on_event, .turn = on_turn};
    loop_join(l, &o->client);
    *out = &o->runtime;
    return ERR_OK;
}
