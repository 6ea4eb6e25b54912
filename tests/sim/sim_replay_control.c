/* SPDX-License-Identifier: Apache-2.0 */
/* A control plane's recording: turn by turn. */
#include "controlplane/core/recording.h"
#include "tests/sim/replay_control.h"

#include <stdio.h>

enum { ARENA_MAX = 64 << 20 };

static const char *const effect_names[FX_POISONED + 1] = {
    [FX_REPLY] = "REPLY",           [FX_LOAD] = "LOAD",
    [FX_COMMIT] = "COMMIT",         [FX_COMPACT] = "COMPACT",
    [FX_DEPOSED] = "DEPOSED",       [FX_PUBLISHED] = "PUBLISHED",
    [FX_AGENT_SEND] = "AGENT_SEND", [FX_AGENT_CLOSE] = "AGENT_CLOSE",
    [FX_POISONED] = "POISONED",
};

static const char *const verb_names[] = {"CREATE", "REPLACE", "DELETE"};

static const char *const result_names[] = {
#define X(name) #name,
    WRITE_RESULTS(X)
#undef X
};

struct replaying {
    struct core_config config;
    struct core *core;
    struct resumed *resumed; /* NULL: it is the life that was, or only shown. */
    struct str rows;         /* A rows file's frames from the next one on; empty: none. */
    struct str all_rows;
    uint64_t load_op;
    struct instant now;
    struct wall wall;
    struct core_effects effects; /* Of the last turn. */
    struct replay_sum *sum;
    uint64_t sequence;
    struct instant begun;
    bool stepping; /* Every event so far is there. */
    bool open;     /* The last turn's effects were not compared. */
};

/* ---- showing ---- */

static void show_head(struct replaying *r, const Flight__Turn *t)
{
    struct instant now = {t->now_ns};
    if (r->begun.ns == 0)
        r->begun = now;
    printf("[%10.6fs] %6llu %s", (double)instant_sub(now, r->begun).ns / 1e9,
           (unsigned long long)t->sequence, recording_event_names[t->type]);
}

static void show_event(const struct core_event *ev)
{
    const struct store_event *s;
    switch (ev->type) {
    case EV_WRITE:
        printf(" %s " STR_FMT " op %llu, %zu bytes%s", verb_names[ev->write->verb],
               STR_ARG(ev->write->key), (unsigned long long)ev->op,
               ev->write->object == NULL ? 0 : blob_str(ev->write->object).len,
               ev->write->dry_run ? ", dry run" : "");
        break;
    case EV_STORE_ROW:
    case EV_STORE_DONE:
        s = ev->store;
        printf(" op %llu revision %llu", (unsigned long long)s->op,
               (unsigned long long)s->revision);
        if (s->key != NULL)
            printf(" " STR_FMT, STR_ARG(blob_str(s->key)));
        if (s->code != ERR_OK)
            printf(" (%s: %s)", err_name(s->code), s->err.text);
        break;
    case EV_AGENT_OPENED:
    case EV_AGENT_MESSAGE:
    case EV_AGENT_CLOSED:
        printf(" " STR_FMT " session %llx, %zu bytes", STR_ARG(ev->agent.node),
               (unsigned long long)ev->agent.session, ev->agent.bytes.len);
        break;
    case EV_STARTED:
    case EV_DEADLINE:
        break;
    }
    printf("\n");
}

static void show_effect(const struct core_effect *fx)
{
    printf("                        -> %s", effect_names[fx->type]);
    if (fx->type == FX_REPLY)
        printf(" op %llu %s%s%s", (unsigned long long)fx->op, result_names[fx->result],
               fx->text == NULL ? "" : ": ", fx->text == NULL ? "" : fx->text);
    else if (fx->type == FX_AGENT_SEND || fx->type == FX_AGENT_CLOSE)
        printf(" session %llx, %zu bytes%s%s", (unsigned long long)fx->session, fx->bytes.len,
               fx->text == NULL ? "" : ": ", fx->text == NULL ? "" : fx->text);
    else if (fx->type != FX_COMMIT)
        printf(" revision %llu", (unsigned long long)fx->revision);
    printf("\n");
    for (uint32_t i = 0; i < fx->writes_count; i++)
        printf("                             %llu " STR_FMT "%s\n",
               (unsigned long long)fx->writes[i].revision, STR_ARG(blob_str(fx->writes[i].key)),
               fx->writes[i].value == NULL ? " deleted" : "");
}

/* ---- stepping ---- */

static bool begin(struct replaying *r, const Flight__Frame *frame)
{
    if (frame->frame_case != FLIGHT__FRAME__FRAME_CONTROL)
        return false;
    recording_config_of(frame->control, &r->config);
    printf("control plane of cluster " STR_FMT " version %s\n", STR_ARG(r->config.cluster_id),
           frame->control->version == NULL ? "?" : frame->control->version);
    r->core = core_new(&r->config);
    return true;
}

/* The first load's rows that were not kept: as many as are missing, in their order. False: there are not so many. */
static bool fill_gap(struct replaying *r, const Flight__Turn *t)
{
    struct recording_parts parts;
    struct core_event ev;
    struct arena a;
    bool good = r->load_op != 0 && r->rows.len > 0;
    arena_init(&a, ARENA_MAX);
    for (uint64_t n = r->sequence + 1; good && n < t->sequence; n++) {
        good = rows_next(&r->rows, &a, UINT64_MAX, r->load_op, &parts, &ev);
        if (!good)
            break;
        ev.now = (struct instant){t->now_ns};
        ev.wall = (struct wall){t->wall_ns};
        core_step(r->core, &ev);
        r->sum->steps++;
        recording_parts_free(&parts);
        arena_free(&a);
    }
    arena_free(&a);
    return good;
}

static void follow_sequence(struct replaying *r, const Flight__Turn *t)
{
    uint64_t first = r->sequence + 1, last = t->sequence - 1;
    bool gap = t->sequence != first;
    if (gap && r->stepping && fill_gap(r, t)) {
        printf("events %llu to %llu are rows of the store\n", (unsigned long long)first,
               (unsigned long long)last);
    } else if (gap && (r->stepping || r->resumed != NULL)) {
        printf("events %llu to %llu are not in the recording: from here on shown, not stepped\n",
               (unsigned long long)first, (unsigned long long)last);
        r->stepping = false;
    }
    r->sequence = t->sequence;
    r->now = (struct instant){t->now_ns};
    r->wall = (struct wall){t->wall_ns};
    r->open = false;
}

static void flush(struct replaying *r)
{
    printf("\n");
    if (!r->stepping && r->resumed == NULL)
        return;
    fflush(stdout); /* This turn may be the one that ended the program. */
    r->effects = r->resumed != NULL ? resumed_flush(r->resumed, r->now, r->wall)
                                    : core_flush(r->core, r->now, r->wall);
    r->sum->steps++;
    r->open = r->stepping;
    for (uint32_t i = 0; i < r->effects.count; i++) {
        show_effect(&r->effects.at[i]);
        if (r->effects.at[i].type == FX_LOAD)
            r->load_op = r->effects.at[i].op;
    }
}

static bool step(struct replaying *r, const Flight__Turn *t)
{
    struct recording_parts parts;
    struct core_event ev;
    if (t->type > RECORDING_FLUSH)
        return false;
    follow_sequence(r, t);
    show_head(r, t);
    if (t->type == RECORDING_FLUSH) {
        flush(r);
        return true;
    }
    bool good = recording_event_of(t, &parts, &ev);
    if (good)
        show_event(&ev);
    fflush(stdout);
    if (good && r->resumed != NULL)
        resumed_event(r->resumed, &ev);
    else if (good && r->stepping)
        core_step(r->core, &ev);
    r->sum->steps += good && (r->stepping || r->resumed != NULL);
    if (ev.type == EV_STORE_DONE && core_is_ready(r->core))
        r->load_op = 0;
    recording_parts_free(&parts);
    return good;
}

static void compare(struct replaying *r, const Flight__Done *done)
{
    if (!r->open || done->sequence != r->sequence)
        return;
    r->open = false;
    r->sum->compared++;
    if (done->effects_count == r->effects.count &&
        done->effects_hash == recording_hash(&r->effects))
        return;
    r->sum->different++;
    printf("                        DIFFERENT: there it was %u effects\n", done->effects_count);
}

/* The beginning is lost: from these numbers on, and from what was stored by then. */
static void resume(struct replaying *r, const Flight__Numbers *n)
{
    if (n == NULL || r->stepping || r->resumed != NULL || r->all_rows.len == 0)
        return;
    r->resumed = resumed_new(&r->config, r->all_rows, n, r->now, r->wall);
    if (r->resumed == NULL)
        printf("the rows do not make a core of revision %llu\n", (unsigned long long)n->head);
    else
        printf(
            "a core of what was stored at revision %llu: stepped from here on, and the answers to "
            "writes are compared\n",
            (unsigned long long)n->head);
}

static void done(struct replaying *r, const Flight__Done *d)
{
    compare(r, d);
    if (r->resumed != NULL)
        resumed_done(r->resumed, d);
    resume(r, d->numbers);
}

static bool play(struct replaying *r, struct str rest)
{
    struct arena keep, a;
    Flight__Frame *frame;
    arena_init(&keep, ARENA_MAX);
    arena_init(&a, ARENA_MAX);
    bool good = recording_next(&rest, &keep, &frame) && begin(r, frame);
    while (good && recording_next(&rest, &a, &frame)) {
        if (frame->frame_case == FLIGHT__FRAME__FRAME_TURN)
            good = step(r, frame->turn);
        else if (frame->frame_case == FLIGHT__FRAME__FRAME_DONE)
            done(r, frame->done);
        arena_free(&a);
    }
    if (good && rest.len > 0)
        printf("%zu bytes behind the last whole frame\n", rest.len);
    if (r->resumed != NULL)
        resumed_compare(r->resumed, r->sum);
    arena_free(&a);
    resumed_free(r->resumed);
    core_free(r->core);
    arena_free(&keep);
    return good;
}

bool replay_control(struct str frames, struct str rows, struct replay_sum *sum)
{
    struct replaying r = {.stepping = true, .sum = sum, .rows = rows, .all_rows = rows};
    return play(&r, frames);
}
