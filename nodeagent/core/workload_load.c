/* SPDX-License-Identifier: Apache-2.0 */
/* An Assign, or the record of one, becomes the structs of a workload: whole, or not at all. */
#include "base/mem.h"
#include "nodeagent/core/agent_priv.h"

#include <stdio.h>

static struct str bytes_of(const ProtobufCBinaryData *b)
{
    return str_from(b->data, b->len);
}

/* They become parts of paths. */
static bool metadata_ok(const Meta__ObjectMeta *m)
{
    return m != NULL && m->name != NULL && m->namespace_ != NULL && m->uid != NULL &&
           m->uid[0] != '\0' && strlen(m->uid) < WORKLOAD_UID_MAX &&
           strpbrk(m->uid, "./") == NULL && strchr(m->name, '/') == NULL &&
           strchr(m->namespace_, '/') == NULL;
}

/* The granted threads, and all threads of their cores: a left-over sibling stays idle. */
static void cpus_of(const struct agent *a, struct workload *w)
{
    w->exclusive = w->run_cpus = (struct cpuset){0};
    if (!workload_exclusive(w))
        return;
    const Baton__ExclusiveCpus *e = w->placement->spec->exclusive;
    for (size_t i = 0; i < e->n_cpus; i++)
        cpuset_add(&w->run_cpus, e->cpus[i]);
    w->exclusive = w->run_cpus;
    const Baton__NodeHardwareSpec *hw = a->hardware;
    for (size_t i = 0; hw != NULL && i < hw->n_threads; i++)
        for (size_t k = 0; k < e->n_cores; k++)
            if (hw->threads[i]->core == e->cores[k])
                cpuset_add(&w->exclusive, hw->threads[i]->cpu);
}

/* An address is an address: what has none would be carried out as another network than was decided. */
static bool placement_ok(const Baton__Placement *p)
{
    if (p == NULL || p->spec == NULL || p->spec->workload == NULL ||
        p->spec->workload->kind == NULL)
        return false;
    for (size_t i = 0; i < p->spec->n_addresses; i++)
        if (p->spec->addresses[i]->ip == NULL)
            return false;
    return true;
}

static bool decode(struct workload *w, const Agent__Assign *from, char *text, size_t size)
{
    ProtobufCAllocator allocator = typed_allocator(&w->arena);
    size_t len = agent__assign__get_packed_size(from);
    uint8_t *copy = arena_alloc(&w->arena, len + 1);
    if (copy == NULL)
        return snprintf(text, size, "the object is too large for this node"), false;
    agent__assign__pack(from, copy);
    w->assign = agent__assign__unpack(&allocator, len, copy);
    if (w->assign == NULL || !w->assign->has_placement || !w->assign->has_workload)
        return snprintf(text, size, "the assignment lacks its placement or its workload"), false;
    w->placement = (Baton__Placement *)typed_open(&w->arena, &baton__placement__descriptor,
                                                  bytes_of(&w->assign->placement));
    if (!placement_ok(w->placement))
        return snprintf(text, size, "the placement does not decode"), false;
    struct str object = bytes_of(&w->assign->workload);
    if (str_is(str_of(w->placement->spec->workload->kind), "Pod")) {
        w->kind = &workload_pod;
        w->pod = (Core__Pod *)typed_open(&w->arena, &core__pod__descriptor, object);
        if (w->pod == NULL || w->pod->spec == NULL || !metadata_ok(w->pod->metadata))
            return snprintf(text, size, "the pod does not decode"), false;
    } else {
        w->kind = &workload_vm;
        w->machine = (Kubevirt__VirtualMachineInstance *)typed_open(
            &w->arena, &kubevirt__virtual_machine_instance__descriptor, object);
        if (w->machine == NULL || w->machine->spec == NULL || w->machine->spec->domain == NULL ||
            !metadata_ok(w->machine->metadata))
            return snprintf(text, size, "the virtual machine does not decode"), false;
    }
    return true;
}

bool workload_load(const struct agent *a, struct workload *w, const Agent__Assign *assign,
                   char *text, size_t size)
{
    struct workload fresh = *w;
    arena_init(&fresh.arena, 4 * AGENT_MESSAGE_MAX);
    fresh.pod = NULL;
    fresh.machine = NULL;
    if (!decode(&fresh, assign, text, size) ||
        (fresh.instances == NULL && !fresh.kind->plan(&fresh, text, size))) {
        arena_free(&fresh.arena);
        return false;
    }
    const Meta__ObjectMeta *meta =
        fresh.pod != NULL ? fresh.pod->metadata : fresh.machine->metadata;
    snprintf(fresh.uid, sizeof fresh.uid, "%s", meta->uid);
    cpus_of(a, &fresh);
    if (w->instances !=
        NULL) { /* What is held stays held until it is gone, whatever is said now. */
        fresh.exclusive = w->exclusive;
        fresh.run_cpus = w->run_cpus;
    }
    arena_free(&w->arena);
    *w = fresh;
    return true;
}
