/* SPDX-License-Identifier: Apache-2.0 */
/* The lists that every source adds to. */
#include "base/mem.h"
#include "nodeagent/doctor/inventory.h"

void inventory__add(struct inventory *v, struct host_thing thing)
{
    if (v->things_count == HOST_THINGS_MAX) {
        v->full = ERR_LIMIT;
        return;
    }
    if (v->things_count == v->things_size) {
        v->things_size = v->things_size == 0 ? 64 : 2 * v->things_size;
        v->things = mem_resize(v->things, v->things_size * sizeof *v->things);
    }
    thing.uid = arena_str(&v->arena, thing.uid);
    thing.name = arena_str(&v->arena, thing.name);
    thing.link = arena_str(&v->arena, thing.link);
    v->things[v->things_count++] = thing;
}

void inventory_want(struct inventory *v, struct str uid)
{
    if (v->wanted_count == v->wanted_size) {
        v->wanted_size = v->wanted_size == 0 ? 64 : 2 * v->wanted_size;
        v->wanted = mem_resize(v->wanted, v->wanted_size * sizeof *v->wanted);
    }
    v->wanted[v->wanted_count++] = arena_str(&v->arena, uid);
}
