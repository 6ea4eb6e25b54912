/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baton-sim: a cluster from a seed. Twice, to prove that the seed is everything; under fire first,
 * then healed, and then everything must converge.
 */
#include "base/check.h"
#include "tests/sim/replay.h"
#include "tests/sim/sim.h"
#include "tests/sim/wish.h"

#include <stdio.h>
#include <string.h>

static const char *const fault_names[] = {
#define X(name) #name,
    SIM_FAULTS(X)
#undef X
};

struct settings {
    uint64_t seed, nodes, hours, minutes, per_mille, pods;
    bool verbose;
};

static bool option(const char *arg, const char *value, const char *name, uint64_t *out)
{
    return strcmp(arg, name) == 0 && value != NULL && str_parse_u64(str_of(value), out) == ERR_OK;
}

static bool parse(int argc, char **argv, struct settings *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--verbose") == 0) {
            o->verbose = true;
            continue;
        }
        if (!option(argv[i], value, "--seed", &o->seed) &&
            !option(argv[i], value, "--nodes", &o->nodes) &&
            !option(argv[i], value, "--hours", &o->hours) &&
            !option(argv[i], value, "--minutes", &o->minutes) &&
            !option(argv[i], value, "--faults", &o->per_mille) &&
            !option(argv[i], value, "--pods", &o->pods))
            return false;
        i++;
    }
    return o->nodes >= 1 && o->nodes <= SIM_NODES_MAX;
}

static bool is_settled(struct sim *s, const char *kind, const char *name)
{
    struct str phase = sim_field(s, kind, name, "status.phase");
    if (phase.len == 0)
        return true; /* Deleted. */
    bool there = str_is(phase, "Running") || str_is(phase, "Succeeded") || str_is(phase, "Failed");
    bool waits = str_is(phase, "Pending");
    if (waits && (sim_field(s, kind, name, "spec.nodeName").len > 0 ||
                  sim_field(s, kind, name, "status.nodeName").len > 0))
        return false;
    if (waits && sim_fits(s, kind, name))
        return false; /* Nobody told it. */
    return (there || waits) && sim_field(s, kind, name, "metadata.deletionTimestamp").len == 0;
}

/* After healing every workload is gone, waits for what is not there, or is where it should be. */
static uint64_t unsettled(struct sim *s, uint64_t count)
{
    uint64_t bad = 0;
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "w%llu", (unsigned long long)i);
        if (is_settled(s, wish_kind(i), name))
            continue;
        struct str why =
            sim_field(s, wish_kind(i), name, "status.containerStatuses.0.state.waiting.message");
        fprintf(stderr, "%s is not settled: %.*s\n", name, STR_ARG(why));
        bad++;
    }
    return bad;
}

/* When everybody has left, nothing is held. */
static uint64_t left_over(struct sim *s, uint64_t count)
{
    uint64_t bad = 0;
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "w%llu", (unsigned long long)i);
        if (sim_field(s, wish_kind(i), name, "metadata.name").len == 0)
            continue;
        fprintf(stderr, "%s does not go\n", name);
        bad++;
    }
    uint32_t holds = sim_holds(s);
    if (holds > 0)
        fprintf(stderr, "the ledger holds %u for nobody\n", holds);
    return bad + holds;
}

static uint64_t run(const struct settings *o, uint64_t *out_hash)
{
    struct sim *s = sim_new(&(struct sim_options){.seed = o->seed,
                                                  .nodes = (uint32_t)o->nodes,
                                                  .cores = 4,
                                                  .threads_per_core = 2,
                                                  .disk_bytes = 100ull << 30,
                                                  .per_mille = (uint32_t)o->per_mille,
                                                  .story = o->verbose});
    uint64_t seconds = o->hours * 3600 + o->minutes * 60;
    struct wishes wishes = {.most = o->pods, .nodes = (uint32_t)o->nodes};
    for (uint64_t t = 0; t < seconds; t++) {
        sim_run(s, SPAN_S(1));
        wish(s, &wishes);
    }
    s->healed = true;
    wish_heal(s, &wishes);
    /* Less than what waits is tried at without being told (QUEUE_BLOCKED_MAX_S). */
    sim_run(s, SPAN_S(240));
    uint64_t bad = unsettled(s, wishes.made);
    wish_away(s, &wishes);
    sim_run(s, SPAN_S(900));
    bad += left_over(s, wishes.made);
    printf("seed=%llu nodes=%llu pods=%llu steps=%llu points=%llu unsettled=%llu hash=%016llx\n",
           (unsigned long long)o->seed, (unsigned long long)o->nodes,
           (unsigned long long)wishes.made, (unsigned long long)s->steps,
           (unsigned long long)s->points, (unsigned long long)bad, (unsigned long long)s->hash);
    for (uint32_t i = 0; i < SIM_FAULT__COUNT && o->verbose; i++)
        printf("  %-16s %llu\n", fault_names[i], (unsigned long long)s->hit[i]);
    if (bad > 0 && o->verbose)
        fprintf(stderr, "%.*s", STR_ARG(buf_str(&s->story)));
    *out_hash = s->hash;
    sim_free(s);
    return bad;
}

int main(int argc, char **argv)
{
    struct settings o = {.seed = 1, .nodes = 3, .minutes = 5, .per_mille = 5, .pods = 200};
    uint64_t first, second;
    if (argc >= 3 && strcmp(argv[1], "--replay") == 0 &&
        (argc == 3 || (argc == 5 && strcmp(argv[3], "--rows") == 0))) {
        str_hash_seed(1, 2);
        return replay(argv[2], argc == 5 ? argv[4] : NULL);
    }
    if (!parse(argc, argv, &o)) {
        fprintf(stderr,
                "usage: baton-sim [--seed N] [--nodes N] [--hours N] [--minutes N] "
                "[--faults PER-MILLE] [--pods N] [--verbose]\n"
                "       baton-sim --replay FILE [--rows FILE]    a flight recording, of an agent "
                "or a control plane\n");
        return 2;
    }
    str_hash_seed(1, 2);
    uint64_t bad = run(&o, &first);
    o.verbose = false;
    bad += run(&o, &second);
    if (first != second)
        fprintf(stderr, "the same seed gave two traces\n");
    return bad != 0 || first != second;
}
