/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's events, for whom they are; what is posted in a turn; closing. */
#include "base/mem.h"
#include "io/proc.h"
#include "nodeagent/runtime/oci_instance.h"

static struct instance *by_io_op(struct oci *o, uint64_t op)
{
    struct slot_id name = {(uint32_t)(op >> 8) & 0xffffff, (uint32_t)(op >> 32)};
    return slots_live(&o->slots, name) ? &o->instances[name.slot] : NULL;
}

static void post_pending(struct oci *o)
{
    /* The receiver may ask for more while it is told; that goes behind. */
    for (uint32_t i = 0; i < o->pending_count; i++) {
        struct runtime_event ev = o->pending[i];
        o->runtime.sink.post(o->runtime.sink.state, &ev);
    }
    o->pending_count = 0;
}

static bool may_close(const struct oci *o)
{
    const struct map_entry *entry;
    for (uint32_t at = 0; (entry = map_next(&o->by_id, &at)) != NULL;) {
        const struct instance *i = entry->value;
        if (i->launch != NULL || i->end_op != 0)
            return false;
    }
    return o->pending_count == 0 && o->execs_count == 0;
}

static void finish_close(struct oci *o)
{
    struct runtime_event ev = oci__event(RUNTIME_DONE, o->close_op, (struct str){NULL, 0});
    struct runtime_sink sink = o->runtime.sink;

    const struct map_entry *entry;
    for (uint32_t at = 0; (entry = map_next(&o->by_id, &at)) != NULL;)
        oci__give(o, entry->value); /* Only our knowledge of it: the instance goes on. */
    loop_leave(&o->client);
    map_fini(&o->by_id);
    slots_fini(&o->slots);
    mem_free(o->instances);
    mem_free(o->pending);
    mem_free(o);
    sink.post(sink.state, &ev);
}

static void retry_due(struct oci *o)
{
    struct instant now = loop_now(o->client.loop), next = {0};
    const struct map_entry *entry;
    for (uint32_t at = 0; o->destroying_count > 0 && (entry = map_next(&o->by_id, &at)) != NULL;) {
        struct instance *i = entry->value;
        if (i->end_op != 0 && instant_due(i->retry_at, now)) {
            oci__step_destroy(o, i); /* May free i's slot; the map allows removing on the way. */
            i = oci__find(o, entry->key);
        }
        if (i != NULL && i->end_op != 0)
            next = instant_earlier(next, i->retry_at);
    }
    loop_set_deadline(&o->client, o->pending_count > 0 ? now : next);
}

void oci__on_event(struct loop_client *c, const struct io_event *ev)
{
    struct oci *o = CONTAINER_OF(c, struct oci, client);
    if (ev->type == IO_PROC_DONE && (ev->op & 0xff) == IO_EXEC) {
        oci__exec_done(o, ev);
        return;
    }
    struct instance *i = by_io_op(o, ev->op);
    if (i != NULL && ev->type == IO_PROC_DONE && (ev->op & 0xff) == IO_START)
        oci__shim_reported(o, i, ev);
    if (i != NULL && ev->type == IO_PROC_GONE && (ev->op & 0xff) == IO_SHIM)
        oci__shim_is_gone(o, i);
}

void oci__on_turn(struct loop_client *c, struct instant now)
{
    struct oci *o = CONTAINER_OF(c, struct oci, client);
    (void)now;
    post_pending(o);
    retry_due(o);
    if (o->closing && may_close(o))
        finish_close(o);
}

void oci__close(struct runtime *r, uint64_t op)
{
    struct oci *o = CONTAINER_OF(r, struct oci, runtime);
    o->closing = true;
    o->close_op = op;
    oci__exec_kill(o);
    loop_set_deadline(&o->client, loop_now(o->client.loop));
}
