/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placing_priv.h -- one workload on its way to a node, as the files of placing share it.
 *
 *    placing.c          create, delete, and who is looked at when; one decision
 *    placing_record.c   the decision as a Placement, as conditions, as Events
 *    placing_words.c    what may come to mean something else while it stands: labels
 *    placing_wait.c     the queue of what waits, and which events could help whom
 *    placing_preempt.c  workloads that leave for one of higher priority
 *    placing_gang.c     workloads that start together
 *    plan*.c            the same decisions as a question, without consequences
 *    placing_start.c    everything that is held, after a start
 */
#ifndef CONTROLPLANE_CORE_PLACING_PRIV_H
#define CONTROLPLANE_CORE_PLACING_PRIV_H

#include "controlplane/core/cluster.h"
#include "controlplane/core/queue.h"
#include "scheduler/explain.h"

struct candidate {
    struct str key, namespace, name, uid;
    Core__Pod *pod; /* One of these two. */
    Kubevirt__VirtualMachineInstance *machine;
    struct request request;
    uint64_t hold;
    struct placement *rows;
    char why[512]; /* Not placed: what is short. */
    const char *reason;
    uint64_t needs; /* Not placed: what could help (queue.h). */
    bool by_spaces; /* An affinity term of it selects namespaces by labels. */
    bool is_short;  /* Not placed, for want of rows or by a rule: others' leaving might help. */
};

/* placing.c */
bool placing__is_kind(const struct index_key *at);
bool placing__open(struct core *c, struct candidate *w, struct str key, const struct index_key *at,
                   struct str object); /* False: it does not decode. */
struct str placing__close(struct core *c, const struct candidate *w);
enum err_code placing__translate(struct core *c, struct candidate *w, struct err *e);
/* The former one of that name, or a gate: no search could help. why says so. */
bool placing__is_blocked(struct core *c, struct candidate *w);
/* Succeeded, failed or being deleted: nobody would start it anew. */
bool placing__is_ending(const struct candidate *w);
/* The value of the named class, or without a name of the one that is everybody's (0 where none is). False:
 * there is no such class. */
bool placing__class(struct core *c, const char *name, int32_t *out);
bool placing__may_wait(
    const struct candidate *w); /* Not over, not behind a gate, not a foreigner's. */
/* In words for people, and as what could help. code, e: what the search said. */
void placing__explain(struct core *c, struct candidate *w, enum err_code code, const struct err *e);
int32_t placing__priority(struct core *c, const struct candidate *w);
/* The Placement is durable: its agent is told, and nobody waits or leaves for its workload any more. */
void placing__landed(struct core *c, struct held *h);

/* placing_record.c */
bool placing__have_status(struct core *c, struct candidate *w);
/* What its Placement would say of rows and ports, and nothing about the decision. NULL: the turn's memory is
 * full, or the node is gone. */
Baton__PlacementSpec *placing__spec(struct core *c, const struct candidate *w);
/* What a Placement says beside rows: its name and uid, and why there. */
struct placing_words {
    struct str name, uid, reason;
};

/* The Placement's envelope. The first is quick, and false, with nothing written, where only the second will do; that one
 * leaves metadata.resourceVersion out, and gives {NULL, 0} when the turn's memory is full. Else they say the same. */
MUST_USE bool placing__write(struct core *c, const struct candidate *w,
                             const struct placing_words *words, uint64_t revision, struct buf *out);
struct str placing__by_struct(struct core *c, const struct candidate *w,
                              const struct placing_words *words);

/* The Placement into the stage that holds the object, and where it is into the object. False: refused, and
 * nothing is held. */
bool placing__stage(struct core *c, struct stage *s, struct candidate *w);
void placing__say_waiting(struct core *c, struct candidate *w);
void placing__tell_waiting(struct core *c, const struct candidate *w);
enum reconcile placing__lost(struct core *c,
                             struct candidate *w); /* Its Placement does not decode. */

/* placing_words.c */
struct words_affinity {
    Core__Affinity all;
    Core__PodAffinity near;
    Core__PodAntiAffinity apart;
};

/* The same with namespaces by name instead of by selector; in out and the turn's memory. */
MUST_USE enum err_code words__affinity(struct core *c, const Core__Affinity *from,
                                       struct words_affinity *out, bool *out_by_spaces,
                                       struct err *e);
void words__keep(struct core *c, struct held *h, const struct candidate *w);

/* placing_wait.c */

/* Waits, and is tried when that could help; at once when its own words are other than before. */
void placing__wait(struct core *c, const struct candidate *w);
void placing__failed(struct core *c, const struct candidate *w); /* Tried in vain. */
void placing__wait_no_more(struct core *c, struct str key);
void placing__wake(struct core *c, struct str key);
bool placing__is_tried(struct core *c, struct str key); /* It is its turn. */
enum reconcile placing__turn(struct core *c);           /* Hands out turns. */
struct str placing__turn_key(void);                     /* What is marked for placing__turn(). */
uint64_t placing__needs(const struct explanation *x);   /* What could help: a bit a reason. */
uint64_t placing__helps(const struct placement *p);     /* Whom the end of these rows could help. */
void placing__event(struct core *c, uint64_t event);
void placing__stands(struct core *c);
void placing__leaves(struct core *c);
void placing__unhold(struct core *c, struct held *h); /* Its rows go, and it does. */

/* placing_preempt.c */
void preempt__begin(struct core *c, struct str key);
bool preempt__may(struct core *c,
                  const struct candidate *w); /* It failed, and may ask others to go. */
/* Asks victims to leave for all of them or for none, and adds to why that it did. key: the workload's own, or its pod group's.
 * True: there is room already. */
bool preempt__try(struct core *c, struct str key, const struct candidate *at, uint32_t count,
                  char *why, size_t why_size);
void preempt__cancel(struct core *c, struct str key); /* It is placed, or gone. */
const char *preempt__node(struct core *c,
                          struct str key);          /* Where rows are kept for it; or NULL. */
bool preempt__keep(struct core *c, struct held *h); /* A victim is gone: its hold is ours. */
void preempt__say(struct core *c, struct candidate *w, const struct held *h, struct draft *d);
enum reconcile preempt__evict(struct core *c, const struct held *h, const struct meta *m);
void preempt__init(struct cluster *k);
void preempt__free(struct cluster *k);

/* placing_gang.c */

/* A pod group, and its members that wait, by name. */
struct gang {
    struct str namespace, name;
    uint32_t least, placed, count; /* Wanted; have their places; wait. */
    struct candidate *at;
};

bool gang__collect(struct core *c, struct gang *g);    /* False: something is in flight. */
bool gang__find_least(struct core *c, struct gang *g); /* False: the group is not there. */
struct str gang__name(const struct candidate *w);      /* Empty: it is by itself. */
/* For a sentence about members that did not fit together: that no room would ever do, or "". They are translated. */
const char *gang__hope(struct core *c, const struct candidate *at, uint32_t count);
enum reconcile gang__try(struct core *c, struct str namespace, struct str name);
void gang__index(struct core *c, const struct core_change *change); /* Of a workload. */
void gang__forget(struct core *c); /* Before everything is told anew. */
void gang__changed(struct core *c, const struct index_key *at);

#endif /* CONTROLPLANE_CORE_PLACING_PRIV_H */
