/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is on a connection thread. A request that has something to do (room came, the history moved, its
 * slice was over) stands in a queue; in each turn of the loop the first ones get a slice each, until SLICES_US are
 * over. Then the sockets are looked at: a create that arrives beside a hundred lists waits for one turn.
 */
#include "base/check.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/slice.h"
#include "io/clock.h"

static void work_turn(struct loop_client *self, struct instant now)
{
    struct front *f = CONTAINER_OF(self, struct front, worker);
    (void)now; /* When the turn began: its events were dealt with since. */
    if (f->due == NULL)
        return;
    struct instant until = instant_add(clock_now(), (struct span){SLICES_US * 1000});
    do {
        struct rest_request *r = f->due;
        front_due_forget(r);
        front_more(r);
    } while (f->due != NULL && !instant_due(until, clock_now()));
    if (f->due != NULL)
        loop_set_deadline(&f->worker, loop_now(f->loop));
}

static void work_event(struct loop_client *self, const struct io_event *ev)
{
    (void)self;
    CHECK(ev->type == IO_DEADLINE); /* It has done its work: the loop is awake. */
}

void front_work_open(struct front *f)
{
    f->due_last = &f->due;
    f->worker = (struct loop_client){.event = work_event, .turn = work_turn};
    loop_join(f->loop, &f->worker); /* After the server: its turn sends what is made here. */
}

void front_work_close(struct front *f)
{
    loop_leave(&f->worker);
}
