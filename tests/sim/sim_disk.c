/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_disk.h"

#include "base/mem.h"
#include "proto/baton/agent/v1.pb-c.h"

enum { OTHERS_BYTES = 4096 };

struct blob *sim_disk_answer(const struct sim_disk *d, uint64_t size_bytes,
                             const struct agent_effect *fx)
{
    Agent__Disk m = AGENT__DISK__INIT;
    Agent__DiskUse *uses = mem_zalloc(fx->measure.count + 1, sizeof *uses);
    m.places = mem_zalloc(fx->measure.count + 1, sizeof *m.places);
    m.has_size_bytes = m.has_free_bytes = true;
    m.size_bytes = size_bytes;
    m.free_bytes = d->free_bytes;
    for (uint32_t i = 0; i < fx->measure.count; i++) {
        const struct agent_place *p = &fx->measure.at[i];
        Agent__DiskUse *u = m.places[m.n_places++] = &uses[i];
        bool named = p->kind != AGENT_PLACE_LOGS && str_is(p->name, d->place);
        agent__disk_use__init(u);
        u->workload_uid = (char *)p->uid.at;
        u->name = (char *)p->name.at;
        u->has_kind = u->has_bytes = u->has_inodes = true;
        u->kind = (uint32_t)p->kind;
        u->bytes = named ? d->bytes : OTHERS_BYTES;
        u->inodes = 1;
    }
    size_t len = agent__disk__get_packed_size(&m);
    uint8_t *bytes = mem_zalloc(1, len + 1);
    agent__disk__pack(&m, bytes);
    struct blob *out = blob_new(str_from(bytes, len));
    mem_free(bytes);
    mem_free(m.places);
    mem_free(uses);
    return out;
}
