/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of `kubectl get pods`: how Kubernetes sums a pod up in one word (reference: 3). Read from the stored
 * bytes: a list of 10,000 pods as a Table would spend nine tenths of its time making structs to look at a few fields.
 */
#include "api/pod.h"
#include "api/table.h"
#include "api/transcode_priv.h"

/* Numbers of Pod and what is below it; Kubernetes'. */
enum { POD_METADATA = 1, POD_SPEC = 2, POD_STATUS = 3, META_DELETED = 9 };
enum { SPEC_CONTAINERS = 2, SPEC_NODE = 10, SPEC_INIT_CONTAINERS = 20, SPEC_GATES = 28 };
enum { CONTAINER_NAME = 1, CONTAINER_RESTART = 24, GATE_TYPE = 1, POD_IP_TEXT = 1 };
enum {
    STATUS_PHASE = 1,
    STATUS_CONDITIONS,
    STATUS_MESSAGE,
    STATUS_REASON,
    STATUS_HOST_IP,
    STATUS_IP
};
enum { STATUS_CONTAINERS = 8, STATUS_INIT_CONTAINERS = 10, STATUS_NOMINATED = 11, STATUS_IPS = 12 };
enum { CONDITION_TYPE = 1, CONDITION_STATUS = 2, CONDITION_REASON = 5 };
enum {
    OF_NAME = 1,
    OF_STATE = 2,
    OF_LAST_STATE = 3,
    OF_READY = 4,
    OF_RESTARTS = 5,
    OF_STARTED = 9
};
enum { STATE_WAITING = 1, STATE_RUNNING = 2, STATE_TERMINATED = 3, WAITING_REASON = 1 };
enum { ENDED_CODE = 1, ENDED_SIGNAL = 2, ENDED_REASON = 3, ENDED_AT = 6 };

struct pod {
    struct str metadata, spec, status;
};

/* "1/2". Not by printf: a list has one of these in each row. */
static struct str share(struct arena *a, uint32_t part, uint32_t whole)
{
    char text[24];
    struct buf out = {.at = text, .size = sizeof text, .limit = sizeof text};
    buf_add_u64(&out, part);
    buf_add_char(&out, '/');
    buf_add_u64(&out, whole);
    return arena_str(a, buf_str(&out));
}

static uint32_t count_of(struct str message, uint32_t number)
{
    struct wire_reader r = wire_read(message);
    struct str element;
    uint32_t count = 0;
    while (wire_next_bytes(&r, number, &element))
        count++;
    return count;
}

/* One of a container's states, {NULL, 0}: it is not in that one. */
static struct str state_of(struct str container, uint32_t state)
{
    return wire_find_bytes(wire_find_bytes(container, OF_STATE), state);
}

static bool is_always(struct str container)
{
    return str_is(wire_find_bytes(container, CONTAINER_RESTART), "Always");
}

static bool is_sidecar(const struct pod *pod, struct str name)
{
    struct wire_reader r = wire_read(pod->spec);
    struct str container;
    while (wire_next_bytes(&r, SPEC_INIT_CONTAINERS, &container))
        if (str_eq(wire_find_bytes(container, CONTAINER_NAME), name))
            return is_always(container);
    return false;
}

/* The condition of that type, {NULL, 0}: there is none. */
static struct str condition(const struct pod *pod, struct str type)
{
    struct wire_reader r = wire_read(pod->status);
    struct str found;
    while (wire_next_bytes(&r, STATUS_CONDITIONS, &found))
        if (str_eq(wire_find_bytes(found, CONDITION_TYPE), type))
            return found;
    return (struct str){NULL, 0};
}

static bool condition_is_true(const struct pod *pod, struct str type)
{
    return str_is(wire_find_bytes(condition(pod, type), CONDITION_STATUS), "True");
}

/* ------------------------------------------------------------------ STATUS */

static struct str ended(struct str t, const char *prefix, struct arena *a)
{
    struct str reason = wire_find_bytes(t, ENDED_REASON);
    int32_t signal = (int32_t)wire_find_u64(t, ENDED_SIGNAL);
    if (reason.len > 0)
        return arena_printf(a, "%s" STR_FMT, prefix, STR_ARG(reason));
    if (signal != 0)
        return arena_printf(a, "%sSignal:%d", prefix, signal);
    return arena_printf(a, "%sExitCode:%d", prefix, (int32_t)wire_find_u64(t, ENDED_CODE));
}

/* What an init container that is not done says; {NULL, 0}: it is done. */
static struct str init_one(const struct pod *pod, struct str s, uint32_t index, struct arena *a)
{
    struct str over = state_of(s, STATE_TERMINATED), waiting = state_of(s, STATE_WAITING);
    struct str reason = wire_find_bytes(waiting, WAITING_REASON);
    if (over.at != NULL && wire_find_u64(over, ENDED_CODE) == 0)
        return (struct str){NULL, 0};
    if (is_sidecar(pod, wire_find_bytes(s, OF_NAME)) && wire_find_u64(s, OF_STARTED) != 0)
        return (struct str){NULL, 0};
    if (over.at != NULL)
        return ended(over, "Init:", a);
    if (reason.len > 0 && !str_is(reason, "PodInitializing"))
        return arena_printf(a, "Init:" STR_FMT, STR_ARG(reason));
    return arena_printf(a, "Init:%u/%u", index, count_of(pod->spec, SPEC_INIT_CONTAINERS));
}

/* The first init container that is not done decides; {NULL, 0}: all are. */
static struct str init_status(const struct pod *pod, struct arena *a)
{
    struct wire_reader r = wire_read(pod->status);
    struct str s, word = {NULL, 0};
    for (uint32_t i = 0; word.at == NULL && wire_next_bytes(&r, STATUS_INIT_CONTAINERS, &s); i++)
        word = init_one(pod, s, i, a);
    return word;
}

/* The first container that waits or has ended decides. */
static struct str container_status(const struct pod *pod, struct str so_far, struct arena *a)
{
    bool has_running = false, decided = false;
    struct wire_reader r = wire_read(pod->status);
    struct str s, reason = so_far;
    while (wire_next_bytes(&r, STATUS_CONTAINERS, &s)) {
        struct str over = state_of(s, STATE_TERMINATED);
        struct str waiting = wire_find_bytes(state_of(s, STATE_WAITING), WAITING_REASON);
        bool decides = waiting.len > 0 || over.at != NULL;
        has_running = has_running || (!decides && wire_find_u64(s, OF_READY) != 0 &&
                                      state_of(s, STATE_RUNNING).at != NULL);
        if (decides && !decided)
            reason = waiting.len > 0 ? waiting : ended(over, "", a);
        decided = decided || decides;
    }
    if (str_is(reason, "Completed") && has_running)
        return condition_is_true(pod, STR("Ready")) ? STR("Running") : STR("NotReady");
    return reason;
}

static struct str pod_word(const struct pod *pod, struct arena *a)
{
    struct str phase = wire_find_bytes(pod->status, STATUS_PHASE);
    struct str why = wire_find_bytes(pod->status, STATUS_REASON);
    struct str scheduled = condition(pod, STR("PodScheduled"));
    struct str reason = why.len == 0 ? phase : why;
    if (str_is(wire_find_bytes(scheduled, CONDITION_REASON), "SchedulingGated"))
        reason = STR("SchedulingGated");
    struct str init = init_status(pod, a);
    reason = init.at != NULL ? init : container_status(pod, reason, a);
    bool is_over = str_is(phase, "Succeeded") || str_is(phase, "Failed");
    if (wire_find_bytes(pod->metadata, META_DELETED).at == NULL)
        return reason;
    if (str_is(why, "NodeLost"))
        return STR("Unknown");
    return is_over ? reason : STR("Terminating");
}

/* ------------------------------------------------------------------ READY, RESTARTS */

static struct str ready_cell(const struct pod *pod, struct arena *a)
{
    uint32_t ready = 0, total = 0;
    struct wire_reader spec = wire_read(pod->spec), status = wire_read(pod->status);
    struct wire_field f;
    while (wire_next(&spec, &f))
        total +=
            f.number == SPEC_CONTAINERS || (f.number == SPEC_INIT_CONTAINERS && is_always(f.bytes));
    while (wire_next(&status, &f)) {
        if (f.number != STATUS_CONTAINERS && f.number != STATUS_INIT_CONTAINERS)
            continue;
        bool counts = f.number == STATUS_CONTAINERS
                          ? state_of(f.bytes, STATE_RUNNING).at != NULL
                          : is_sidecar(pod, wire_find_bytes(f.bytes, OF_NAME));
        ready += counts && wire_find_u64(f.bytes, OF_READY) != 0;
    }
    return share(a, ready, total);
}

static struct str restarts_cell(const struct pod *pod, struct wall now, struct arena *a)
{
    int64_t count = 0, last = 0;
    struct wire_reader r = wire_read(pod->status);
    struct str s;
    while (wire_next_bytes(&r, STATUS_CONTAINERS, &s)) {
        struct str over = wire_find_bytes(wire_find_bytes(s, OF_LAST_STATE), STATE_TERMINATED);
        int64_t at = (int64_t)wire_find_u64(wire_find_bytes(over, ENDED_AT), TIME_SECONDS);
        count += (int32_t)wire_find_u64(s, OF_RESTARTS);
        last = at > last ? at : last;
    }
    if (count == 0)
        return STR("0");
    if (last == 0)
        return arena_printf(a, "%lld", (long long)count);
    struct str age = table_age(last, now, a);
    return arena_printf(a, "%lld (" STR_FMT " ago)", (long long)count, STR_ARG(age));
}

static struct str gates_cell(const struct pod *pod, struct arena *a)
{
    uint32_t passed = 0, total = 0;
    struct wire_reader r = wire_read(pod->spec);
    struct str gate;
    for (; wire_next_bytes(&r, SPEC_GATES, &gate); total++)
        passed += condition_is_true(pod, wire_find_bytes(gate, GATE_TYPE));
    return total == 0 ? STR("<none>") : share(a, passed, total);
}

static struct str ip_cell(const struct pod *pod)
{
    struct str first = wire_find_bytes(pod->status, STATUS_IPS);
    return first.at != NULL ? wire_find_bytes(first, POD_IP_TEXT)
                            : wire_find_bytes(pod->status, STATUS_IP);
}

static struct str or_none(struct str text)
{
    return text.len == 0 ? STR("<none>") : text;
}

struct kind_cell pod_cell(struct str raw, struct str column, struct wall now, struct arena *a)
{
    struct pod pod = {wire_find_bytes(raw, POD_METADATA), wire_find_bytes(raw, POD_SPEC),
                      wire_find_bytes(raw, POD_STATUS)};
    struct str text = STR("");
    if (str_is(column, "Ready"))
        text = ready_cell(&pod, a);
    else if (str_is(column, "Status"))
        text = pod_word(&pod, a);
    else if (str_is(column, "Restarts"))
        text = restarts_cell(&pod, now, a);
    else if (str_is(column, "IP"))
        text = or_none(ip_cell(&pod));
    else if (str_is(column, "Node"))
        text = or_none(wire_find_bytes(pod.spec, SPEC_NODE));
    else if (str_is(column, "Nominated Node"))
        text = or_none(wire_find_bytes(pod.status, STATUS_NOMINATED));
    else if (str_is(column, "Readiness Gates"))
        text = gates_cell(&pod, a);
    return (struct kind_cell){.text = text};
}
