/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/runtime/runtime_fake.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

static const struct span CREATE_TAKES = SPAN_MS(10), START_TAKES = SPAN_MS(5);
static const struct span EXEC_TAKES = SPAN_MS(3);
static const struct span SLOWLY = SPAN_S(5), SOON = SPAN_MS(1);

enum { QUEUE_MAX = 4 * RUNTIME_INSTANCES_MAX };

struct fake_instance {
    struct runtime_fake_instance shown;
    bool used, exited, exits_by_itself;
    bool watched; /* Started or listed in the agent's present life: only then its end is told. */
    struct span lives; /* exits_by_itself: so long. */
    int32_t exit_code, signal, pid;
    struct wall started, finished;
};

struct fake_event {
    struct instant at;
    uint64_t sequence;
    bool due; /* An exit that happens at that time, not yet an answer. */
    uint32_t instance;
    struct runtime_event event;
};

struct runtime_fake {
    struct runtime base;
    struct runtime_fake_options options;
    struct instant now;
    struct wall wall;
    struct cpuset pool;
    struct fake_instance *instances;
    struct fake_event *queue;
    uint32_t queue_count;
    uint64_t sequence;
    int32_t pids;
    bool closed;
};

static struct runtime_fake *fake_of(struct runtime *r)
{
    return CONTAINER_OF(r, struct runtime_fake, base);
}

static bool fault(struct runtime_fake *f, enum runtime_fault which)
{
    return f->options.fault != NULL && f->options.fault(f->options.fault_state, which);
}

static struct fake_event *later(struct runtime_fake *f, struct span in)
{
    CHECK(f->queue_count < QUEUE_MAX);
    struct fake_event *e = &f->queue[f->queue_count++];
    *e = (struct fake_event){.at = instant_add(f->now, in), .sequence = ++f->sequence};
    return e;
}

static struct runtime_event *answer(struct runtime_fake *f, uint64_t op, struct span in,
                                    enum err_code code, const char *text)
{
    struct runtime_event *ev = &later(f, in)->event;
    ev->type = RUNTIME_DONE;
    ev->op = op;
    ev->code = code;
    snprintf(ev->text, sizeof ev->text, "%s", text);
    return ev;
}

static struct fake_instance *find(struct runtime_fake *f, struct str id)
{
    for (uint32_t i = 0; i < RUNTIME_INSTANCES_MAX; i++)
        if (f->instances[i].used && str_is(id, f->instances[i].shown.id))
            return &f->instances[i];
    return NULL;
}

static void tell_exit(struct runtime_fake *f, const struct fake_instance *i, struct span in)
{
    struct runtime_event *ev = &later(f, in)->event;
    ev->type = RUNTIME_EXITED;
    snprintf(ev->id, sizeof ev->id, "%s", i->shown.id);
    ev->exit_code = i->exit_code;
    ev->signal = i->signal;
    ev->started = i->started;
    ev->finished = i->finished;
}

static void die(struct runtime_fake *f, struct fake_instance *i, int32_t code, int32_t signal)
{
    if (i->shown.state != RUNTIME_RUNNING)
        return;
    i->shown.state = RUNTIME_STOPPED;
    i->exited = true;
    i->exit_code = code;
    i->signal = signal;
    i->finished = f->wall;
    if (i->watched)
        tell_exit(f, i, SOON);
}

static void die_in(struct runtime_fake *f, struct fake_instance *i, struct span in)
{
    struct fake_event *e = later(f, in);
    e->due = true;
    e->instance = (uint32_t)(i - f->instances);
    snprintf(e->event.id, sizeof e->event.id, "%s", i->shown.id);
    e->event.exit_code = i->exit_code;
}

/* "exit CODE", "exit-after MS CODE": what the container was told to be. */
static void script(struct fake_instance *i, const struct runtime_container *c)
{
    uint64_t ms = 0, code = 0;
    bool at_once = c->args_count == 2 && str_is(c->args[0], "exit");
    bool after = c->args_count == 3 && str_is(c->args[0], "exit-after");
    if (!at_once && !after)
        return;
    i->exits_by_itself = str_parse_u64(c->args[c->args_count - 1], &code) == ERR_OK &&
                         (at_once || str_parse_u64(c->args[1], &ms) == ERR_OK);
    i->lives = SPAN_MS(ms);
    i->exit_code = (int32_t)code;
}

static void create(struct runtime *r, uint64_t op, const struct runtime_spec *spec)
{
    struct runtime_fake *f = fake_of(r);
    struct span takes = fault(f, RUNTIME_FAULT_CREATE_SLOW) ? SLOWLY : CREATE_TAKES;
    struct fake_instance *i = NULL;
    if (find(f, spec->id) != NULL) {
        answer(f, op, SOON, ERR_CONFLICT, "an instance of that name exists");
        return;
    }
    if (fault(f, RUNTIME_FAULT_CREATE_FAILS)) {
        answer(f, op, takes, ERR_UNAVAILABLE, "create: no space left on device");
        return;
    }
    for (uint32_t n = 0; n < RUNTIME_INSTANCES_MAX && i == NULL; n++)
        if (!f->instances[n].used)
            i = &f->instances[n];
    if (i == NULL || spec->id.len >= RUNTIME_ID_MAX) {
        answer(f, op, SOON, ERR_LIMIT, "too many instances");
        return;
    }
    *i = (struct fake_instance){.used = true};
    snprintf(i->shown.id, sizeof i->shown.id, STR_FMT, STR_ARG(spec->id));
    i->shown.state = RUNTIME_CREATED;
    i->shown.exclusive = spec->cpu.exclusive;
    i->shown.cpus = spec->cpu.cpus;
    if (spec->kind == RUNTIME_VM)
        i->shown.helper = spec->cpu.pool;
    else
        script(i, &spec->container);
    answer(f, op, takes, ERR_OK, "");
}

static void start(struct runtime *r, uint64_t op, struct str id)
{
    struct runtime_fake *f = fake_of(r);
    struct fake_instance *i = find(f, id);
    if (i == NULL || i->shown.state != RUNTIME_CREATED) {
        answer(f, op, SOON, ERR_NOT_FOUND, "no such instance to start");
        return;
    }
    if (fault(f, RUNTIME_FAULT_START_FAILS)) {
        answer(f, op, START_TAKES, ERR_INVALID, "exec: no such file or directory");
        return;
    }
    static const struct cpuset none;
    bool pooled = f->options.kind == RUNTIME_CONTAINER && !i->shown.exclusive;
    if (pooled && memcmp(&f->pool, &none, sizeof none) != 0)
        i->shown.cpus = f->pool; /* It was born into the pool's group, as that is now. */
    i->shown.state = RUNTIME_RUNNING;
    i->watched = true;
    i->pid = ++f->pids;
    i->started = f->wall;
    struct runtime_event *ev = answer(f, op, START_TAKES, ERR_OK, "");
    ev->pid = i->pid;
    ev->cpus = i->shown.cpus;
    ev->started = i->started;
    snprintf(ev->id, sizeof ev->id, "%s", i->shown.id);
    if (i->exits_by_itself)
        die_in(f, i, (struct span){START_TAKES.ns + i->lives.ns});
    else if (fault(f, RUNTIME_FAULT_EXITS)) {
        i->exit_code = 1;
        die_in(f, i, (struct span){START_TAKES.ns + 1});
    }
}

static void stop(struct runtime *r, uint64_t op, struct str id)
{
    struct runtime_fake *f = fake_of(r);
    struct fake_instance *i = find(f, id);
    answer(f, op, SOON, i == NULL ? ERR_NOT_FOUND : ERR_OK, i == NULL ? "no such instance" : "");
    if (i != NULL && !fault(f, RUNTIME_FAULT_STOP_IGNORED)) {
        i->exit_code = 0;
        die_in(f, i, SPAN_MS(20));
    }
}

static void kill(struct runtime *r, uint64_t op, struct str id)
{
    struct runtime_fake *f = fake_of(r);
    struct fake_instance *i = find(f, id);
    answer(f, op, SOON, i == NULL ? ERR_NOT_FOUND : ERR_OK, i == NULL ? "no such instance" : "");
    if (i != NULL)
        die(f, i, 137, 9);
}

static void destroy(struct runtime *r, uint64_t op, struct str id)
{
    struct runtime_fake *f = fake_of(r);
    struct fake_instance *i = find(f, id);
    if (i != NULL && fault(f, RUNTIME_FAULT_DESTROY_FAILS)) {
        answer(f, op, CREATE_TAKES, ERR_BUSY, "remove: device or resource busy");
        return;
    }
    if (i != NULL) {
        die(f, i, 137, 9);
        i->used = false;
    }
    answer(f, op, CREATE_TAKES, ERR_OK, "");
}

static void set_cpus(struct runtime *r, uint64_t op, struct str id, const struct runtime_cpu *cpu)
{
    struct runtime_fake *f = fake_of(r);
    struct fake_instance *i = find(f, id);
    if (i == NULL || fault(f, RUNTIME_FAULT_SET_CPUS_FAILS)) {
        answer(f, op, SOON, i == NULL ? ERR_NOT_FOUND : ERR_CONFLICT, "cpus are not what was set");
        return;
    }
    if (!i->shown.exclusive)
        i->shown.cpus = cpu->cpus;
    if (f->options.kind == RUNTIME_VM)
        i->shown.helper = cpu->pool;
    answer(f, op, SOON, ERR_OK, "")->cpus = i->shown.cpus;
}

/* What a command inside comes to. */
static int32_t outcome(const struct runtime_fake *f, const struct fake_instance *i,
                       const struct runtime_exec *x)
{
    uint64_t ms = 0;
    bool late = x->args_count == 2 && str_parse_u64(x->args[1], &ms) == ERR_OK &&
                f->wall.ns - i->started.ns >= SPAN_MS(ms).ns;
    if (str_is(x->args[0], "ok-after"))
        return late ? 0 : 1;
    if (str_is(x->args[0], "fail-after"))
        return late ? 1 : 0;
    return str_is(x->args[0], "fail") ? 1 : 0;
}

static void exec(struct runtime *r, uint64_t op, struct str id, const struct runtime_exec *x)
{
    struct runtime_fake *f = fake_of(r);
    struct fake_instance *i = find(f, id);
    if (f->options.kind == RUNTIME_VM) {
        answer(f, op, SOON, ERR_DENIED, "a machine runs no commands");
    } else if (i == NULL || i->shown.state != RUNTIME_RUNNING) {
        answer(f, op, SOON, ERR_NOT_FOUND, "the container does not run");
    } else if (x->args_count == 0) {
        answer(f, op, SOON, ERR_INVALID, "no command");
    } else if (str_is(x->args[0], "hang") || fault(f, RUNTIME_FAULT_EXEC_HANGS)) {
        answer(f, op, x->timeout, ERR_UNAVAILABLE, "command timed out");
    } else {
        int32_t code = outcome(f, i, x);
        answer(f, op, EXEC_TAKES, ERR_OK, code == 0 ? "" : "it said no")->exit_code = code;
    }
}

static void list(struct runtime *r, uint64_t op)
{
    struct runtime_fake *f = fake_of(r);
    if (fault(f, RUNTIME_FAULT_LIST_FAILS)) {
        answer(f, op, SOON, ERR_UNAVAILABLE, "list: input/output error");
        return;
    }
    for (uint32_t n = 0; n < RUNTIME_INSTANCES_MAX; n++) {
        struct fake_instance *i = &f->instances[n];
        if (!i->used)
            continue;
        i->watched = true;
        struct runtime_event *ev = &later(f, SOON)->event;
        ev->type = RUNTIME_FOUND;
        ev->state = i->shown.state;
        ev->pid = i->pid;
        ev->cpus = i->shown.cpus;
        ev->started = i->started;
        snprintf(ev->id, sizeof ev->id, "%s", i->shown.id);
    }
    answer(f, op, SOON, ERR_OK, "");
    for (uint32_t n = 0; n < RUNTIME_INSTANCES_MAX; n++)
        if (f->instances[n].used && f->instances[n].exited)
            tell_exit(f, &f->instances[n], SPAN_MS(2));
}

static void close_fake(struct runtime *r, uint64_t op)
{
    answer(fake_of(r), op, SOON, ERR_OK, "");
    fake_of(r)->closed = true;
}

static const struct runtime_ops ops = {
    .create = create,
    .start = start,
    .stop = stop,
    .kill = kill,
    .destroy = destroy,
    .set_cpus = set_cpus,
    .exec = exec,
    .list = list,
    .close = close_fake,
};

struct runtime *runtime_fake_open(struct runtime_sink sink, const struct runtime_fake_options *o)
{
    struct runtime_fake *f = mem_zalloc(1, sizeof *f);
    f->base = (struct runtime){.ops = &ops, .sink = sink};
    f->options = *o;
    f->instances = mem_zalloc(RUNTIME_INSTANCES_MAX, sizeof *f->instances);
    f->queue = mem_zalloc(QUEUE_MAX, sizeof *f->queue);
    f->pids = 1000;
    return &f->base;
}

static uint32_t earliest(const struct runtime_fake *f)
{
    uint32_t best = f->queue_count;
    for (uint32_t i = 0; i < f->queue_count; i++)
        if (best == f->queue_count || f->queue[i].at.ns < f->queue[best].at.ns ||
            (f->queue[i].at.ns == f->queue[best].at.ns &&
             f->queue[i].sequence < f->queue[best].sequence))
            best = i;
    return best;
}

void runtime_fake_now(struct runtime *r, struct instant now, struct wall wall)
{
    fake_of(r)->now = now;
    fake_of(r)->wall = wall;
}

void runtime_fake_turn(struct runtime *r, struct instant now, struct wall wall)
{
    struct runtime_fake *f = fake_of(r);
    runtime_fake_now(r, now, wall);
    for (uint32_t i = earliest(f); i < f->queue_count && f->queue[i].at.ns <= now.ns;
         i = earliest(f)) {
        struct fake_event e = f->queue[i];
        f->queue[i] = f->queue[--f->queue_count];
        struct fake_instance *at = &f->instances[e.instance];
        if (!e.due)
            f->base.sink.post(f->base.sink.state, &e.event);
        else if (at->used && strcmp(at->shown.id, e.event.id) == 0)
            die(f, at, e.event.exit_code, 0);
    }
    if (f->closed && f->queue_count == 0)
        runtime_fake_free(r);
}

void runtime_fake_free(struct runtime *r)
{
    struct runtime_fake *f = fake_of(r);
    mem_free(f->instances);
    mem_free(f->queue);
    mem_free(f);
}

struct instant runtime_fake_deadline(const struct runtime *r)
{
    const struct runtime_fake *f = CONTAINER_OF(r, const struct runtime_fake, base);
    uint32_t i = earliest(f);
    return i == f->queue_count ? (struct instant){0} : f->queue[i].at;
}

void runtime_fake_orphan(struct runtime *r, struct runtime_sink sink)
{
    struct runtime_fake *f = fake_of(r);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->queue_count; i++)
        if (f->queue[i].due)
            f->queue[kept++] = f->queue[i];
    f->queue_count = kept;
    for (uint32_t n = 0; n < RUNTIME_INSTANCES_MAX; n++)
        f->instances[n].watched = false;
    f->base.sink = sink;
}

void runtime_fake_set_pool(struct runtime *r, const struct cpuset *pool)
{
    struct runtime_fake *f = fake_of(r);
    f->pool = *pool;
    for (uint32_t i = 0; f->options.kind == RUNTIME_CONTAINER && i < RUNTIME_INSTANCES_MAX; i++)
        if (f->instances[i].used && !f->instances[i].shown.exclusive)
            f->instances[i].shown.cpus = *pool;
}

bool runtime_fake_at(const struct runtime *r, uint32_t i, struct runtime_fake_instance *out)
{
    const struct runtime_fake *f = CONTAINER_OF(r, const struct runtime_fake, base);
    for (uint32_t n = 0; n < RUNTIME_INSTANCES_MAX; n++) {
        if (!f->instances[n].used || i-- > 0)
            continue;
        *out = f->instances[n].shown;
        return true;
    }
    return false;
}
