/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/flight_priv.h"

#include <stdio.h>

/* Generated structs want char *; nothing writes through them. */
static char *text(struct arena *a, struct str s)
{
    return s.len == 0 ? NULL : arena_dup(a, s);
}

static char **texts(struct arena *a, const struct str *list, uint32_t count)
{
    char **out = arena_zalloc(a, count + 1, sizeof *out);
    for (uint32_t i = 0; out != NULL && i < count; i++)
        out[i] = arena_dup(a, list[i]);
    return out;
}

static ProtobufCBinaryData cpus_bytes(struct arena *a, const struct cpuset *set)
{
    uint8_t *out = arena_alloc(a, sizeof set->bits);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < sizeof set->bits; i++) {
        out[i] = (uint8_t)(set->bits[i / 8] >> 8 * (i % 8));
        if (out[i] != 0)
            len = i + 1;
    }
    return (ProtobufCBinaryData){len, out};
}

static bool cpus_of(const ProtobufCBinaryData *from, struct cpuset *out)
{
    *out = (struct cpuset){0};
    if (from->len > sizeof out->bits)
        return false;
    for (size_t i = 0; i < from->len; i++)
        out->bits[i / 8] |= (uint64_t)from->data[i] << 8 * (i % 8);
    return true;
}

/* ---- the configuration ---- */

void flight__config_from(struct arena *a, const struct agent_config *from, Flight__Config *out)
{
    Flight__Config c = FLIGHT__CONFIG__INIT;
    c.node_name = text(a, from->node_name);
    c.version = text(a, from->version);
    c.boot_id = text(a, from->boot_id);
    c.node_uid = text(a, from->node_uid);
    c.state_dir = text(a, from->state_dir);
    c.cgroup = text(a, from->cgroup);
    c.host_ip = text(a, from->host_ip);
    c.accelerator = text(a, from->accelerator);
    c.has_hardware = c.has_cpus = c.has_vm_overhead_bytes = c.has_log_max_bytes = c.has_log_files =
        c.has_seed = true;
    c.hardware = (ProtobufCBinaryData){from->hardware.len, (uint8_t *)(uintptr_t)from->hardware.at};
    c.cpus = cpus_bytes(a, &from->cpus);
    c.vm_overhead_bytes = from->vm_overhead_bytes;
    c.log_max_bytes = from->log_max_bytes;
    c.log_files = from->log_files;
    c.has_measure_every_ns = c.has_disk_reserve_bytes = true;
    c.measure_every_ns = from->measure_every.ns;
    c.disk_reserve_bytes = from->disk_reserve_bytes;
    c.seed = from->seed;
    c.has_certificate_from_ns = c.has_certificate_until_ns = true;
    c.certificate_from_ns = from->certificate.from.ns;
    c.certificate_until_ns = from->certificate.until.ns;
    *out = c;
}

bool flight_config_of(const Flight__Config *from, struct agent_config *out)
{
    *out = (struct agent_config){
        .node_name = str_of(from->node_name),
        .version = str_of(from->version),
        .boot_id = str_of(from->boot_id),
        .node_uid = str_of(from->node_uid),
        .state_dir = str_of(from->state_dir),
        .cgroup = str_of(from->cgroup),
        .host_ip = str_of(from->host_ip),
        .hardware = str_from((const char *)from->hardware.data, from->hardware.len),
        .accelerator = str_of(from->accelerator),
        .vm_overhead_bytes = from->vm_overhead_bytes,
        .log_max_bytes = from->log_max_bytes,
        .log_files = from->log_files,
        .measure_every = {from->measure_every_ns},
        .disk_reserve_bytes = from->disk_reserve_bytes,
        .certificate = {{from->certificate_from_ns}, {from->certificate_until_ns}},
        .seed = from->seed};
    return cpus_of(&from->cpus, &out->cpus);
}

/* ---- events ---- */

static Flight__Host *host_from(struct arena *a, const struct agent_host_done *from)
{
    Flight__Host *h = arena_alloc(a, sizeof *h);
    if (h == NULL)
        return NULL;
    flight__host__init(h);
    h->has_code = h->has_uid = h->has_gid = true;
    h->code = (uint32_t)from->code;
    h->text = text(a, str_of(from->text));
    h->network = text(a, from->network);
    h->image_id = text(a, from->image.id);
    h->entrypoint = texts(a, from->image.entrypoint, from->image.entrypoint_count);
    h->cmd = texts(a, from->image.cmd, from->image.cmd_count);
    h->env = texts(a, from->image.env, from->image.env_count);
    h->n_entrypoint = from->image.entrypoint_count;
    h->n_cmd = from->image.cmd_count;
    h->n_env = from->image.env_count;
    h->cwd = text(a, from->image.cwd);
    h->stop_signal = text(a, from->image.stop_signal);
    h->uid = from->image.uid;
    h->gid = from->image.gid;
    h->has_certificate_from_ns = h->has_certificate_until_ns = from->certificate.until.ns != 0;
    h->certificate_from_ns = from->certificate.from.ns;
    h->certificate_until_ns = from->certificate.until.ns;
    return h;
}

static const struct str *strs_of(struct arena *a, char **from, size_t count)
{
    struct str *out = arena_zalloc(a, count + 1, sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i++)
        out[i] = str_of(from[i]);
    return out;
}

static bool host_of(const Flight__Host *from, struct arena *a, struct agent_event *out)
{
    struct agent_host_done *h = arena_zalloc(a, 1, sizeof *h);
    if (h == NULL || from == NULL)
        return false;
    h->code = (enum err_code)from->code;
    h->text = from->text == NULL ? "" : from->text;
    h->network = str_of(from->network);
    h->image = (struct agent_image){.id = str_of(from->image_id),
                                    .entrypoint = strs_of(a, from->entrypoint, from->n_entrypoint),
                                    .cmd = strs_of(a, from->cmd, from->n_cmd),
                                    .env = strs_of(a, from->env, from->n_env),
                                    .entrypoint_count = (uint32_t)from->n_entrypoint,
                                    .cmd_count = (uint32_t)from->n_cmd,
                                    .env_count = (uint32_t)from->n_env,
                                    .cwd = str_of(from->cwd),
                                    .stop_signal = str_of(from->stop_signal),
                                    .uid = from->uid,
                                    .gid = from->gid};
    h->certificate =
        (struct agent_certificate){{from->certificate_from_ns}, {from->certificate_until_ns}};
    out->host = h;
    return from->code <= ERR_CORRUPT;
}

static Flight__Runtime *runtime_from(struct arena *a, enum runtime_kind kind,
                                     const struct runtime_event *from)
{
    Flight__Runtime *r = arena_alloc(a, sizeof *r);
    if (r == NULL)
        return NULL;
    flight__runtime__init(r);
    r->has_kind = r->has_type = r->has_op = r->has_code = r->has_state = r->has_pid = true;
    r->has_cpus = r->has_exit_code = r->has_signal = r->has_oom_killed = true;
    r->has_started_ns = r->has_finished_ns = true;
    r->kind = (uint32_t)kind;
    r->type = (uint32_t)from->type;
    r->op = from->op;
    r->code = (uint32_t)from->code;
    r->text = text(a, str_of(from->text));
    r->id = text(a, str_of(from->id));
    r->state = (uint32_t)from->state;
    r->pid = from->pid;
    r->cpus = cpus_bytes(a, &from->cpus);
    r->exit_code = from->exit_code;
    r->signal = from->signal;
    r->oom_killed = from->oom_killed;
    r->started_ns = from->started.ns;
    r->finished_ns = from->finished.ns;
    return r;
}

static bool runtime_of(const Flight__Runtime *from, struct arena *a, struct agent_event *out)
{
    struct runtime_event *r = arena_zalloc(a, 1, sizeof *r);
    if (r == NULL || from == NULL || from->kind > RUNTIME_VM || from->type > RUNTIME_FOUND ||
        from->code > ERR_CORRUPT || from->state > RUNTIME_STOPPED)
        return false;
    *r = (struct runtime_event){.type = (enum runtime_event_type)from->type,
                                .op = from->op,
                                .code = (enum err_code)from->code,
                                .state = (enum runtime_state)from->state,
                                .pid = from->pid,
                                .exit_code = from->exit_code,
                                .signal = from->signal,
                                .oom_killed = from->oom_killed,
                                .started = {from->started_ns},
                                .finished = {from->finished_ns}};
    snprintf(r->text, sizeof r->text, "%s", from->text == NULL ? "" : from->text);
    snprintf(r->id, sizeof r->id, "%s", from->id == NULL ? "" : from->id);
    out->runtime.kind = (enum runtime_kind)from->kind;
    out->runtime.event = r;
    return cpus_of(&from->cpus, &r->cpus);
}

static bool has_bytes(uint32_t type)
{
    return type == EV_SAVED || type == EV_SESSION_MESSAGE || type == EV_IMAGES ||
           type == EV_MEASURED;
}

void flight__event_from(struct arena *a, const struct agent_event *from, Flight__Event *out)
{
    Flight__Event e = FLIGHT__EVENT__INIT;
    e.has_type = e.has_now_ns = e.has_wall_ns = e.has_op = true;
    e.type = (uint32_t)from->type;
    e.now_ns = from->now.ns;
    e.wall_ns = from->wall.ns;
    e.op = from->op;
    if (has_bytes(from->type)) {
        struct str bytes = flight__without_secrets(a, from->type, from->bytes);
        e.has_bytes = true;
        e.bytes = (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.at};
    } else if (from->type == EV_HOST_DONE) {
        e.host = host_from(a, from->host);
    } else if (from->type == EV_RUNTIME) {
        e.runtime = runtime_from(a, from->runtime.kind, from->runtime.event);
    }
    *out = e;
}

bool flight_event_of(const Flight__Event *from, struct arena *a, struct agent_event *out)
{
    *out = (struct agent_event){.type = (enum agent_event_type)from->type,
                                .now = {from->now_ns},
                                .wall = {from->wall_ns},
                                .op = from->op};
    if (from->type > EV_MEASURED)
        return false;
    if (from->type == EV_HOST_DONE)
        return host_of(from->host, a, out);
    if (from->type == EV_RUNTIME)
        return runtime_of(from->runtime, a, out);
    if (has_bytes(from->type))
        out->bytes = str_from((const char *)from->bytes.data, from->bytes.len);
    return true;
}
