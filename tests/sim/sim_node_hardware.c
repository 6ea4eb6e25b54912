/* SPDX-License-Identifier: Apache-2.0 */
/* What a simulated machine is made of. */
#include "api/transcode.h"
#include "proto/baton/v1.pb-c.h"
#include "tests/sim/sim_node_priv.h"

static void add_cpus(struct sim_node *n, const Baton__NodeHardwareSpec *hw)
{
    for (size_t i = 0; i < hw->n_threads; i++)
        n->cpus.bits[hw->threads[i]->cpu / 64] |= 1ull << hw->threads[i]->cpu % 64;
}

/* The test's own machine; the node adds where it is reached. */
static void describe_as_told(struct sim_node *n)
{
    const struct schema_message *m = schema_message(STR("baton.dev.v1.NodeHardwareSpec"));
    struct arena a;
    struct buf raw;
    ProtobufCMessage *hw = NULL;
    char *host = n->where;
    arena_init(&a, 16 << 20);
    buf_init(&raw, 1 << 20);
    CHECK(transcode_from_json(m, str_of(n->sim->options.hardware), &a, NULL, NULL, &raw, NULL) ==
          ERR_OK);
    CHECK(transcode_unpack(m, buf_str(&raw), &a, &hw, NULL) == ERR_OK);
    Baton__NodeHardwareSpec *spec = (Baton__NodeHardwareSpec *)hw;
    spec->host_addresses = &host;
    spec->n_host_addresses = 1;
    add_cpus(n, spec);
    size_t len = protobuf_c_message_get_packed_size(hw);
    protobuf_c_message_pack(hw, (uint8_t *)buf_reserve(&n->hardware, len));
    buf_commit(&n->hardware, len);
    buf_free(&raw);
    arena_free(&a);
}

static void describe(struct sim_node *n)
{
    const struct sim_options *o = &n->sim->options;
    Baton__NodeHardwareSpec hw = BATON__NODE_HARDWARE_SPEC__INIT;
    Baton__Socket socket = BATON__SOCKET__INIT, *sockets[] = {&socket};
    Baton__NumaNode numa = BATON__NUMA_NODE__INIT, *numas[] = {&numa};
    Baton__CacheDomain llc = BATON__CACHE_DOMAIN__INIT, *llcs[] = {&llc};
    Baton__Accelerator accelerator = BATON__ACCELERATOR__INIT;
    Baton__VmmOverhead overhead = BATON__VMM_OVERHEAD__INIT;
    uint32_t threads_count = o->cores * o->threads_per_core;
    Baton__Core *cores = mem_zalloc(o->cores, sizeof *cores);
    Baton__Core **cores_at = mem_zalloc(o->cores, sizeof *cores_at);
    Baton__Thread *threads = mem_zalloc(threads_count, sizeof *threads);
    Baton__Thread **threads_at = mem_zalloc(threads_count, sizeof *threads_at);
    char *host = n->where;
    numa.has_memory_bytes = true;
    numa.memory_bytes = 16ull << 30;
    accelerator.name = (char *)"kvm";
    overhead.has_vm_bytes = true;
    overhead.vm_bytes = 40 << 20;
    for (uint32_t i = 0; i < o->cores; i++) {
        cores[i] = (Baton__Core)BATON__CORE__INIT;
        cores[i].has_id = true;
        cores[i].id = i;
        cores_at[i] = &cores[i];
    }
    for (uint32_t i = 0; i < threads_count; i++) {
        threads[i] = (Baton__Thread)BATON__THREAD__INIT;
        threads[i].has_cpu = threads[i].has_core = true;
        threads[i].cpu = i;
        threads[i].core = i % o->cores;
        threads_at[i] = &threads[i];
    }
    hw.sockets = sockets;
    hw.numa_nodes = numas;
    hw.cache_domains = llcs;
    hw.n_sockets = hw.n_numa_nodes = hw.n_cache_domains = 1;
    hw.cores = cores_at;
    hw.n_cores = o->cores;
    hw.threads = threads_at;
    hw.n_threads = threads_count;
    add_cpus(n, &hw);
    hw.has_shared_cores = hw.has_system_cpu_millis = true;
    hw.shared_cores = 1;
    hw.system_cpu_millis = 250;
    hw.has_storage_bytes = hw.has_reserved_storage_bytes = o->disk_bytes > 0;
    hw.storage_bytes = o->disk_bytes;
    hw.reserved_storage_bytes = o->disk_bytes / 10;
    hw.accelerator = &accelerator;
    hw.vmm_overhead = &overhead;
    hw.host_addresses = &host;
    hw.n_host_addresses = 1;
    size_t len = baton__node_hardware_spec__get_packed_size(&hw);
    baton__node_hardware_spec__pack(&hw, (uint8_t *)buf_reserve(&n->hardware, len));
    buf_commit(&n->hardware, len);
    mem_free(cores);
    mem_free(cores_at);
    mem_free(threads);
    mem_free(threads_at);
}

void sim_node__describe(struct sim_node *n)
{
    if (n->sim->options.hardware != NULL)
        describe_as_told(n);
    else
        describe(n);
}
