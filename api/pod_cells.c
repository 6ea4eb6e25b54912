/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of `kubectl get pods`: how Kubernetes sums a pod up in one word (reference: 3). Read from the stored
 * bytes: a list of 10,000 pods as a Table would spend nine tenths of its time making structs to look at a few fields.
 * And read once: a spec and a status are long, and each cell wants a field or two.
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

/*
 * What the cells look at, noted in one pass over the bytes. Of a list it is where the first element stands: canonical
 * bytes have the others behind it.
 */
struct pod {
    struct str deleted, node, phase, reason, nominated, ip, first_ip;
    struct wire_reader init_containers, gates, conditions, statuses, init_statuses;
    uint32_t containers_count, init_containers_count, gates_count;
};

static void note_first(struct str *at, struct str value)
{
    if (at->at == NULL)
        *at = value;
}

/* here: in front of one element. */
static void note_list(struct wire_reader *at, const struct wire_reader *here)
{
    if (at->at == at->end)
        *at = *here;
}

static void note_spec(struct pod *pod, struct str spec)
{
    struct wire_reader r = wire_read(spec), here = r;
    struct wire_field f;
    for (; wire_next(&r, &f); here = r) {
        if (f.number == SPEC_CONTAINERS) {
            pod->containers_count++;
        } else if (f.number == SPEC_NODE) {
            note_first(&pod->node, f.bytes);
        } else if (f.number == SPEC_INIT_CONTAINERS) {
            note_list(&pod->init_containers, &here);
            pod->init_containers_count++;
        } else if (f.number == SPEC_GATES) {
            note_list(&pod->gates, &here);
            pod->gates_count++;
        }
    }
}

static void note_status(struct pod *pod, struct str status)
{
    struct wire_reader r = wire_read(status), here = r;
    struct wire_field f;
    for (; wire_next(&r, &f); here = r) {
        switch (f.number) {
        case STATUS_PHASE:
            note_first(&pod->phase, f.bytes);
            break;
        case STATUS_CONDITIONS:
            note_list(&pod->conditions, &here);
            break;
        case STATUS_REASON:
            note_first(&pod->reason, f.bytes);
            break;
        case STATUS_IP:
            note_first(&pod->ip, f.bytes);
            break;
        case STATUS_CONTAINERS:
            note_list(&pod->statuses, &here);
            break;
        case STATUS_INIT_CONTAINERS:
            note_list(&pod->init_statuses, &here);
            break;
        case STATUS_NOMINATED:
            note_first(&pod->nominated, f.bytes);
            break;
        case STATUS_IPS:
            note_first(&pod->first_ip, f.bytes);
            break;
        }
    }
}

void *pod_notes(struct str raw, struct arena *a)
{
    struct pod *pod = arena_zalloc(a, 1, sizeof *pod);
    struct wire_reader r = wire_read(raw);
    struct wire_field f;
    while (pod != NULL && wire_next(&r, &f)) {
        if (f.number == POD_METADATA)
            note_first(&pod->deleted, wire_find_bytes(f.bytes, META_DELETED));
        else if (f.number == POD_SPEC)
            note_spec(pod, f.bytes);
        else if (f.number == POD_STATUS)
            note_status(pod, f.bytes);
    }
    return pod;
}

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
    struct wire_reader r = pod->init_containers;
    struct str container;
    while (wire_next_bytes(&r, SPEC_INIT_CONTAINERS, &container))
        if (str_eq(wire_find_bytes(container, CONTAINER_NAME), name))
            return is_always(container);
    return false;
}

/* The condition of that type, {NULL, 0}: there is none. */
static struct str condition(const struct pod *pod, struct str type)
{
    struct wire_reader r = pod->conditions;
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
    return arena_printf(a, "Init:%u/%u", index, pod->init_containers_count);
}

/* The first init container that is not done decides; {NULL, 0}: all are. */
static struct str init_status(const struct pod *pod, struct arena *a)
{
    struct wire_reader r = pod->init_statuses;
    struct str s, word = {NULL, 0};
    for (uint32_t i = 0; word.at == NULL && wire_next_bytes(&r, STATUS_INIT_CONTAINERS, &s); i++)
        word = init_one(pod, s, i, a);
    return word;
}

/* The first container that waits or has ended decides. */
static struct str container_status(const struct pod *pod, struct str so_far, struct arena *a)
{
    bool has_running = false, decided = false;
    struct wire_reader r = pod->statuses;
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
    struct str scheduled = condition(pod, STR("PodScheduled"));
    struct str reason = pod->reason.len == 0 ? pod->phase : pod->reason;
    if (str_is(wire_find_bytes(scheduled, CONDITION_REASON), "SchedulingGated"))
        reason = STR("SchedulingGated");
    struct str init = init_status(pod, a);
    reason = init.at != NULL ? init : container_status(pod, reason, a);
    bool is_over = str_is(pod->phase, "Succeeded") || str_is(pod->phase, "Failed");
    if (pod->deleted.at == NULL)
        return reason;
    if (str_is(pod->reason, "NodeLost"))
        return STR("Unknown");
    return is_over ? reason : STR("Terminating");
}

/* ------------------------------------------------------------------ READY, RESTARTS */

static struct str ready_cell(const struct pod *pod, struct arena *a)
{
    uint32_t ready = 0, total = pod->containers_count;
    struct wire_reader inits = pod->init_containers, statuses = pod->statuses,
                       init_statuses = pod->init_statuses;
    struct str s;
    while (wire_next_bytes(&inits, SPEC_INIT_CONTAINERS, &s))
        total += is_always(s);
    while (wire_next_bytes(&statuses, STATUS_CONTAINERS, &s))
        ready += wire_find_u64(s, OF_READY) != 0 && state_of(s, STATE_RUNNING).at != NULL;
    while (wire_next_bytes(&init_statuses, STATUS_INIT_CONTAINERS, &s))
        ready += wire_find_u64(s, OF_READY) != 0 && is_sidecar(pod, wire_find_bytes(s, OF_NAME));
    return share(a, ready, total);
}

static struct str restarts_cell(const struct pod *pod, struct arena *a)
{
    int64_t count = 0, last = 0;
    struct wire_reader r = pod->statuses;
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
    struct str age = table_age(last, a);
    return arena_printf(a, "%lld (" STR_FMT " ago)", (long long)count, STR_ARG(age));
}

static struct str gates_cell(const struct pod *pod, struct arena *a)
{
    uint32_t passed = 0;
    struct wire_reader r = pod->gates;
    struct str gate;
    while (wire_next_bytes(&r, SPEC_GATES, &gate))
        passed += condition_is_true(pod, wire_find_bytes(gate, GATE_TYPE));
    return pod->gates_count == 0 ? STR("<none>") : share(a, passed, pod->gates_count);
}

static struct str ip_cell(const struct pod *pod)
{
    return pod->first_ip.at != NULL ? wire_find_bytes(pod->first_ip, POD_IP_TEXT) : pod->ip;
}

static struct str or_none(struct str text)
{
    return text.len == 0 ? STR("<none>") : text;
}

struct kind_cell pod_cell(const void *notes, struct str column, struct arena *a)
{
    const struct pod *pod = notes;
    struct str text = STR("");
    if (str_is(column, "Ready"))
        text = ready_cell(pod, a);
    else if (str_is(column, "Status"))
        text = pod_word(pod, a);
    else if (str_is(column, "Restarts"))
        text = restarts_cell(pod, a);
    else if (str_is(column, "IP"))
        text = or_none(ip_cell(pod));
    else if (str_is(column, "Node"))
        text = or_none(pod->node);
    else if (str_is(column, "Nominated Node"))
        text = or_none(pod->nominated);
    else if (str_is(column, "Readiness Gates"))
        text = gates_cell(pod, a);
    return (struct kind_cell){.text = text};
}
