/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardware.h -- the plainest machine an agent can report: one socket, one NUMA node, one cache, cores of one thread.
 *
 * OWNS   Everything is in struct hardware, which must not move once it was made.
 */
#ifndef TESTLIB_HARDWARE_H
#define TESTLIB_HARDWARE_H

#include "proto/baton/agent/v1.pb-c.h"
#include "proto/baton/v1.pb-c.h"

enum { HARDWARE_CORES_MAX = 64 };

struct hardware {
    Baton__NodeHardwareSpec spec;
    Baton__Socket socket, *sockets[1];
    Baton__NumaNode numa, *numas[1];
    Baton__CacheDomain llc, *llcs[1];
    Baton__Core cores[HARDWARE_CORES_MAX], *cores_at[HARDWARE_CORES_MAX];
    Baton__Thread threads[HARDWARE_CORES_MAX], *threads_at[HARDWARE_CORES_MAX];
    Agent__Hardware said;
};

/* Core 0 is in the shared pool always; whatever else is to be said, the caller sets in h->spec. */
static inline void hardware_make(struct hardware *h, uint32_t cores, uint64_t memory_bytes)
{
    *h = (struct hardware){.spec = BATON__NODE_HARDWARE_SPEC__INIT,
                           .socket = BATON__SOCKET__INIT,
                           .numa = BATON__NUMA_NODE__INIT,
                           .llc = BATON__CACHE_DOMAIN__INIT,
                           .said = AGENT__HARDWARE__INIT};
    h->sockets[0] = &h->socket;
    h->numas[0] = &h->numa;
    h->llcs[0] = &h->llc;
    h->numa.has_memory_bytes = true;
    h->numa.memory_bytes = memory_bytes;
    for (uint32_t i = 0; i < cores; i++) {
        h->cores[i] = (Baton__Core)BATON__CORE__INIT;
        h->threads[i] = (Baton__Thread)BATON__THREAD__INIT;
        h->cores[i].has_id = h->threads[i].has_cpu = h->threads[i].has_core = true;
        h->cores[i].id = h->threads[i].cpu = h->threads[i].core = i;
        h->cores_at[i] = &h->cores[i];
        h->threads_at[i] = &h->threads[i];
    }
    Baton__NodeHardwareSpec *s = &h->spec;
    s->sockets = h->sockets;
    s->numa_nodes = h->numas;
    s->cache_domains = h->llcs;
    s->n_sockets = s->n_numa_nodes = s->n_cache_domains = 1;
    s->cores = h->cores_at;
    s->threads = h->threads_at;
    s->n_cores = s->n_threads = cores;
    s->has_shared_cores = true;
    s->shared_cores = 1;
}

/* As an agent says it; points into h. */
static inline Agent__AgentMessage hardware_message(struct hardware *h)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    h->said.spec = &h->spec;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &h->said;
    return m;
}

#endif /* TESTLIB_HARDWARE_H */
