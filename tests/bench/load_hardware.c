/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_hardware.h"

enum { THREADS = 64 };

static Baton__Core cores[THREADS], *cores_at[THREADS];
static Baton__Thread threads[THREADS], *threads_at[THREADS];

static void rows_fill(void)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        cores[i] = (Baton__Core)BATON__CORE__INIT;
        threads[i] = (Baton__Thread)BATON__THREAD__INIT;
        cores[i].has_id = threads[i].has_cpu = threads[i].has_core = true;
        cores[i].id = threads[i].cpu = threads[i].core = i;
        cores_at[i] = &cores[i];
        threads_at[i] = &threads[i];
    }
}

const Agent__AgentMessage *load_hardware(void)
{
    static Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    static Agent__Hardware h = AGENT__HARDWARE__INIT;
    static Baton__NodeHardwareSpec hw = BATON__NODE_HARDWARE_SPEC__INIT;
    static Baton__Socket socket = BATON__SOCKET__INIT, *sockets[] = {&socket};
    static Baton__NumaNode numa = BATON__NUMA_NODE__INIT, *numas[] = {&numa};
    static Baton__CacheDomain llc = BATON__CACHE_DOMAIN__INIT, *llcs[] = {&llc};

    rows_fill();
    numa.has_memory_bytes = true;
    numa.memory_bytes = 256ull << 30;
    hw.sockets = sockets;
    hw.numa_nodes = numas;
    hw.cache_domains = llcs;
    hw.n_sockets = hw.n_numa_nodes = hw.n_cache_domains = 1;
    hw.cores = cores_at;
    hw.threads = threads_at;
    hw.n_cores = hw.n_threads = THREADS;
    hw.has_shared_cores = hw.has_workloads_max = true;
    hw.shared_cores = 1;
    hw.workloads_max = 1000;
    h.spec = &hw;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &h;
    return &m;
}
