/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_priv.h -- what the files of the agent's core share.
 *
 * An op id is a name: workload slot, instance and what was asked, with a counter in front. The answer
 * finds its asker without a table, and a late one finds that the asker's op is another.
 */
#ifndef NODEAGENT_CORE_AGENT_PRIV_H
#define NODEAGENT_CORE_AGENT_PRIV_H

#include "api/typed.h"
#include "base/cpuset.h"
#include "base/map.h"
#include "base/rng.h"
#include "nodeagent/core/pool.h"
#include "nodeagent/core/workload.h"

enum {
    AGENT_EFFECTS_MAX = 16 * AGENT_WORKLOADS_MAX, /* Of one step; more is our bug. */
    AGENT_TURN_BYTES_MAX = 64 << 20,
    OP_OWNER_WORKLOAD = 255, /* As the instance of an op: the workload itself. */
    OP_AGENT = 254           /* As the instance: the agent's own (FX_LIST), or nobody's. */
};

_Static_assert((int)AGENT_INSTANCES_MAX < (int)OP_AGENT, "an instance's index fits into an op id");
_Static_assert(AGENT_WORKLOADS_MAX <= 1 << 12, "a slot fits into an op id");

/* One step: its clocks, its memory, what it wants done. */
struct agent_turn {
    const struct agent *agent;
    struct instant now;
    struct wall wall;
    struct arena arena;
    struct agent_effect *effects;
    uint32_t effects_count, effects_size;
    struct buf trace;
};

/* tests/unit/nodeagent/states_test.c draws docs/states/session.dot from this. */
/* clang-format off */
#define SESSION_STATES(S, TO)                                                       \
    S(AWAY,     TO(OPENING))              /* retry_at                            */ \
    S(OPENING,  TO(GREETING) | TO(AWAY))  /* the connection                      */ \
    S(GREETING, TO(UP) | TO(AWAY))        /* HelloReply                          */ \
    S(UP,       TO(AWAY))                 /* messages; renew_at                  */
/* clang-format on */

#define S(name, to) SESSION_##name,
#define TO(name)
enum session_state { SESSION_STATES(S, TO) SESSION__COUNT };
#undef S
#undef TO

extern const struct sm_state session_states[SESSION__COUNT];

struct session {
    enum session_state state;
    struct instant retry_at, renew_at, opened_at;
    struct span backoff, renew_in, lease;
    uint64_t renewals, revision;
    struct instant lease_until; /* The right to run exclusive-run workloads; later: fencing. */
    bool resyncing;
    struct instant images_told_at, images_at; /* images_at 0: there is nothing new to tell. */
};

/* The node's certificate, as certificate.c sees it. */
struct certificate {
    struct wall from, until, due; /* until 0: none. due: asked for from here on. */
    uint64_t op;                  /* FX_RENEW in flight; 0: none. */
    struct instant look_at, retry_at;
    struct span backoff;
    bool is_told; /* That it has ended. */
};

struct agent {
    struct agent_config config;
    struct arena arena; /* The configuration's bytes. */
    Baton__NodeHardwareSpec *hardware;
    struct rng rng;
    struct session session;
    struct certificate certificate;
    struct disk disk;
    struct slots slots;
    struct workload *workloads[AGENT_WORKLOADS_MAX]; /* By slot; NULL: free. */
    uint32_t workloads_end;                          /* No slot from here on was ever used. */
    bool named[AGENT_WORKLOADS_MAX];                 /* This resync mentioned it. */
    uint64_t ops;
    uint64_t list_op[2];      /* By enum runtime_kind; 0: answered. */
    struct cpuset pool;       /* As last read back; empty: not known yet. */
    struct cpuset pool_asked; /* What FX_POOL in flight was told. */
    uint64_t pool_op;         /* 0: none. */
    struct instant pool_retry_at;
    char pool_text[200]; /* Why it could not be moved; empty: it could. */
    struct blob *images; /* The last EV_IMAGES; NULL: none. */
    struct map peers;    /* peers.c: other nodes by name. */
    uint64_t peers_digest;
    bool up;                   /* Records and lists are in. */
    struct instant list_at[2]; /* When to ask again after a failure. */
    struct agent_turn turn;
};

/* agent_state.c */
uint64_t agent_op(struct agent *a, uint32_t slot, uint32_t instance);
/* Half of it fixed, half of it rolled, so that a thousand agents do not come back at once. */
struct span agent_jittered(struct agent *a, struct span wait);
struct agent_effect *agent_do(struct agent_turn *t, enum agent_effect_type type);
void agent_send(struct agent_turn *t, Agent__AgentMessage *message); /* FX_SEND. */
void agent_trace_move(struct agent_turn *t, const struct workload *w, const char *what,
                      const char *state);
void agent_trace_trouble(struct agent_turn *t, const struct workload *w, const char *what,
                         const char *reason, const char *text);

/* Workloads by their names. */
struct workload *agent_find(const struct agent *a, struct str placement_uid);
struct workload *agent_find_uid(const struct agent *a, struct str workload_uid);
struct workload *agent_take(struct agent *a); /* NULL: all slots are taken. */
void agent_give(struct agent *a, struct workload *w);

/* workload_facts.c: what every part asks of one. */
struct str workload_name(const struct workload *w);
struct str workload_namespace(const struct workload *w);
void workload_say(struct agent_turn *t, struct workload *w); /* Report it, soon. */
struct str workload_dir(const struct agent *a, struct arena *arena, const struct workload *w);
struct str workload_log_dir(const struct agent *a, struct arena *arena, const struct workload *w);
const Core__Container *pod_container(const struct workload *w, uint32_t n);
int64_t pod_grace_seconds(const struct workload *w);
/* "512Mi" in units, rounded up; 0: absent or not a quantity (validated before it came here). */
int64_t workload_quantity(const Resource__Quantity *q);
int64_t workload_milli(const Resource__Quantity *q);

/* workload.c */
void workload_restore(struct agent *a, struct agent_turn *t, struct str record);
void workload_assign(struct agent *a, struct agent_turn *t, const Agent__Assign *assign);
void workload_unwant(struct agent *a, struct agent_turn *t, struct workload *w, struct span grace);
void workload_tick(struct agent *a, struct agent_turn *t, struct workload *w);
void workload_done(struct agent *a, struct agent_turn *t, struct workload *w,
                   const struct agent_event *ev);
void workload_catchup(struct agent *a, struct agent_turn *t, struct workload *w);

/* happening.c: news for people; goes up with the next report. n: an instance or WORKLOAD_ITSELF. With too
 * many the oldest is forgotten. */
void workload_happened(struct agent_turn *t, struct workload *w, uint32_t n, const char *reason,
                       bool warning, const char *fmt, ...) PRINTF(6, 7);
void workload_tell_happenings(struct agent_turn *t, struct workload *w, Agent__WorkloadStatus *s);
void workload_forget_happenings(struct workload *w, int64_t up_to_ns);
struct instant workload_deadline(const struct workload *w);

/* workload_load.c: bytes into a workload. False: they do not decode; text says why. */
bool workload_load(const struct agent *a, struct workload *w, const Agent__Assign *assign,
                   char *text, size_t size);

/* instance.c */
void instance_tick(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n);
void instance_host_done(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                        const struct agent_event *ev);
void instance_runtime_event(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                            const struct runtime_event *ev);
void instance_stop(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                   struct span grace);
void instance_catchup(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n);
void instance_found(struct agent *a, struct agent_turn *t, enum runtime_kind kind,
                    const struct runtime_event *ev);
void instance_saved(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n, bool ok);
struct instant instance_deadline(const struct workload *w, const struct instance *i);

/* For what runs: asked to end within grace, by way of its preStop hook; told with that reason (NULL: it is not
 * wanted any more). Then its restartPolicy decides. */
void instance_stop_because(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                           struct span grace, const char *why);
void instance_note(struct agent *a, struct agent_turn *t, struct workload *w);

/* handler.c: FX_EXEC or FX_CHECK of a probe or hook. The op. */
struct handler_answer {
    uint64_t op;
    bool success, is_unasked; /* is_unasked: it could not be asked at all. */
    const char *text;         /* Of a failure. */
};
bool handler_is_known(const Core__ProbeHandler *h);
uint64_t handler_ask(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                     const Core__ProbeHandler *h, struct span timeout);

/* hook.c: false: there is no such hook. Otherwise hook_answered(), or hook_until is reached. */
bool hook_post_start(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n);
bool hook_pre_stop(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                   struct span grace);
bool hook_answered(struct agent_turn *t, struct workload *w, uint32_t n,
                   const struct handler_answer *answer);
void hook_forget(struct instance *i);

/* probe.c: from when it runs until it does not. judge: is it started, is it ready? True: that changed. */
void probes_begin(struct agent_turn *t, struct workload *w, uint32_t n);
void probes_end(struct instance *i);
void probes_tick(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n);
bool probes_judge(struct agent_turn *t, struct workload *w, uint32_t n);
bool probes_answered(struct agent *a, struct agent_turn *t, struct workload *w, uint32_t n,
                     const struct handler_answer *answer);
struct instant probes_deadline(const struct instance *i);
/* pool.c */
void pool_done(struct agent *a, struct agent_turn *t, const struct agent_host_done *done);
/* report.c */
struct str report_record(struct agent_turn *t, const struct workload *w);
void report_flush(struct agent *a, struct agent_turn *t);
uint32_t report_all(struct agent *a, struct agent_turn *t); /* How many. */
void report_acked(struct agent *a, struct agent_turn *t, const Agent__StatusAck *ack);
void report_restore(struct workload *w, const Agent__WorkloadStatus *status);
struct instant report_deadline(const struct agent *a, const struct workload *w);

/* certificate.c */
void certificate_set(struct agent *a, const struct agent_certificate *given);
void certificate_tick(struct agent *a, struct agent_turn *t);
void certificate_done(struct agent *a, struct agent_turn *t, const struct agent_host_done *done);

/* session.c */
void session_reopen(struct agent *a, struct agent_turn *t, const char *why); /* If there is one. */
void session_renew_soon(struct agent *a, struct agent_turn *t);              /* It has news. */
void session_step(struct agent *a, struct agent_turn *t, const struct agent_event *ev);
void session_tick(struct agent *a, struct agent_turn *t);
struct instant session_deadline(const struct agent *a);

/* stream.c */
void stream_open(struct agent *a, struct agent_turn *t, const Agent__OpenStream *open);

/* pod_env.c, pod_volumes.c, pod_pull.c (fills auths): what a container sees. False: text says what is missing. */
struct workload_volumes {
    struct agent_volume *at;
    uint32_t count;
};
bool pod_volumes(struct agent_turn *t, const struct workload *w, struct workload_volumes *out,
                 char *text, size_t size);
bool pod_mounts(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                struct runtime_container *out, char *text, size_t size);
bool pod_env(struct agent_turn *t, const struct workload *w, const Core__Container *c,
             const struct agent_image *image, struct runtime_container *out, char *text,
             size_t size);
bool pod_field(struct agent_turn *t, const struct workload *w, struct str path, struct str *out);

static inline const char *pod_ref_name(const Core__LocalObjectReference *r)
{
    return r == NULL || r->name == NULL ? "" : r->name;
}

void pod_pull_secrets(struct agent_turn *t, const struct workload *w, struct agent_fx_image *out);

/* A ConfigMap or Secret that came with the Assign; NULL: it does not exist. */
Core__ConfigMap *pod_config_map(struct agent_turn *t, const struct workload *w, struct str name);
Core__Secret *pod_secret(struct agent_turn *t, const struct workload *w, struct str name);

#endif /* NODEAGENT_CORE_AGENT_PRIV_H */
