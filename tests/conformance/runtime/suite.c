/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/runtime/suite.h"
#include "tests/testlib/test.h"
#include <sys/resource.h>

enum { PATIENCE_MS = 10000, STEP_MS = 20 };

void rig_post(void *state, const struct runtime_event *ev)
{
    struct rig *r = state;
    cr_assert_not(r->inside, "posted from inside the call");
    cr_assert_lt(r->events_count, RIG_EVENTS_MAX);
    r->events[r->events_count++] = *ev;
}

const struct runtime_event *rig_wait(const struct rig_kind *k, struct rig *r,
                                     enum runtime_event_type type, uint64_t op)
{
    for (uint32_t waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
        for (uint32_t i = 0; i < r->events_count; i++)
            if (r->events[i].type == type && (type != RUNTIME_DONE || r->events[i].op == op))
                return &r->events[i];
        k->pass(r, STEP_MS);
    }
    cr_assert(false, "event %d of op %lu never came", (int)type, (unsigned long)op);
    return NULL;
}

uint32_t rig_count(const struct rig *r, enum runtime_event_type type, const char *id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->events_count; i++)
        count += r->events[i].type == type && strcmp(r->events[i].id, id) == 0;
    return count;
}

static uint32_t answers(const struct rig *r, uint64_t op)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->events_count; i++)
        count += r->events[i].type == RUNTIME_DONE && r->events[i].op == op;
    return count;
}

uint64_t rig_create(struct rig *r, const struct runtime_spec *spec)
{
    r->inside = true;
    r->runtime->ops->create(r->runtime, ++r->last_op, spec);
    r->inside = false;
    return r->last_op;
}

uint64_t rig_call(struct rig *r, void (*verb)(struct runtime *, uint64_t, struct str),
                  const char *id)
{
    r->inside = true;
    verb(r->runtime, ++r->last_op, str_of(id));
    r->inside = false;
    return r->last_op;
}

void rig_ok(const struct rig_kind *k, struct rig *r, uint64_t op)
{
    const struct runtime_event *ev = rig_wait(k, r, RUNTIME_DONE, op);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
}

void rig_close(const struct rig_kind *k, struct rig *r)
{
    r->runtime->ops->close(r->runtime, ++r->last_op);
    rig_wait(k, r, RUNTIME_DONE, r->last_op);
    for (uint64_t op = 1; op <= r->last_op; op++)
        cr_assert_leq(answers(r, op), 1, "op %lu was answered twice", (unsigned long)op);
    k->close(r);
}

static bool open_rig(const struct rig_kind *k, struct rig *r)
{
    *r = (struct rig){0};
    return k->open(r);
}

static const struct runtime_event *start_one(const struct rig_kind *k, struct rig *r,
                                             const char *id, enum rig_deed deed)
{
    struct runtime_spec spec;
    k->fill(r, &spec, id, deed);
    rig_ok(k, r, rig_create(r, &spec));
    uint64_t op = rig_call(r, r->runtime->ops->start, id);
    rig_ok(k, r, op);
    return rig_wait(k, r, RUNTIME_DONE, op);
}

static void destroy_one(const struct rig_kind *k, struct rig *r, const char *id)
{
    rig_ok(k, r, rig_call(r, r->runtime->ops->destroy, id));
}

void conform_lives_and_dies(const struct rig_kind *k)
{
    struct rig r;
    if (!open_rig(k, &r))
        return;
    const struct runtime_event *started = start_one(k, &r, "u1.main.0", RIG_RUNS);
    cr_assert_gt(started->pid, 0);
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u1.main.0"), 0);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->kill, "u1.main.0"));
    const struct runtime_event *end = rig_wait(k, &r, RUNTIME_EXITED, 0);
    cr_assert_str_eq(end->id, "u1.main.0");
    cr_assert_eq(end->signal, 9);
    destroy_one(k, &r, "u1.main.0");
    destroy_one(k, &r, "u1.main.0"); /* Level-triggered. */
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u1.main.0"), 1);
    rig_close(k, &r);
}

void conform_tells_the_exit_code_once(const struct rig_kind *k)
{
    struct rig r;
    if (!open_rig(k, &r))
        return;
    start_one(k, &r, "u2.main.0", RIG_EXITS_3);
    const struct runtime_event *end = rig_wait(k, &r, RUNTIME_EXITED, 0);
    cr_assert_eq(end->exit_code, k->machine ? 0 : 3);
    cr_assert_eq(end->signal, 0);
    cr_assert_not(end->oom_killed);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->kill, "u2.main.0")); /* Nobody there: it is so. */
    destroy_one(k, &r, "u2.main.0");
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u2.main.0"), 1);
    rig_close(k, &r);
}

void conform_stop_asks(const struct rig_kind *k)
{
    struct rig r;
    if (!open_rig(k, &r))
        return;
    start_one(k, &r, "u3.main.0", RIG_RUNS);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->stop, "u3.main.0"));
    rig_wait(k, &r, RUNTIME_EXITED, 0);
    destroy_one(k, &r, "u3.main.0");
    rig_close(k, &r);
}

void conform_refuses_by_name(const struct rig_kind *k)
{
    struct rig r;
    struct runtime_spec spec;
    if (!open_rig(k, &r))
        return;
    uint64_t op = rig_call(&r, r.runtime->ops->start, "nobody.main.0");
    cr_assert_neq(rig_wait(k, &r, RUNTIME_DONE, op)->code, ERR_OK);
    destroy_one(k, &r, "nobody.main.0");

    k->fill(&r, &spec, "u4.main.0", RIG_RUNS);
    rig_ok(k, &r, rig_create(&r, &spec));
    op = rig_create(&r, &spec);
    cr_assert_eq(rig_wait(k, &r, RUNTIME_DONE, op)->code, ERR_CONFLICT);
    destroy_one(k, &r, "u4.main.0"); /* Created, never started: no exit. */
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u4.main.0"), 0);
    rig_close(k, &r);
}

void conform_destroys_what_runs(const struct rig_kind *k)
{
    struct rig r;
    if (!open_rig(k, &r))
        return;
    start_one(k, &r, "u5.main.0", RIG_RUNS);
    destroy_one(k, &r, "u5.main.0");
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u5.main.0"), 1);
    rig_close(k, &r);
}

void conform_is_found_again(const struct rig_kind *k)
{
    struct rig r;
    if (!open_rig(k, &r))
        return;
    int32_t pid = start_one(k, &r, "u6.main.0", RIG_RUNS)->pid;
    k->reopen(&r);
    r.events_count = 0;
    r.runtime->ops->list(r.runtime, ++r.last_op);
    rig_ok(k, &r, r.last_op);
    const struct runtime_event *found = rig_wait(k, &r, RUNTIME_FOUND, r.last_op);
    cr_assert_str_eq(found->id, "u6.main.0");
    cr_assert_eq(found->state, RUNTIME_RUNNING);
    cr_assert_eq(found->pid, pid);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->kill, "u6.main.0"));
    rig_wait(k, &r, RUNTIME_EXITED, 0);
    destroy_one(k, &r, "u6.main.0");
    rig_close(k, &r);
}

/* An agent that is short of descriptors does not know who is there, and must not say that nobody is. */
void conform_a_list_that_fails_ends_nobody(const struct rig_kind *k)
{
    struct rlimit usual, none;
    struct rig r;
    if (!open_rig(k, &r))
        return;
    int32_t pid = start_one(k, &r, "ua.main.0", RIG_RUNS)->pid;
    k->reopen(&r);
    r.events_count = 0;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 3; /* All of them are in use. */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    r.runtime->ops->list(r.runtime, ++r.last_op);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    cr_assert_neq(rig_wait(k, &r, RUNTIME_DONE, r.last_op)->code, ERR_OK);
    cr_assert_eq(rig_count(&r, RUNTIME_FOUND, "ua.main.0"), 0);

    r.runtime->ops->list(r.runtime, ++r.last_op);
    rig_ok(k, &r, r.last_op);
    const struct runtime_event *found = rig_wait(k, &r, RUNTIME_FOUND, r.last_op);
    cr_assert(found->state == RUNTIME_RUNNING && found->pid == pid);
    destroy_one(k, &r, "ua.main.0");
    rig_close(k, &r);
}

/* Where in the order of what was told; events_count: not yet. */
static uint32_t place_of(const struct rig *r, enum runtime_event_type type, uint64_t op)
{
    uint32_t i = 0;
    while (i < r->events_count && (r->events[i].type != type || r->events[i].op != op))
        i++;
    return i;
}

void conform_died_while_nobody_looked(const struct rig_kind *k)
{
    struct rig r;
    if (!open_rig(k, &r))
        return;
    start_one(k, &r, "u7.main.0", RIG_EXITS_SOON);
    k->reopen(&r);
    r.events_count = 0;
    for (int i = 0; i < (k->machine ? 150 : 30); i++) /* A guest's end takes its time under load. */
        k->pass(&r, STEP_MS);
    r.runtime->ops->list(r.runtime, ++r.last_op);
    rig_ok(k, &r, r.last_op);
    cr_assert_eq(rig_wait(k, &r, RUNTIME_FOUND, r.last_op)->state, RUNTIME_STOPPED);
    cr_assert_eq(rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code, k->machine ? 0 : 5);
    cr_assert_lt(place_of(&r, RUNTIME_DONE, r.last_op), place_of(&r, RUNTIME_EXITED, 0),
                 "an exit before the list's end finds nobody who knows the instance");
    destroy_one(k, &r, "u7.main.0");
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u7.main.0"), 1);
    rig_close(k, &r);
}

static const struct runtime_event *exec(const struct rig_kind *k, struct rig *r, const char *id,
                                        const struct str words[4], struct span timeout)
{
    struct runtime_exec x = {.args = words, .timeout = timeout};
    while (x.args_count < 4 && words[x.args_count].len > 0)
        x.args_count++;
    r->inside = true;
    r->runtime->ops->exec(r->runtime, ++r->last_op, str_of(id), &x);
    r->inside = false;
    return rig_wait(k, r, RUNTIME_DONE, r->last_op);
}

void conform_runs_commands(const struct rig_kind *k)
{
    const struct span second = SPAN_S(5);
    struct rig r;
    if (!open_rig(k, &r))
        return;
    if (k->machine) {
        const struct str words[4] = {STR("true")};
        start_one(k, &r, "u9.main.0", RIG_RUNS);
        cr_assert_eq(exec(k, &r, "u9.main.0", words, second)->code, ERR_DENIED);
        destroy_one(k, &r, "u9.main.0");
        rig_close(k, &r);
        return;
    }
    cr_assert_eq(exec(k, &r, "u9.main.0", k->good, second)->code, ERR_NOT_FOUND);
    start_one(k, &r, "u9.main.0", RIG_RUNS);
    const struct runtime_event *ev = exec(k, &r, "u9.main.0", k->good, second);
    cr_assert(ev->code == ERR_OK && ev->exit_code == 0, "%d %s", ev->exit_code, ev->text);
    ev = exec(k, &r, "u9.main.0", k->bad, second);
    cr_assert(ev->code == ERR_OK && ev->exit_code == 1 && strcmp(ev->text, "it said no") == 0,
              "%d %s", ev->exit_code, ev->text);
    ev = exec(k, &r, "u9.main.0", k->endless, SPAN_MS(300));
    cr_assert(ev->code == ERR_UNAVAILABLE && strcmp(ev->text, "command timed out") == 0, "%d %s",
              ev->code, ev->text);
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "u9.main.0"), 0); /* The instance does not notice. */
    destroy_one(k, &r, "u9.main.0");
    rig_close(k, &r);
}

void conform_reads_cpus_back(const struct rig_kind *k)
{
    struct rig r;
    struct runtime_spec spec;
    if (!open_rig(k, &r))
        return;
    k->fill(&r, &spec, "u8.main.0", RIG_RUNS);
    rig_ok(k, &r, rig_create(&r, &spec));
    uint64_t op = rig_call(&r, r.runtime->ops->start, "u8.main.0");
    rig_ok(k, &r, op);
    struct cpuset cpus = rig_wait(k, &r, RUNTIME_DONE, op)->cpus;
    cr_assert_arr_eq(cpus.bits, spec.cpu.cpus.bits, sizeof cpus.bits);

    r.runtime->ops->set_cpus(r.runtime, ++r.last_op, STR("u8.main.0"), &spec.cpu);
    rig_ok(k, &r, r.last_op);
    cpus = rig_wait(k, &r, RUNTIME_DONE, r.last_op)->cpus;
    cr_assert_arr_eq(cpus.bits, spec.cpu.cpus.bits, sizeof cpus.bits);
    destroy_one(k, &r, "u8.main.0");
    rig_close(k, &r);
}
