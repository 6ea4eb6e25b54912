/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/instance.h"
#include "nodeagent/core/agent_priv.h"

#include <stdio.h>

static const struct span BACKOFF_FIRST = SPAN_S(10), BACKOFF_MAX = SPAN_S(300);
static const struct span FORGIVEN_AFTER = SPAN_S(600); /* Kubernetes: MaxContainerBackOff x 2. */
static const struct span RETRY = SPAN_S(1);            /* Of destroy and of set_cpus. */
static const struct span STOP_LEAST = SPAN_S(2);   /* After a hook that took all of the grace. */
static const struct span PULL_IS_LONG = SPAN_S(1); /* From here on people are told of it. */

#define S(name, to) [INSTANCE_##name] = {#name, to},
#define TO(name) (1u << INSTANCE_##name)
const struct sm_state instance_states[INSTANCE__COUNT] = {INSTANCE_STATES(S, TO)};
#undef S
#undef TO

static void image_next(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                       const struct agent_image *last);
static bool handled(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                    const struct handler_answer *answer);

static void move(struct agent_turn *t, struct workload *w, struct instance *i,
                 enum instance_state next)
{
    instance_move(i, next);
    agent_trace_move(t, w, i->name, instance_states[next].name);
}

static struct agent_effect *ask(struct agent *a, struct agent_turn *t, struct workload *w,
                                uint32_t n, enum agent_effect_type type)
{
    struct instance *i = &w->instances[n];
    i->op = agent_op(a, w->slot.slot, n);
    struct agent_effect *fx = agent_do(t, type);
    fx->op = i->op;
    fx->kind = w->kind->runtime;
    fx->uid = str_of(w->uid);
    fx->id = str_of(i->id);
    return fx;
}

static void happened(struct agent_turn *t, struct workload *w, const struct instance *i,
                     const char *reason, const char *text)
{
    uint32_t n = (uint32_t)(i - w->instances);
    const char *what = w->pod != NULL ? "container" : "machine";
    workload_happened(t, w, n, reason, false, "%s %s %s", text, what,
                      w->pod != NULL ? i->name : w->machine->metadata->name);
}

/* What the status says, is said as an Event, too. */
static void trouble(struct agent_turn *t, struct workload *w, struct instance *i,
                    const char *reason, const char *text)
{
    i->trouble = reason;
    snprintf(i->text, sizeof i->text, "%s", text == NULL ? "" : text);
    if (reason != NULL) {
        workload_happened(t, w, (uint32_t)(i - w->instances),
                          str_ends(str_of(reason), STR("BackOff")) ? "BackOff" : "Failed", true,
                          "%s", i->text);
        agent_trace_trouble(t, w, i->name, reason, i->text);
    }
    workload_say(t, w);
}

/* Wait before the next try. The first restart after an exit is at once, as Kubernetes has it. */
static void back_off(struct agent_turn *t, struct workload *w, struct instance *i, bool at_once)
{
    struct span wait = i->backoff.ns == 0 ? BACKOFF_FIRST : (struct span){i->backoff.ns * 2};
    if (wait.ns > BACKOFF_MAX.ns)
        wait = BACKOFF_MAX;
    if (at_once && i->backoff.ns == 0)
        wait = (struct span){1};
    i->retry_at = instant_add(t->now, wait);
    i->backoff = wait.ns == 1 ? (struct span){BACKOFF_FIRST.ns / 2} : wait;
    move(t, w, i, INSTANCE_BACKOFF);
}

static void begin(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    i->retry_at = (struct instant){0};
    i->running_since = (struct instant){0};
    i->image_next = 0;
    i->image_id[0] = '\0';
    i->end = (struct instance_end){0};
    i->again = i->is_started = i->is_ready = false;
    snprintf(i->id, sizeof i->id, "%s.%s.%u", w->uid, i->name, i->attempt);
    image_next(a, t, w, n, NULL);
}

static void add_memory_node(struct runtime_cpu *cpu, uint32_t node)
{
    for (uint32_t i = 0; i < cpu->numa_nodes_count; i++)
        if (cpu->numa_nodes[i] == node)
            return;
    if (cpu->numa_nodes_count < COUNT_OF(cpu->numa_nodes))
        cpu->numa_nodes[cpu->numa_nodes_count++] = node;
}

/* The NUMA nodes whose memory it was granted; where there is one only, nothing needs to be said. */
static void memory_nodes(const struct agent *a, const struct workload *w, struct runtime_cpu *cpu)
{
    const Baton__PlacementSpec *p = w->placement->spec;
    if (a->hardware == NULL || a->hardware->n_numa_nodes < 2)
        return;
    for (size_t i = 0; i < p->n_memory; i++)
        add_memory_node(cpu, p->memory[i]->numa_node);
    for (size_t i = 0; i < p->n_hugepages; i++)
        add_memory_node(cpu, p->hugepages[i]->numa_node);
}

static void create(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                   const struct agent_image *image)
{
    struct instance *i = &w->instances[n];
    struct runtime_spec *spec = arena_zalloc(&t->arena, 1, sizeof *spec);
    char text[sizeof i->text] = "";
    CHECK(spec != NULL);
    spec->id = str_of(i->id);
    spec->cgroup = a->config.cgroup;
    spec->kind = w->kind->runtime;
    spec->cpu.exclusive = w->holds;
    pool_now(a, &spec->cpu.pool);
    spec->cpu.cpus = w->holds ? w->run_cpus : spec->cpu.pool;
    memory_nodes(a, w, &spec->cpu);
    if (!w->kind->spec(t, w, n, image, spec, text, sizeof text)) {
        i->op = 0;
        trouble(t, w, i, "CreateContainerConfigError", text);
        back_off(t, w, i, false);
        return;
    }
    i->retry_at = (struct instant){0};
    i->helper = spec->cpu.pool;
    i->cpus = spec->cpu.cpus;
    ask(a, t, w, n, FX_CREATE)->spec = spec;
    move(t, w, i, INSTANCE_CREATING);
}

static void image_next(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                       const struct agent_image *last)
{
    struct instance *i = &w->instances[n];
    struct agent_fx_image image = {0};
    if (i->state != INSTANCE_IMAGE)
        move(t, w, i, INSTANCE_IMAGE);
    i->image_asked = t->now;
    i->retry_at = instant_add(t->now, PULL_IS_LONG);
    if (!w->kind->image(t, w, n, i->image_next, &image)) {
        create(a, t, w, n, last);
        return;
    }
    if (image.secret_unused != NULL)
        workload_happened(
            t, w, n, "FailedToRetrieveImagePullSecret", true,
            "The pull secret %s is missing or holds no credentials; trying without it",
            image.secret_unused);
    ask(a, t, w, n, FX_IMAGE)->image = image;
}

static void destroy(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    i->retry_at = (struct instant){0};
    ask(a, t, w, n, FX_DESTROY);
    if (i->state != INSTANCE_CLEARING)
        move(t, w, i, INSTANCE_CLEARING);
}

static struct str image_name(struct agent_turn *t, const struct workload *w, uint32_t n)
{
    struct agent_fx_image image = {0};
    (void)w->kind->image(t, w, n, w->instances[n].image_next, &image);
    return image.reference;
}

static void pulled(struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct str name = image_name(t, w, n);
    workload_happened(t, w, n, "Pulled", false, "Image \"" STR_FMT "\" is ready after %lld ms",
                      STR_ARG(name),
                      (long long)(instant_sub(t->now, w->instances[n].image_asked).ns / 1000000));
}

/* Most are there already, and nobody wants to read of it. */
static void pulling(struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct str name = image_name(t, w, n);
    w->instances[n].retry_at = (struct instant){0};
    workload_happened(t, w, n, "Pulling", false, "Pulling image \"" STR_FMT "\"", STR_ARG(name));
    workload_say(t, w);
}

static void image_done(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                       const struct agent_host_done *done)
{
    struct instance *i = &w->instances[n];
    i->retry_at = (struct instant){0};
    if (w->unwanted || w->ended) {
        move(t, w, i, INSTANCE_ENDED);
        return;
    }
    if (done->code != ERR_OK) {
        trouble(t, w, i, i->backoff.ns == 0 ? "ErrImagePull" : "ImagePullBackOff", done->text);
        back_off(t, w, i, false);
        return;
    }
    if (i->image_next == 0)
        snprintf(i->image_id, sizeof i->image_id, STR_FMT, STR_ARG(done->image.id));
    pulled(t, w, n);
    i->image_next++;
    image_next(a, t, w, n, &done->image);
}

void instance_host_done(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                        const struct agent_event *ev)
{
    struct instance *i = &w->instances[n];
    struct handler_answer answer = {.op = ev->op,
                                    .success = ev->host->code == ERR_OK,
                                    .is_unasked = ev->host->code == ERR_BUSY,
                                    .text = ev->host->text == NULL ? "" : ev->host->text};
    if (handled(a, t, w, n, &answer) || ev->op != i->op)
        return;
    i->op = 0;
    if (i->state == INSTANCE_IMAGE)
        image_done(a, t, w, n, ev->host);
    else if (i->state == INSTANCE_SAVING)
        instance_saved(a, t, w, n, ev->host->code == ERR_OK);
}

static void save(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    i->retry_at = (struct instant){0};
    ask(a, t, w, n, FX_SAVE)->bytes = report_record(t, w);
    if (i->state != INSTANCE_SAVING)
        move(t, w, i, INSTANCE_SAVING);
}

void instance_saved(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n, bool ok)
{
    struct instance *i = &w->instances[n];
    /* Who is evicted for want of room cannot wait for room to say so. */
    w->unsaved |= !ok && w->evicted[0] != '\0';
    if (ok || w->unsaved)
        destroy(a, t, w, n);
    else
        i->retry_at = instant_add(t->now, RETRY);
}

/* The first process is gone. What that means is decided before it is written down. */
static void ended(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                  const struct instance_end *end)
{
    struct instance *i = &w->instances[n];
    probes_end(i);
    hook_forget(i);
    i->is_started = i->is_ready = false;
    i->end = *end;
    if (i->running_since.ns != 0 && instant_sub(t->now, i->running_since).ns >= FORGIVEN_AFTER.ns)
        i->backoff = (struct span){0};
    i->again = w->kind->again(w, n);
    i->kill_at = (struct instant){0};
    i->pid = 0;
    i->cpus_op = 0;
    i->cpus_retry_at = (struct instant){0};
    workload_say(t, w);
    save(a, t, w, n);
}

static void exited(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                   const struct runtime_event *ev)
{
    struct instance *i = &w->instances[n];
    struct instance_end end = {.happened = true,
                               .exit_code = ev->exit_code,
                               .signal = ev->signal,
                               .oom_killed = ev->oom_killed,
                               .started = ev->started.ns != 0 ? ev->started : i->started,
                               .finished = ev->finished.ns != 0 ? ev->finished : t->wall};
    snprintf(end.id, sizeof end.id, "%s", i->id);
    if (i->state == INSTANCE_WAITING && i->found)
        i->found_end = end;            /* The other runtime's list is not in yet. */
    if (i->state == INSTANCE_STARTING) /* Its start was too quick to be answered first. */
        move(t, w, i, INSTANCE_RUNNING);
    if (i->state == INSTANCE_RUNNING || i->state == INSTANCE_PRESTOP ||
        i->state == INSTANCE_STOPPING || i->state == INSTANCE_KILLING)
        ended(a, t, w, n, &end);
}

/* What only this start knows is noted for our own restart. Nobody waits for it. */
void instance_note(struct agent *a, struct agent_turn *t, struct workload *w)
{
    struct agent_effect *fx = agent_do(t, FX_SAVE);
    fx->op = agent_op(a, 0, OP_AGENT);
    fx->uid = str_of(w->uid);
    fx->bytes = report_record(t, w);
}

static void started(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                    const struct runtime_event *ev)
{
    struct instance *i = &w->instances[n];
    i->op = 0;
    i->pid = ev->pid;
    i->cpus = ev->cpus;
    i->started = ev->started.ns != 0 ? ev->started : t->wall;
    i->running_since = t->now;
    i->trouble = NULL;
    move(t, w, i, INSTANCE_RUNNING);
    happened(t, w, i, "Started", "Started");
    (void)hook_post_start(a, t, w, n);
    probes_begin(t, w, n);
    workload_say(t, w);
    instance_note(a, t, w);
}

static void destroyed(struct agent_turn *t, struct workload *w, struct instance *i,
                      const struct runtime_event *ev)
{
    i->op = 0;
    if (ev->code != ERR_OK) {
        trouble(t, w, i, "DestroyFailed", ev->text);
        i->retry_at = instant_add(t->now, RETRY);
        return;
    }
    bool again = i->again && !w->unwanted && !w->ended;
    if (i->end.happened && again) {
        i->last = i->end;
        i->attempt++;
        trouble(t, w, i, i->backoff.ns == 0 ? NULL : "CrashLoopBackOff",
                "waiting before the next restart");
    }
    if (again)
        back_off(t, w, i, i->end.happened);
    else
        move(t, w, i, INSTANCE_ENDED);
}

static void done(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                 const struct runtime_event *ev)
{
    struct instance *i = &w->instances[n];
    switch (i->state) {
    case INSTANCE_CREATING:
    case INSTANCE_STARTING:
        if (ev->code != ERR_OK) {
            trouble(t, w, i,
                    i->state == INSTANCE_CREATING ? "CreateContainerError" : "RunContainerError",
                    ev->text);
            i->again = true;
            destroy(a, t, w, n);
        } else if (i->state == INSTANCE_STARTING) {
            started(a, t, w, n, ev);
        } else if (w->unwanted || w->ended) {
            destroy(a, t, w, n);
        } else {
            happened(t, w, i, "Created", "Created");
            ask(a, t, w, n, FX_START);
            move(t, w, i, INSTANCE_STARTING);
        }
        break;
    case INSTANCE_CLEARING:
        destroyed(t, w, i, ev);
        break;
    case INSTANCE_KILLING:
        i->op = 0;
        if (ev->code != ERR_OK)
            i->retry_at = instant_add(t->now, RETRY);
        break;
    case INSTANCE_STOPPING: /* It was asked. If it could not be, kill_at comes all the same. */
    case INSTANCE_WAITING:
    case INSTANCE_IMAGE:
    case INSTANCE_RUNNING:
    case INSTANCE_PRESTOP:
    case INSTANCE_SAVING:
    case INSTANCE_BACKOFF:
    case INSTANCE_ENDED:
    case INSTANCE__COUNT:
        i->op = 0;
        break;
    }
}

/* Its hook allowed it, or there is none: ask it to end. */
static void ask_to_end(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    struct instant least = instant_add(t->now, STOP_LEAST);
    if (i->state == INSTANCE_PRESTOP && i->kill_at.ns < least.ns)
        i->kill_at = least;
    hook_forget(i);
    ask(a, t, w, n, FX_STOP);
    move(t, w, i, INSTANCE_STOPPING);
}

static void hooked(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    bool failed = i->hook_failed;
    hook_forget(i);
    i->hook_failed = false;
    if (i->state == INSTANCE_PRESTOP)
        ask_to_end(a, t, w, n);
    else if (i->state == INSTANCE_RUNNING && failed)
        instance_stop_because(a, t, w, n, span_seconds(pod_grace_seconds(w)),
                              "the postStart hook failed, will be restarted");
    else if (i->state == INSTANCE_RUNNING && probes_judge(t, w, n))
        instance_note(a, t, w);
}

/* The answer of a probe or a hook? */
static bool handled(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                    const struct handler_answer *answer)
{
    if (answer->op == 0)
        return false;
    if (hook_answered(t, w, n, answer)) {
        hooked(a, t, w, n);
        return true;
    }
    return probes_answered(a, t, w, n, answer);
}

static bool exec_done(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                      const struct runtime_event *ev)
{
    struct str said = str_of(ev->text);
    struct handler_answer answer = {
        .op = ev->op,
        .success = ev->code == ERR_OK && ev->exit_code == 0,
        .is_unasked = ev->code == ERR_BUSY || ev->code == ERR_NOT_FOUND,
        .text =
            said.len > 0
                ? ev->text
                : arena_printf(&t->arena, "the command ended with status %d", ev->exit_code).at};
    return handled(a, t, w, n, &answer);
}

void instance_runtime_event(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                            const struct runtime_event *ev)
{
    struct instance *i = &w->instances[n];
    if (ev->type == RUNTIME_EXITED) {
        if (strcmp(ev->id, i->id) == 0)
            exited(a, t, w, n, ev);
    } else if (exec_done(a, t, w, n, ev)) {
        return;
    } else if (ev->op != 0 && ev->op == i->cpus_op) {
        i->cpus_op = 0;
        if (ev->code == ERR_OK)
            i->helper = i->asked;
        else
            i->cpus_retry_at = instant_add(t->now, RETRY);
    } else if (ev->op != 0 && ev->op == i->op) {
        done(a, t, w, n, ev);
    }
}

static void kill(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    i->kill_at = i->retry_at = (struct instant){0};
    hook_forget(i);
    ask(a, t, w, n, FX_KILL);
    if (i->state != INSTANCE_KILLING)
        move(t, w, i, INSTANCE_KILLING);
}

void instance_stop_because(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                           struct span grace, const char *why)
{
    struct instance *i = &w->instances[n];
    if (why == NULL)
        happened(t, w, i, "Killing", grace.ns <= 0 ? "Killing" : "Stopping");
    else
        workload_happened(t, w, n, "Killing", false, "%s", why);
    probes_end(i);
    hook_forget(i);
    i->kill_at = instant_add(t->now, grace);
    if (grace.ns <= 0)
        kill(a, t, w, n);
    else if (hook_pre_stop(a, t, w, n, grace))
        move(t, w, i, INSTANCE_PRESTOP);
    else
        ask_to_end(a, t, w, n);
}

/* To be called again with less grace; more is not given. */
void instance_stop(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                   struct span grace)
{
    struct instance *i = &w->instances[n];
    struct instant kill_at = instant_add(t->now, grace);
    bool stops = i->state == INSTANCE_PRESTOP || i->state == INSTANCE_STOPPING;
    if (i->state == INSTANCE_WAITING || i->state == INSTANCE_BACKOFF) {
        i->retry_at = (struct instant){0};
        move(t, w, i, INSTANCE_ENDED);
    } else if (i->state == INSTANCE_IMAGE) { /* A registry may take half an hour. */
        agent_do(t, FX_GIVE_UP)->op = i->op;
    } else if (i->state == INSTANCE_RUNNING) {
        instance_stop_because(a, t, w, n, grace, NULL);
    } else if (i->state == INSTANCE_PRESTOP && grace.ns <= 0) {
        kill(a, t, w, n);
    } else if (stops && kill_at.ns < i->kill_at.ns) {
        i->kill_at = kill_at;
    }
}

void instance_tick(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    bool go = w->state == WORKLOAD_RUNNING && !w->unwanted && !w->ended;
    if (i->state == INSTANCE_WAITING && go && w->kind->ready(w, n))
        begin(a, t, w, n);
    else if (i->state == INSTANCE_BACKOFF && go && instant_due(i->retry_at, t->now))
        begin(a, t, w, n);
    else if (i->state == INSTANCE_IMAGE && instant_due(i->retry_at, t->now))
        pulling(t, w, n);
    else if (i->state == INSTANCE_PRESTOP && instant_due(i->kill_at, t->now))
        ask_to_end(a, t, w, n);
    else if (i->state == INSTANCE_STOPPING && instant_due(i->kill_at, t->now))
        kill(a, t, w, n);
    else if (instant_due(i->hook_until, t->now))
        hooked(a, t, w, n);
    else if (i->op == 0 && instant_due(i->retry_at, t->now) && i->state == INSTANCE_KILLING)
        kill(a, t, w, n);
    else if (i->op == 0 && instant_due(i->retry_at, t->now) && i->state == INSTANCE_SAVING)
        save(a, t, w, n);
    else if (i->op == 0 && instant_due(i->retry_at, t->now) && i->state == INSTANCE_CLEARING)
        destroy(a, t, w, n);
    probes_tick(a, t, w, n);
}

/* The runtime has it: remember what it says until every list is in. */
void instance_found(struct agent *a, struct agent_turn *t, enum runtime_kind kind,
                    const struct runtime_event *ev)
{
    struct str rest = str_of(ev->id), uid, name, attempt;
    uint64_t number = 0;
    struct workload *w = NULL;
    if (str_split(&rest, '.', &uid) && str_split(&rest, '.', &name) &&
        str_split(&rest, '.', &attempt) && str_parse_u64(attempt, &number) == ERR_OK)
        w = agent_find_uid(a, uid);
    for (uint32_t n = 0; w != NULL && w->kind->runtime == kind && n < w->instances_count; n++) {
        struct instance *i = &w->instances[n];
        bool other = i->found && !str_is(str_of(ev->id), i->id); /* The same: listed once more. */
        if (!str_eq(str_of(i->name), name) || i->state != INSTANCE_WAITING || number < i->attempt ||
            other || i->end.happened)
            continue;
        i->found = true;
        i->found_ended = ev->state == RUNTIME_CREATED;
        i->attempt = (uint32_t)number;
        i->pid = ev->pid;
        i->cpus = ev->cpus;
        i->started = ev->started;
        snprintf(i->id, sizeof i->id, "%s", ev->id);
        return;
    }
    /* Nobody's: a record that never became durable, or an attempt that was given up. */
    struct agent_effect *fx = agent_do(t, FX_DESTROY);
    fx->op = agent_op(a, 0, OP_AGENT);
    fx->kind = kind;
    fx->id = arena_str(&t->arena, str_of(ev->id));
}

void instance_catchup(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n)
{
    struct instance *i = &w->instances[n];
    if (i->state != INSTANCE_WAITING)
        return;
    if (i->found && i->found_ended) {
        i->again = true;
        destroy(a, t, w, n);
    } else if (i->found) {
        i->helper = a->config.cpus; /* Anywhere, until its runtime has moved it. */
        i->running_since = t->now;
        move(t, w, i, INSTANCE_RUNNING);
        probes_begin(t, w, n);
        if (i->found_end.happened)
            ended(a, t, w, n, &i->found_end);
    } else if (i->end.happened) {
        move(t, w, i, INSTANCE_ENDED);
    }
}

struct instant instance_deadline(const struct workload *w, const struct instance *i)
{
    struct instant at = instant_earlier(i->kill_at, i->hook_until);
    if (w->state == WORKLOAD_RUNNING)
        at = instant_earlier(at, probes_deadline(i));
    bool waits = i->state == INSTANCE_BACKOFF && w->state != WORKLOAD_RUNNING;
    if (!waits)
        at = instant_earlier(at, i->retry_at);
    if (i->cpus_op == 0)
        at = instant_earlier(at, i->cpus_retry_at);
    return at;
}
