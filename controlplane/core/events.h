/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h -- what happened, as people read it: core/v1 Event objects.
 *
 * WHAT   events_tell() notes that something happened to an object. What is the same (object, part of it,
 *        reason, message) becomes one Event with a count and the times of the first and the last.
 * WHY    A condition says what is; after a restart of a container nobody finds there why. The message is
 *        the condition's or the decision's own text: nothing is worded twice.
 * OWNS   Notes are copied.
 * ASYNC  A new one becomes an object in a later part of the turn, EVENTS_A_PASS of them every
 *        EVENTS_PASS_MS; one that repeats is written again every EVENTS_REPEAT_S at the most.
 * LIMITS EVENTS_MAX in all and EVENTS_OF_ONE of an object: the one seen least lately goes. An hour after it
 *        was seen last it goes as well. With EVENTS_PENDING_MAX not written yet a new one is dropped:
 *        20,000 creates a second do not wait for their news.
 * WHERE  In memory alone (memory.c): no start of a workload costs a durable write for them, and a restart of
 *        the control plane loses them. docs/decisions/0060.
 */
#ifndef CONTROLPLANE_CORE_EVENTS_H
#define CONTROLPLANE_CORE_EVENTS_H

#include "base/str.h"
#include "base/time.h"

struct core;

enum {
    EVENTS_MAX = 4096,
    EVENTS_OF_ONE = 16,
    EVENTS_PENDING_MAX = 512,
    EVENTS_A_PASS = 32,
    EVENTS_PASS_MS = 50,
    EVENTS_REPEAT_S = 10,
    EVENTS_LIVE_S = 3600,
};

struct event_note {
    const char *api_version, *kind;  /* Of what it happened to. */
    struct str namespace, name, uid; /* namespace empty: a Node; its Events are in "default". */
    struct str field_path;           /* "spec.containers{web}"; empty: the whole. */
    const char *reason;
    bool warning;
    struct str message;
    struct str node; /* Where an agent saw it; empty: the control plane's own. */
    struct wall at;  /* 0: now. */
};

void events_tell(struct core *c, const struct event_note *note);

/* Ask before making a message that costs something: false when it would be dropped. */
bool events_wanted(const struct core *c);

#endif /* CONTROLPLANE_CORE_EVENTS_H */
