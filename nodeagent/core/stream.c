/* SPDX-License-Identifier: Apache-2.0 */
/* A stream is asked for by the control plane and opened by us; here it becomes a path. */
#include "nodeagent/core/agent_priv.h"

static void refuse(struct agent_turn *t, uint64_t id, uint32_t code, struct str why)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__StreamError e = AGENT__STREAM_ERROR__INIT;
    e.has_id = e.has_code = true;
    e.id = id;
    e.code = code;
    e.message = arena_dup(&t->arena, why);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_STREAM_ERROR;
    m.stream_error = &e;
    agent_send(t, &m);
}

static const struct instance *pick(const struct workload *w, struct str name)
{
    for (uint32_t n = 0; n < w->instances_count; n++) {
        const struct instance *i = &w->instances[n];
        if (str_eq(str_of(i->name), name) || (name.len == 0 && !i->init))
            return i;
    }
    return NULL;
}

static bool is_writing(const struct instance *i)
{
    return i->state >= INSTANCE_STARTING && i->state <= INSTANCE_CLEARING;
}

bool agent_log_is_live(const struct agent *a, struct str placement_uid, struct str container,
                       uint32_t attempt)
{
    const struct workload *w = agent_find(a, placement_uid);
    const struct instance *i = w == NULL ? NULL : pick(w, container);
    return i != NULL && i->attempt == attempt && is_writing(i);
}

static void logs(struct agent *a, struct agent_turn *t, const Agent__OpenStream *open,
                 const struct workload *w, const struct instance *i)
{
    struct agent_fx_stream s = {.id = open->id, .kind = AGENT_STREAM_LOGS, .tail_lines = -1};
    struct str dir = workload_log_dir(a, &t->arena, w);
    bool previous = open->logs != NULL && open->logs->previous;
    bool begun = i->attempt > 0 || i->end.happened || i->state >= INSTANCE_STARTING;
    if (previous ? i->attempt == 0 : !begun)
        return refuse(t, open->id, 400,
                      arena_printf(&t->arena,
                                   previous
                                       ? "previous terminated container \"%s\" in pod \"" STR_FMT
                                         "\" not found"
                                       : "container \"%s\" in pod \"" STR_FMT
                                         "\" is waiting to start: ContainerCreating",
                                   i->name, STR_ARG(workload_name(w))));
    bool running = is_writing(i);
    /* Between two attempts the newest log is still the one that ended. */
    uint32_t attempt = previous || (!running && !i->end.happened) ? i->attempt - 1 : i->attempt;
    s.raw = w->machine != NULL;
    s.path = s.raw ? arena_printf(&t->arena, STR_FMT "/guest/serial.log", STR_ARG(dir))
                   : arena_printf(&t->arena, STR_FMT "/%s/%u.log", STR_ARG(dir), i->name, attempt);
    s.follow = open->logs != NULL && open->logs->follow && running && !previous;
    s.placement_uid = arena_str(&t->arena, str_of(open->placement_uid));
    s.container = arena_str(&t->arena, str_of(i->name));
    s.attempt = attempt;
    if (open->logs != NULL) {
        s.timestamps = open->logs->timestamps;
        s.tail_lines = open->logs->has_tail_lines ? open->logs->tail_lines : -1;
        s.since = (struct wall){open->logs->since_ns};
        s.limit_bytes = open->logs->limit_bytes;
    }
    agent_do(t, FX_STREAM)->stream = s;
}

void stream_open(struct agent *a, struct agent_turn *t, const Agent__OpenStream *open)
{
    const struct workload *w = agent_find(a, str_of(open->placement_uid));
    const struct instance *i = w == NULL ? NULL : pick(w, str_of(open->container));
    if (i == NULL)
        return refuse(t, open->id, 404, STR("this node has no such container"));
    switch (open->kind) {
    case AGENT__STREAM_KIND__STREAM_KIND_LOGS:
        logs(a, t, open, w, i);
        break;
    case AGENT__STREAM_KIND__STREAM_KIND_CONSOLE:
        if (w->machine == NULL || i->state != INSTANCE_RUNNING)
            return refuse(t, open->id, 400, STR("only a running virtual machine has a console"));
        agent_do(t, FX_STREAM)->stream =
            (struct agent_fx_stream){.id = open->id,
                                     .kind = AGENT_STREAM_CONSOLE,
                                     .path = arena_printf(&t->arena, STR_FMT "/run/%s.console",
                                                          STR_ARG(a->config.state_dir), w->uid)};
        break;
    case AGENT__STREAM_KIND__STREAM_KIND_UNKNOWN:
    case AGENT__STREAM_KIND__STREAM_KIND_EXEC:
    case AGENT__STREAM_KIND__STREAM_KIND_ATTACH:
    case AGENT__STREAM_KIND__STREAM_KIND_PORT_FORWARD:
    case _AGENT__STREAM_KIND_IS_INT_SIZE:
        refuse(t, open->id, 501, STR("this node agent does not offer that kind of stream yet"));
        break;
    }
}
