/* SPDX-License-Identifier: Apache-2.0 */
/* The table of instances and the queue of answers. */
#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "base/cpuset.h"
#include "nodeagent/runtime/oci_instance.h"
#include <stdio.h>

#define S(name, to) [OCI_##name] = {#name, to},
#define TO(name) (1u << OCI_##name)
const struct sm_state oci__states[OCI__COUNT] = {OCI_STATES(S, TO)};
#undef TO
#undef S

/* --- answers --- */

/* The queue is bounded by the ops that can be in flight: the agent has one per instance. */
void oci__later(struct oci *o, const struct runtime_event *ev)
{
    CHECK(o->pending_count < PENDING_MAX);
    o->pending[o->pending_count++] = *ev;
    loop_set_deadline(&o->client, loop_now(o->client.loop));
}

struct runtime_event oci__event(enum runtime_event_type type, uint64_t op, struct str id)
{
    struct runtime_event ev = {.type = type, .op = op};
    snprintf(ev.id, sizeof ev.id, STR_FMT, STR_ARG(id));
    return ev;
}

void oci__done(struct oci *o, uint64_t op, struct str id, enum err_code code, const struct err *e)
{
    struct runtime_event ev = oci__event(RUNTIME_DONE, op, id);
    ev.code = code;
    if (code != ERR_OK)
        snprintf(ev.text, sizeof ev.text, "%s", e->text);
    oci__later(o, &ev);
}

/* --- instances --- */

void oci__move(struct instance *i, enum oci_state next)
{
    sm_check(oci__states, i->state, next);
    i->state = next;
}

struct instance *oci__find(struct oci *o, struct str id)
{
    return map_find(&o->by_id, id);
}

struct instance *oci__take(struct oci *o, struct str id, struct str directory, struct err *e)
{
    struct slot_id name;
    if (id.len == 0 || id.len >= RUNTIME_ID_MAX || directory.len == 0 ||
        directory.len >= OCI_PATH_MAX - 64) {
        err_set(e, ERR_INVALID, "instance id or directory is empty or too long");
        return NULL;
    }
    if (!slots_take(&o->slots, &name)) {
        err_set(e, ERR_LIMIT, "over %d instances on this node", RUNTIME_INSTANCES_MAX);
        return NULL;
    }
    struct instance *i = &o->instances[name.slot];
    *i = (struct instance){.name = name};
    str_put(i->id, id);
    i->directory = mem_zalloc(directory.len + 1, 1);
    str_put(i->directory, directory);
    CHECK(map_put(&o->by_id, str_of(i->id), i) == ERR_OK);
    return i;
}

void oci__give(struct oci *o, struct instance *i)
{
    if (i->watch != NULL)
        proc_unwatch(i->watch);
    map_remove(&o->by_id, str_of(i->id));
    mem_free(i->directory);
    i->directory = NULL;
    slots_give(&o->slots, i->name);
}

uint64_t oci__io_op(const struct instance *i, uint64_t about)
{
    return (uint64_t)i->name.generation << 32 | (uint64_t)i->name.slot << 8 | about;
}

enum err_code oci__get(const char *directory, const char *file, struct buf *out, struct err *e)
{
    char path[OCI_PATH_MAX];
    if (!fs_join(path, directory, file))
        return err_set(e, ERR_LIMIT, "%s is too long", directory);
    return fs_read(path, out, e);
}
