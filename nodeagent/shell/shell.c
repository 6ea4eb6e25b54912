/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/shell.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/clock.h"
#include "nodeagent/shell/checks.h"
#include "nodeagent/shell/records.h"
#include "nodeagent/shell/streams.h"

#include <stdio.h>

/* A start that finds every container of every pod ended writes each of them down in one step. */
enum { ANSWERS_FIRST = 64, ANSWERS_MAX = AGENT_WORKLOADS_MAX * (AGENT_INSTANCES_MAX + 2) };

/* What was done at once and is told in the turn. */
struct answer {
    uint64_t op;
    enum err_code code;
    struct err err;
    bool forgot; /* Not told before the disk has it. */
};

struct shell {
    struct shell_options o;
    struct loop_client client;
    struct link *link;
    struct hostwork *hostwork;
    struct recordwork *recordwork;
    struct streams *streams;
    struct checks *checks;
    struct renewal *renewal;
    struct sink {
        struct shell *shell;
        enum runtime_kind kind;
    } sinks[2];
    struct answer *answers;
    uint32_t answers_count, answers_size;
    bool stepping, forgot; /* forgot: one of the answers has it. */
};

static void perform(struct shell *s, const struct agent_effect *fx);

static void step(struct shell *s, struct agent_event *ev)
{
    ev->now = loop_now(s->o.loop);
    ev->wall = clock_wall();
    CHECK(!s->stepping);
    s->stepping = true;
    if (s->o.flight != NULL)
        flight_event(s->o.flight, s->o.agent, ev);
    struct agent_effects fx = agent_step(s->o.agent, ev);
    if (s->o.flight != NULL)
        flight_done(s->o.flight, s->o.agent, &fx);
    for (uint32_t i = 0; i < fx.count; i++)
        perform(s, &fx.at[i]);
    s->stepping = false;
    struct str moved = agent_trace(s->o.agent), line;
    while (str_split(&moved, '\n', &line))
        if (str_find(line, ':', 0) < line.len)
            log_event(LOG_WARN, "workload.trouble", STR_FMT, STR_ARG(line));
        else if (line.len > 0)
            log_event(LOG_INFO, "workload.moved", STR_FMT, STR_ARG(line));
    struct instant soon = loop_now(s->o.loop), deadline = agent_deadline(s->o.agent);
    loop_set_deadline(&s->client, s->answers_count > 0 ? soon : deadline);
}

/* ---- what is answered in this turn ---- */

static void later(struct shell *s, uint64_t op, enum err_code code, const struct err *e)
{
    CHECK(s->answers_count < ANSWERS_MAX);
    if (s->answers_count == s->answers_size) {
        s->answers_size = s->answers_size == 0 ? ANSWERS_FIRST : s->answers_size * 2;
        s->answers = mem_resize(s->answers, s->answers_size * sizeof *s->answers);
    }
    s->answers[s->answers_count++] =
        (struct answer){op, code, code == ERR_OK ? (struct err){0} : *e, false};
}

/* Whose record is gone is told to be gone, and its rows become another's: it must not come back with the next power
 * cut. One sync for all that went in this turn. */
static void sync_forgotten(struct shell *s)
{
    struct err e = {0};
    if (!s->forgot)
        return;
    enum err_code code = records_sync(s->o.state, &e);
    for (uint32_t i = 0; i < s->answers_count; i++)
        if (s->answers[i].forgot && s->answers[i].code == ERR_OK && code != ERR_OK)
            s->answers[i] = (struct answer){s->answers[i].op, code, e, true};
    if (code != ERR_OK)
        log_event(LOG_WARN, "record.failed", "uid=several err=%s", log_quote(str_of(e.text)).text);
    s->forgot = false;
}

static void drain(struct shell *s)
{
    struct answer batch[64];
    while (s->answers_count > 0) {
        sync_forgotten(s);
        uint32_t count = min_u32(s->answers_count, COUNT_OF(batch));
        memcpy(batch, s->answers, count * sizeof *batch);
        memmove(s->answers, s->answers + count, (s->answers_count - count) * sizeof *batch);
        s->answers_count -= count;
        for (uint32_t i = 0; i < count; i++) {
            /* Only the fake runtime's images are answered here: any command will do for it. */
            static const struct str cmd[] = {STR("run")};
            struct agent_host_done done = {.code = batch[i].code,
                                           .text = batch[i].err.text,
                                           .image = {.cmd = cmd, .cmd_count = 1}};
            step(s, &(struct agent_event){.type = EV_HOST_DONE, .op = batch[i].op, .host = &done});
        }
    }
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct shell *s = CONTAINER_OF(self, struct shell, client);
    if (ev->type != IO_DEADLINE)
        return;
    drain(s);
    struct instant deadline = agent_deadline(s->o.agent);
    if (instant_due(deadline, loop_now(s->o.loop)))
        step(s, &(struct agent_event){.type = EV_DEADLINE});
    else
        loop_set_deadline(&s->client, deadline);
}

/* ---- effects ---- */

static struct runtime *runtime_of(struct shell *s, const struct agent_effect *fx)
{
    CHECK(s->o.runtimes[fx->kind] != NULL);
    return s->o.runtimes[fx->kind];
}

static void perform_runtime(struct shell *s, const struct agent_effect *fx)
{
    struct runtime *r = runtime_of(s, fx);

    if (fx->type == FX_CREATE)
        r->ops->create(r, fx->op, fx->spec);
    else if (fx->type == FX_START)
        r->ops->start(r, fx->op, fx->id);
    else if (fx->type == FX_STOP)
        r->ops->stop(r, fx->op, fx->id);
    else if (fx->type == FX_KILL)
        r->ops->kill(r, fx->op, fx->id);
    else if (fx->type == FX_DESTROY)
        r->ops->destroy(r, fx->op, fx->id);
    else if (fx->type == FX_SET_CPUS)
        r->ops->set_cpus(r, fx->op, fx->id, fx->cpu);
    else if (fx->type == FX_EXEC)
        r->ops->exec(r, fx->op, fx->id, &fx->exec);
    else
        r->ops->list(r, fx->op);
}

/* What is not synced is done at once: a start waits for it, and nobody else for long. */
static void perform_record(struct shell *s, const struct agent_effect *fx)
{
    struct err e = {0};
    bool quick = fx->type == FX_SAVE && fx->unsynced;
    if (s->recordwork != NULL && (!quick || recordwork_has(s->recordwork, fx->uid))) {
        recordwork_do(s->recordwork, fx);
        return;
    }
    enum err_code code = fx->type == FX_FORGET
                             ? records_forget(s->o.state, fx->uid, &e)
                             : records_save(s->o.state, fx->uid, fx->bytes, fx->unsynced, &e);
    if (code != ERR_OK)
        log_event(LOG_WARN, "record.failed", "uid=" STR_FMT " err=%s", STR_ARG(fx->uid),
                  log_quote(str_of(e.text)).text);
    later(s, fx->op, code, &e);
    if (fx->type == FX_FORGET)
        s->forgot = s->answers[s->answers_count - 1].forgot = true;
}

static void perform_pool(struct shell *s, const struct agent_effect *fx)
{
    struct err e = {0};
    enum err_code code =
        s->o.cgroups == NULL ? ERR_OK : cgroup_pool_set(s->o.cgroups, fx->pool, &e);
    if (code != ERR_OK)
        log_event(LOG_WARN, "pool.failed", "err=%s", log_quote(str_of(e.text)).text);
    later(s, fx->op, code, &e);
}

static void perform_host(struct shell *s, const struct agent_effect *fx)
{
    if (s->hostwork != NULL)
        hostwork_do(s->hostwork, fx);
    else
        later(s, fx->op, ERR_OK, NULL);
}

static void perform_session(struct shell *s, const struct agent_effect *fx)
{
    if (fx->type == FX_CONNECT) {
        link_open(s->link);
    } else if (fx->type == FX_SEND) {
        link_send(s->link, fx->bytes);
    } else {
        log_event(LOG_WARN, "session.ended", "why=%s", log_quote(str_of(fx->text)).text);
        streams_end(s->streams);
        link_shut(s->link);
    }
}

static void perform(struct shell *s, const struct agent_effect *fx)
{
    switch (fx->type) {
    case FX_CONNECT:
    case FX_DISCONNECT:
    case FX_SEND:
        perform_session(s, fx);
        break;
    case FX_SAVE:
    case FX_FORGET:
        perform_record(s, fx);
        break;
    case FX_IMAGE:
    case FX_NETWORK:
    case FX_VOLUMES:
    case FX_CLEAN:
        perform_host(s, fx);
        break;
    case FX_GIVE_UP:
    case FX_MEASURE: /* Never asked for without host work: measure_every is 0. */
    case FX_PEERS:
        if (s->hostwork != NULL)
            hostwork_do(s->hostwork, fx);
        break;
    case FX_POOL:
        perform_pool(s, fx);
        break;
    case FX_CHECK:
        if (s->hostwork == NULL)
            later(s, fx->op, ERR_OK, NULL); /* The fake runtime's pods have no network. */
        else
            checks_do(s->checks, fx->op, &fx->check);
        break;
    case FX_STREAM:
        streams_open(s->streams, &fx->stream);
        break;
    case FX_RENEW:
        renewal_do(s->renewal, fx->op);
        break;
    case FX_TELL:
        log_event(LOG_ERROR, "agent.needs", "what=%s", log_quote(str_of(fx->text)).text);
        break;
    case FX_CREATE:
    case FX_START:
    case FX_STOP:
    case FX_KILL:
    case FX_DESTROY:
    case FX_SET_CPUS:
    case FX_EXEC:
    case FX_LIST:
        perform_runtime(s, fx);
        break;
    }
}

/* ---- events ---- */

static void on_runtime(void *state, const struct runtime_event *ev)
{
    struct sink *from = state;
    step(from->shell, &(struct agent_event){.type = EV_RUNTIME,
                                            .op = ev->op,
                                            .runtime = {.kind = from->kind, .event = ev}});
}

void shell_on_hostwork(void *owner, uint64_t op, const struct agent_host_done *done)
{
    struct shell *s = owner;
    if (done->code != ERR_OK)
        log_event(LOG_WARN, "host.failed", "err=%s", log_quote(str_of(done->text)).text);
    step(s, &(struct agent_event){.type = EV_HOST_DONE, .op = op, .host = done});
}

void shell_on_images(void *owner, const struct image_entry *list, uint32_t count)
{
    struct arena a;
    Agent__Images m = AGENT__IMAGES__INIT;
    arena_init(&a, 1 << 20);
    m.images = arena_zalloc(&a, count + 1, sizeof *m.images);
    for (uint32_t i = 0; m.images != NULL && i < count; i++) {
        Agent__Image *one = arena_alloc(&a, sizeof *one);
        char **names = arena_zalloc(&a, 1, sizeof *names);
        if (one == NULL || names == NULL)
            break;
        agent__image__init(one);
        names[0] = arena_dup(&a, list[i].name);
        one->names = names;
        one->n_names = names[0] != NULL;
        one->has_size_bytes = true;
        one->size_bytes = list[i].size_bytes;
        m.images[m.n_images++] = one;
    }
    size_t len = agent__images__get_packed_size(&m);
    uint8_t *bytes = arena_alloc(&a, len + 1);
    if (bytes != NULL) {
        agent__images__pack(&m, bytes);
        step(owner,
             &(struct agent_event){.type = EV_IMAGES, .bytes = str_from((char *)bytes, len)});
    }
    arena_free(&a);
}

void shell_on_disk(void *owner, uint64_t op, struct str bytes)
{
    step(owner, &(struct agent_event){.type = EV_MEASURED, .op = op, .bytes = bytes});
}

void shell_on_renewal(void *owner, uint64_t op, const struct agent_host_done *done)
{
    step(owner, &(struct agent_event){.type = EV_HOST_DONE, .op = op, .host = done});
}

void shell_on_record(void *owner, uint64_t op, const struct agent_host_done *done)
{
    step(owner, &(struct agent_event){.type = EV_HOST_DONE, .op = op, .host = done});
}

static void on_check(void *owner, uint64_t op, const struct agent_host_done *done)
{
    step(owner, &(struct agent_event){.type = EV_HOST_DONE, .op = op, .host = done});
}

void shell_on_link(void *owner, const struct link_event *ev)
{
    struct shell *s = owner;
    switch (ev->type) {
    case LINK_OPENED:
        log_event(LOG_INFO, "session.opened", "server=connected");
        step(s, &(struct agent_event){.type = EV_SESSION_OPENED});
        break;
    case LINK_MESSAGE:
        step(s, &(struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = ev->bytes});
        break;
    case LINK_CLOSED:
        log_event(LOG_WARN, "session.closed", "why=%s", log_quote(str_of(ev->err.text)).text);
        step(s, &(struct agent_event){.type = EV_SESSION_CLOSED});
        break;
    case LINK_STREAM_MESSAGE:
    case LINK_STREAM_WRITABLE:
    case LINK_STREAM_CLOSED:
        streams_on_link(s->streams, ev);
        break;
    }
}

/* ---- life ---- */

struct shell *shell_new(const struct shell_options *o)
{
    struct shell *s = mem_zalloc(1, sizeof *s);
    s->o = *o;
    s->client.event = on_event;
    loop_join(o->loop, &s->client);
    s->checks = checks_new(o->loop, on_check, s);
    for (uint32_t i = 0; i < COUNT_OF(s->sinks); i++)
        s->sinks[i] = (struct sink){s, (enum runtime_kind)i};
    return s;
}

struct runtime_sink shell_sink(struct shell *s, enum runtime_kind kind)
{
    return (struct runtime_sink){.post = on_runtime, .state = &s->sinks[kind]};
}

void shell_set_runtime(struct shell *s, enum runtime_kind kind, struct runtime *r)
{
    s->o.runtimes[kind] = r;
}

void shell_set_link(struct shell *s, struct link *l)
{
    s->link = l;
    s->streams = streams_new(s->o.loop, s->o.agent, l);
}

void shell_set_renewal(struct shell *s, struct renewal *r)
{
    s->renewal = r;
}

void shell_set_hostwork(struct shell *s, struct hostwork *h)
{
    s->hostwork = h;
}

void shell_set_recordwork(struct shell *s, struct recordwork *r)
{
    s->recordwork = r;
}

static void load_record(void *arg, struct str bytes)
{
    step(arg, &(struct agent_event){.type = EV_SAVED, .bytes = bytes});
}

enum err_code shell_begin(struct shell *s, struct err *e)
{
    enum err_code code = records_load(s->o.state, load_record, s, e);
    if (code == ERR_OK)
        step(s, &(struct agent_event){.type = EV_STARTED});
    return code;
}

void shell_free(struct shell *s)
{
    streams_free(s->streams);
    checks_free(s->checks);
    loop_leave(&s->client);
    mem_free(s->answers);
    mem_free(s);
}
