/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/replay.h"

#include "base/mem.h"
#include "nodeagent/core/flight.h"
#include "proto/baton/v1.pb-c.h"

#include <stdio.h>

enum { ARENA_MAX = 64 << 20 };

static const char *const effect_names[FX_STREAM + 1] = {
    [FX_CONNECT] = "CONNECT", [FX_DISCONNECT] = "DISCONNECT",
    [FX_SEND] = "SEND",       [FX_SAVE] = "SAVE",
    [FX_FORGET] = "FORGET",   [FX_IMAGE] = "IMAGE",
    [FX_GIVE_UP] = "GIVE_UP", [FX_NETWORK] = "NETWORK",
    [FX_VOLUMES] = "VOLUMES", [FX_CLEAN] = "CLEAN",
    [FX_CREATE] = "CREATE",   [FX_START] = "START",
    [FX_STOP] = "STOP",       [FX_KILL] = "KILL",
    [FX_DESTROY] = "DESTROY", [FX_SET_CPUS] = "SET_CPUS",
    [FX_EXEC] = "EXEC",       [FX_CHECK] = "CHECK",
    [FX_POOL] = "POOL",       [FX_LIST] = "LIST",
    [FX_RENEW] = "RENEW",     [FX_TELL] = "TELL",
    [FX_PEERS] = "PEERS",     [FX_STREAM] = "STREAM",
    [FX_MEASURE] = "MEASURE",
};

struct replaying {
    struct agent *agent;
    struct agent_effects effects; /* Of the last step. */
    struct replay_sum *sum;
    uint64_t sequence;
    struct instant begun;
    struct agent_config config;
    bool stepping; /* Every event so far is there, or a snapshot was. */
    bool open;     /* The last event's effects were not compared. */
};

static bool begin(struct replaying *r, const Flight__Frame *frame)
{
    if (frame->frame_case != FLIGHT__FRAME__FRAME_CONFIG ||
        !flight_config_of(frame->config, &r->config))
        return false;
    Baton__NodeHardwareSpec *hardware = baton__node_hardware_spec__unpack(
        NULL, r->config.hardware.len, (const uint8_t *)r->config.hardware.at);
    if (hardware == NULL)
        return false;
    baton__node_hardware_spec__free_unpacked(hardware, NULL);
    printf("node " STR_FMT " version " STR_FMT "\n", STR_ARG(r->config.node_name),
           STR_ARG(r->config.version));
    r->agent = agent_new(&r->config);
    return true;
}

static void show_step(const struct replaying *r)
{
    struct str trace = agent_trace(r->agent), line;
    printf(" ->");
    for (uint32_t i = 0; i < r->effects.count; i++)
        printf(" %s", effect_names[r->effects.at[i].type]);
    printf("\n");
    while (str_split(&trace, '\n', &line))
        if (line.len > 0)
            printf("                      " STR_FMT "\n", STR_ARG(line));
}

static bool step(struct replaying *r, const Flight__Event *from, struct arena *a)
{
    struct agent_event ev;
    if (!flight_event_of(from, a, &ev))
        return false;
    if (r->sequence == 0)
        r->begun = ev.now;
    if (from->sequence != r->sequence + 1 && r->stepping) {
        printf("events %llu to %llu are not in the recording: from here on shown, not stepped\n",
               (unsigned long long)r->sequence + 1, (unsigned long long)from->sequence - 1);
        r->stepping = false;
    }
    r->sequence = from->sequence;
    printf("[%8.3fs] %6llu %s", (double)instant_sub(ev.now, r->begun).ns / 1e9,
           (unsigned long long)from->sequence, flight_event_names[ev.type]);
    if (ev.type == EV_RUNTIME)
        printf(" %s", ev.runtime.event->id);
    if (ev.type == EV_HOST_DONE && ev.host->code != ERR_OK)
        printf(" (%s)", ev.host->text);
    r->open = r->stepping;
    if (!r->stepping) {
        printf("\n");
        return true;
    }
    fflush(stdout); /* This step may be the one that ended the program. */
    r->effects = agent_step(r->agent, &ev);
    r->sum->steps++;
    show_step(r);
    return true;
}

/* The beginning is not there any more: this is where it can begin instead. */
static void resume(struct replaying *r, const Flight__Snapshot *from)
{
    if (r->stepping && r->sequence == from->sequence)
        return;
    struct agent *a = flight_agent_of(&r->config, from);
    if (a == NULL) {
        printf("the agent behind event %llu lies here, but not of this build of baton-sim\n",
               (unsigned long long)from->sequence);
        return;
    }
    printf("the agent as it was behind event %llu: stepped from here on\n",
           (unsigned long long)from->sequence);
    agent_free(r->agent);
    r->agent = a;
    r->sequence = from->sequence;
    r->stepping = true;
    r->open = false;
}

static void compare(struct replaying *r, const Flight__Done *done)
{
    if (!r->open || done->sequence != r->sequence)
        return;
    r->open = false;
    r->sum->compared++;
    if (done->effects_count == r->effects.count && done->effects_hash == flight_hash(&r->effects))
        return;
    r->sum->different++;
    printf("                      DIFFERENT: there it was %u effects, and then\n",
           done->effects_count);
    printf("%s", done->trace == NULL ? "" : done->trace);
}

static bool play(struct replaying *r, struct str rest)
{
    struct arena keep, a;
    Flight__Frame *frame;
    arena_init(&keep, ARENA_MAX);
    arena_init(&a, ARENA_MAX);
    bool good = flight_next(&rest, &keep, &frame) && begin(r, frame);
    while (good && flight_next(&rest, &a, &frame)) {
        if (frame->frame_case == FLIGHT__FRAME__FRAME_EVENT)
            good = step(r, frame->event, &a);
        else if (frame->frame_case == FLIGHT__FRAME__FRAME_DONE)
            compare(r, frame->done);
        else if (frame->frame_case == FLIGHT__FRAME__FRAME_SNAPSHOT)
            resume(r, frame->snapshot);
        arena_free(&a);
    }
    if (good && rest.len > 0)
        printf("%zu bytes behind the last whole frame\n", rest.len);
    arena_free(&a);
    arena_free(&keep);
    return good;
}

bool replay_agent(struct str frames, struct replay_sum *sum)
{
    struct replaying r = {.stepping = true, .sum = sum};
    bool good = play(&r, frames);
    agent_free(r.agent);
    return good;
}
