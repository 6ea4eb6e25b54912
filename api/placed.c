/* SPDX-License-Identifier: Apache-2.0 */
/* Fields stand by rising number, and an empty one is not there: the canonical form (api/transcode.h). */
#include "api/placed.h"

#include "api/transcode.h"
#include "base/wire.h"

/* proto/baton/v1.proto; k8s.io/apimachinery/pkg/apis/meta/v1. */
enum { PLACEMENT_METADATA = 1, PLACEMENT_SPEC = 2, PLACEMENT_STATUS = 3 };
enum {
    META_NAME = 1,
    META_NAMESPACE = 3,
    META_UID = 5,
    META_RESOURCE_VERSION = 6,
    META_CREATED = 8,
    META_OWNERS = 13,
};
enum { OWNER_KIND = 1, OWNER_NAME = 3, OWNER_UID = 4, OWNER_API_VERSION = 5, OWNER_CONTROLLER = 6 };
enum { TIME_SECONDS = 1, TIME_NANOS = 2 };
enum {
    SPEC_WORKLOAD = 1,
    SPEC_NODE = 2,
    SPEC_EXCLUSIVE = 4,
    SPEC_SHARED_MILLIS = 5,
    SPEC_EMULATOR_IN_POOL = 6,
    SPEC_MEMORY = 7,
    SPEC_MEMORY_BYTES = 8,
    SPEC_OVERHEAD_BYTES = 9,
    SPEC_HUGEPAGES = 10,
    SPEC_ADDRESSES = 14,
    SPEC_HOST_NETWORK = 15,
    SPEC_DECISION = 16,
    SPEC_GENERATION = 17,
};
enum { REF_API_VERSION = 1, REF_KIND = 2, REF_NAMESPACE = 3, REF_NAME = 4, REF_UID = 5 };
enum { EXCLUSIVE_CPUS = 1, EXCLUSIVE_CORES = 2 };
enum { MEMORY_NUMA = 1, MEMORY_BYTES = 2 };
enum { HUGE_NUMA = 1, HUGE_PAGE_BYTES = 2, HUGE_PAGES = 3 };
enum { ADDRESS_IP = 1, ADDRESS_PREFIX = 2, ADDRESS_GATEWAY = 3, ADDRESS_MAC = 4 };
enum { DECISION_REASON = 1, DECISION_CONSIDERED = 2, DECISION_AT = 5 };
enum { STATUS_PHASE = 1 };

static void put_text(struct buf *out, uint32_t number, struct str text)
{
    if (text.len > 0)
        wire_put_bytes(out, number, text);
}

static void put_number(struct buf *out, uint32_t number, uint64_t value)
{
    if (value != 0)
        wire_put_u64(out, number, value);
}

static void put_ip(struct buf *out, uint32_t number, uint32_t ip)
{
    size_t begin = wire_begin(out, number);
    for (int shift = 24; shift >= 0; shift -= 8) {
        buf_add_u64(out, ip >> shift & 255);
        if (shift > 0)
            buf_add_char(out, '.');
    }
    wire_end(out, begin);
}

static void put_mac(struct buf *out, uint32_t number, uint64_t mac)
{
    static const char digits[] = "0123456789abcdef";
    char text[17];
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t byte = (uint32_t)(mac >> (40 - 8 * i)) & 255;
        text[3 * i] = digits[byte >> 4];
        text[3 * i + 1] = digits[byte & 15];
        if (i < 5)
            text[3 * i + 2] = ':';
    }
    wire_put_bytes(out, number, str_from(text, sizeof text));
}

static void put_time(struct buf *out, uint32_t number, struct wall at, int64_t nanos)
{
    size_t begin = wire_begin(out, number);
    put_number(out, TIME_SECONDS, (uint64_t)wall_seconds(at));
    put_number(out, TIME_NANOS, (uint64_t)nanos);
    wire_end(out, begin);
}

static void put_metadata(const struct placed *p, struct buf *out)
{
    size_t begin = wire_begin(out, PLACEMENT_METADATA);
    put_text(out, META_NAME, p->name);
    put_text(out, META_NAMESPACE, p->namespace);
    put_text(out, META_UID, p->uid);
    if (p->revision != 0) {
        size_t text = wire_begin(out, META_RESOURCE_VERSION);
        buf_add_u64(out, p->revision);
        wire_end(out, text);
    }
    put_time(out, META_CREATED, p->now, 0);
    size_t owner = wire_begin(out, META_OWNERS);
    put_text(out, OWNER_KIND, p->workload.kind);
    put_text(out, OWNER_NAME, p->workload.name);
    put_text(out, OWNER_UID, p->workload.uid);
    put_text(out, OWNER_API_VERSION, p->workload.api_version);
    wire_put_u64(out, OWNER_CONTROLLER, 1);
    wire_end(out, owner);
    wire_end(out, begin);
}

static void put_workload(const struct placed *p, struct buf *out)
{
    size_t begin = wire_begin(out, SPEC_WORKLOAD);
    put_text(out, REF_API_VERSION, p->workload.api_version);
    put_text(out, REF_KIND, p->workload.kind);
    put_text(out, REF_NAMESPACE, p->namespace);
    put_text(out, REF_NAME, p->workload.name);
    put_text(out, REF_UID, p->workload.uid);
    wire_end(out, begin);
}

static void put_exclusive(const struct placed *p, struct buf *out)
{
    if (p->cpus_count == 0)
        return;
    size_t begin = wire_begin(out, SPEC_EXCLUSIVE);
    for (uint32_t i = 0; i < p->cpus_count; i++)
        wire_put_u64(out, EXCLUSIVE_CPUS, p->cpus[i]);
    for (uint32_t i = 0; i < p->cores_count; i++)
        wire_put_u64(out, EXCLUSIVE_CORES, p->cores[i]);
    wire_end(out, begin);
}

static void put_memory(const struct placed *p, struct buf *out)
{
    for (uint32_t i = 0; i < p->numa_count; i++) {
        if (p->numa[i].bytes == 0)
            continue;
        size_t begin = wire_begin(out, SPEC_MEMORY);
        put_number(out, MEMORY_NUMA, p->numa[i].id);
        wire_put_u64(out, MEMORY_BYTES, p->numa[i].bytes);
        wire_end(out, begin);
    }
    put_number(out, SPEC_MEMORY_BYTES, p->memory_bytes);
    put_number(out, SPEC_OVERHEAD_BYTES, p->overhead_bytes);
}

static void put_pages(struct buf *out, uint32_t numa, uint64_t page_bytes, uint32_t pages)
{
    if (pages == 0)
        return;
    size_t begin = wire_begin(out, SPEC_HUGEPAGES);
    put_number(out, HUGE_NUMA, numa);
    wire_put_u64(out, HUGE_PAGE_BYTES, page_bytes);
    wire_put_u64(out, HUGE_PAGES, pages);
    wire_end(out, begin);
}

static void put_address(const struct placed *p, struct buf *out)
{
    if (p->address == 0)
        return;
    size_t begin = wire_begin(out, SPEC_ADDRESSES);
    put_ip(out, ADDRESS_IP, p->address);
    put_number(out, ADDRESS_PREFIX, p->prefix);
    if (p->gateway.len > 0)
        wire_put_bytes(out, ADDRESS_GATEWAY, p->gateway);
    else
        put_ip(out, ADDRESS_GATEWAY, p->gateway_address);
    if (p->mac != 0)
        put_mac(out, ADDRESS_MAC, p->mac);
    wire_end(out, begin);
}

static void put_decision(const struct placed *p, struct buf *out)
{
    size_t begin = wire_begin(out, SPEC_DECISION);
    put_text(out, DECISION_REASON, p->reason);
    put_number(out, DECISION_CONSIDERED, p->nodes_considered);
    put_time(out, DECISION_AT, p->now, p->now.ns % 1000000000 / 1000 * 1000);
    wire_end(out, begin);
}

static void put_spec(const struct placed *p, struct buf *out)
{
    size_t begin = wire_begin(out, PLACEMENT_SPEC);
    put_workload(p, out);
    put_text(out, SPEC_NODE, p->node);
    put_exclusive(p, out);
    put_number(out, SPEC_SHARED_MILLIS, p->shared_milli);
    put_number(out, SPEC_EMULATOR_IN_POOL, p->emulator_in_pool);
    put_memory(p, out);
    for (uint32_t i = 0; i < p->numa_count; i++) {
        put_pages(out, p->numa[i].id, 2ull << 20, p->numa[i].hugepages_2m);
        put_pages(out, p->numa[i].id, 1ull << 30, p->numa[i].hugepages_1g);
    }
    put_address(p, out);
    put_number(out, SPEC_HOST_NETWORK, p->host_network);
    put_decision(p, out);
    wire_put_u64(out, SPEC_GENERATION, 1);
    wire_end(out, begin);
}

void placed_write(const struct placed *p, struct buf *out)
{
    static const struct transcode_head head = {STR("baton.dev/v1"), STR("Placement")};
    size_t begin = transcode_wrap_open(&head, out);
    put_metadata(p, out);
    put_spec(p, out);
    size_t status = wire_begin(out, PLACEMENT_STATUS);
    wire_put_bytes(out, STATUS_PHASE, STR("Held"));
    wire_end(out, status);
    transcode_wrap_close(begin, out);
}
