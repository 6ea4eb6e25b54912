/* SPDX-License-Identifier: Apache-2.0 */
/* A recording's frames as the events they were. What is read is input: it may be anything. */
#include "controlplane/core/recording.h"

#include "api/typed.h"

#include <stdio.h>

bool recording_next(struct str *rest, struct arena *a, Flight__Frame **out)
{
    ProtobufCAllocator allocator = typed_allocator(a);
    struct str frame;
    if (!recorder_next(rest, &frame))
        return false;
    *out = flight__frame__unpack(&allocator, frame.len, (const uint8_t *)frame.at);
    return *out != NULL;
}

static struct str text_of(const ProtobufCBinaryData *b)
{
    return str_from((const char *)b->data, b->len);
}

static struct blob *blob_of(protobuf_c_boolean has, const ProtobufCBinaryData *b)
{
    return has ? blob_new(text_of(b)) : NULL;
}

void recording_config_of(const Flight__Control *from, struct core_config *out)
{
    *out = (struct core_config){.seed = from->seed,
                                .history_bytes = (size_t)from->history_bytes,
                                .cluster_id = text_of(&from->cluster_id),
                                .ca_bundle = text_of(&from->ca_bundle),
                                .pod_network = text_of(&from->pod_network),
                                .node_prefix = from->node_prefix};
}

static bool write_of(const Flight__Write *from, struct write_request *out)
{
    if (from == NULL || from->verb > WRITE_DELETE ||
        (from->verb != WRITE_DELETE && !from->has_object))
        return false;
    *out = (struct write_request){.verb = (enum write_verb)from->verb,
                                  .key = text_of(&from->key),
                                  .generate = text_of(&from->generate),
                                  .object = blob_of(from->has_object, &from->object),
                                  .if_revision = from->if_revision,
                                  .if_uid = text_of(&from->if_uid),
                                  .grace_seconds = from->grace_seconds,
                                  .propagation = text_of(&from->propagation),
                                  .spends = text_of(&from->spends),
                                  .spends_uid = text_of(&from->spends_uid),
                                  .evicts = from->evicts,
                                  .dry_run = from->dry_run};
    return true;
}

static bool store_of(const Flight__Told *from, uint64_t op, struct store_event *out)
{
    if (from == NULL || from->type > STORE_DONE || from->code > ERR_CORRUPT ||
        (from->type == STORE_ROW && !from->has_key))
        return false;
    *out = (struct store_event){.type = (enum store_event_type)from->type,
                                .op = op,
                                .code = (enum err_code)from->code,
                                .revision = from->revision,
                                .oldest = from->oldest,
                                .fence = from->fence,
                                .key = blob_of(from->has_key, &from->key),
                                .value = blob_of(from->has_value, &from->value),
                                .sealed = from->sealed};
    out->err.code = out->code;
    snprintf(out->err.text, sizeof out->err.text, STR_FMT, STR_ARG(text_of(&from->text)));
    return true;
}

bool recording_event_of(const Flight__Turn *from, struct recording_parts *parts,
                        struct core_event *out)
{
    *parts = (struct recording_parts){0};
    *out = (struct core_event){.type = (enum core_event_type)from->type,
                               .now = {from->now_ns},
                               .wall = {from->wall_ns},
                               .op = from->op};
    if (from->type > EV_DEADLINE)
        return false;
    if (out->type == EV_WRITE) {
        out->write = &parts->write;
        return write_of(from->write, &parts->write);
    }
    if (out->type == EV_STORE_ROW || out->type == EV_STORE_DONE) {
        out->store = &parts->store;
        return store_of(from->told, from->op, &parts->store);
    }
    if (out->type != EV_STARTED && out->type != EV_DEADLINE) {
        out->agent.session = from->session;
        out->agent.node = text_of(&from->node);
        out->agent.bytes = text_of(&from->bytes);
    }
    return true;
}

void recording_parts_free(struct recording_parts *parts)
{
    blob_unref(parts->write.object);
    blob_unref(parts->store.key);
    blob_unref(parts->store.value);
    *parts = (struct recording_parts){0};
}
