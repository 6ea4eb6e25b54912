/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/fake.h"

#include "base/mem.h"
#include "io/clock.h"

struct fake {
    struct loop_client client;
    struct loop *loop;
    struct runtime *runtimes[2];
};

/* Posting steps the core, which may ask for more: that is due in the next turn. */
static void on_turn(struct loop_client *self, struct instant now)
{
    struct fake *f = CONTAINER_OF(self, struct fake, client);
    struct instant next = {0};
    for (int i = 0; i < 2; i++)
        runtime_fake_turn(f->runtimes[i], now, clock_wall());
    for (int i = 0; i < 2; i++)
        next = instant_earlier(next, runtime_fake_deadline(f->runtimes[i]));
    loop_set_deadline(&f->client, next);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    (void)self;
    (void)ev; /* A deadline only wakes the loop; the turn does the rest. */
}

void fake_runtimes(struct loop *l, struct shell *s, struct runtime *out[2])
{
    struct fake *f = mem_zalloc(1, sizeof *f);
    f->loop = l;
    f->client.event = on_event;
    f->client.turn = on_turn;
    for (int i = 0; i < 2; i++) {
        struct runtime_fake_options o = {.kind = (enum runtime_kind)i};
        out[i] = f->runtimes[i] = runtime_fake_open(shell_sink(s, (enum runtime_kind)i), &o);
    }
    loop_join(l, &f->client);
    loop_set_deadline(&f->client, loop_now(l)); /* What was asked before the loop ran is due too. */
}
