/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording.h -- the control plane's flight recorder: what its core was told, and what it did.
 *
 * WHAT   Every event before its core_step(), every core_flush() before it runs, and behind that the count of its effects and a
 *        hash over them, as frames (proto/baton/flight_v1.proto) in a recorder (base/recorder.h); and reads them back.
 * WHY    The core is a function of its events and of when a turn ends: baton-sim --replay steps the same object code through
 *        them and compares the effects turn by turn. docs/decisions/0180.
 * OWNS   recording_init() takes bytes for two halves, untouched until used; recording_fini() gives them back.
 * ASYNC  The core's thread calls; a signal's handler may take recorder_parts() at any moment.
 * COST   One event is encoded into its place: its bytes are copied once. Only a Secret is opened.
 * FAILS  Nothing to report: what does not fit into a half is left out, and the gap in the sequence tells of it.
 *
 * STATE  What a life begins with stays, as far as it is small:
 *
 *   state      frames go             is left
 *   BEGINNING  into the head         when the first load is done; or, with more than RECORDING_HEAD_MAX, by its next row
 *   SKIPPING   nowhere, if rows;     when the first load is done. The rows that were kept are taken away again: they are
 *              else into the halves  all there or none
 *   RUNNING    into the halves       never; rows are recorded without values, which later loads do not look at
 *
 *   a recording whose sequence       is
 *   begins with 1, without a gap     a whole life: stepped and compared from the start
 *   has a gap where rows were        the same, once the rows are given beside it (baton-sim --rows)
 *   has another gap                  shown from there on. With the rows that were stored by then it is stepped again from the next
 *                                    Numbers on, but not as the life it was: what a core remembers beside what is stored
 *                                    (agents, back-offs, Events) is new, and only the answers to writes are compared
 *
 * SECRET No Secret's value is written: rows, writes and what a client wants stored under /secrets/ are blanked (api/blank.h) or, when
 *        they cannot be looked into, left out. Effects are recorded by names and sizes.
 */
#ifndef CONTROLPLANE_CORE_RECORDING_H
#define CONTROLPLANE_CORE_RECORDING_H

#include "base/arena.h"
#include "base/recorder.h"
#include "controlplane/core/core.h"
#include "proto/baton/flight_v1.pb-c.h"

enum {
    RECORDING_BYTES_DEFAULT = 4 << 20,
    RECORDING_BYTES_MIN = 64 << 10,
    RECORDING_HEAD_MAX = 256 << 10,
    RECORDING_ANSWERS_MAX = 256,       /* Of one turn; the others are not recorded by themselves. */
    RECORDING_FLUSH = EV_DEADLINE + 1, /* As a Turn's type. */
};

#define RECORDING_MAGIC "baton-flight 1\n"

enum recording_state { RECORDING_BEGINNING, RECORDING_SKIPPING, RECORDING_RUNNING };

struct recording {
    enum recording_state state;
    struct recorder frames;
    uint64_t sequence;
    size_t before_rows; /* Of the head's length; 0: there was no row yet. */
    bool turned;        /* A half was begun since the last Done. */
};

/* bytes: of both halves. */
void recording_init(struct recording *r, const struct core_config *config, const char *version,
                    size_t bytes);
void recording_fini(struct recording *r);

void recording_event(struct recording *r, const struct core_event *ev);
void recording_flush(struct recording *r, struct instant now, struct wall wall);
void recording_done(struct recording *r, const struct core *c, const struct core_effects *fx);

/* By types, ops, results, names, revisions and sizes: the same in every life of the same events. */
uint64_t recording_hash(const struct core_effects *fx);

/* One row of a load, as a frame in the arena, blanked: for a file of what a store holds. {NULL, 0}: the arena's limit. */
struct str recording_row(struct arena *a, const struct store_event *row);

/* ---- reading ---- */

/* The next frame of *rest, which moves behind it. False at the end, or at a frame that is cut or none. */
bool recording_next(struct str *rest, struct arena *a, Flight__Frame **out);

/* Borrows from the frame. */
void recording_config_of(const Flight__Control *from, struct core_config *out);

/* What a Turn points to beside itself. */
struct recording_parts {
    struct write_request write;
    struct store_event store;
};

/* Borrows from the frame, but for blobs, which recording_parts_free() gives back. False: it is no core's event. */
bool recording_event_of(const Flight__Turn *from, struct recording_parts *parts,
                        struct core_event *out);
void recording_parts_free(struct recording_parts *parts);

extern const char *const recording_event_names[RECORDING_FLUSH + 1];

#endif /* CONTROLPLANE_CORE_RECORDING_H */
