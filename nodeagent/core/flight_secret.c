/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets come to a node inside of Assigns, as dependencies of plural "secrets". Values are overwritten, keys and sizes stay: what
 * the core decides hangs on them, and on no value. */
#include "api/blank.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/flight_priv.h"

static const struct str UNDECODED = {"\xff", 1};

/* False: something is in there that cannot be looked at, so it cannot be written. */
static bool blank_dependency(struct arena *a, Agent__Dependency *d)
{
    if (!d->has_object)
        return true;
    struct str blank = blank_secret(a, str_from((const char *)d->object.data, d->object.len));
    d->object = (ProtobufCBinaryData){blank.len, (uint8_t *)(uintptr_t)blank.at};
    return blank.at != NULL;
}

static bool blank_assign(struct arena *a, const Agent__Assign *assign)
{
    for (size_t i = 0; assign != NULL && i < assign->n_dependencies; i++) {
        Agent__Dependency *d = assign->dependencies[i];
        bool plain = d->plural != NULL && strcmp(d->plural, "configmaps") == 0;
        if (!plain && !blank_dependency(a, d))
            return false;
    }
    return true;
}

struct str flight__packed(struct arena *a, const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *out = arena_alloc(a, len + 1);
    if (out == NULL)
        return UNDECODED;
    protobuf_c_message_pack(m, out);
    return str_from((const char *)out, len);
}

struct str flight__without_secrets(struct arena *a, enum agent_event_type type, struct str bytes)
{
    ProtobufCAllocator allocator = typed_allocator(a);
    const uint8_t *at = (const uint8_t *)bytes.at;
    if (type != EV_SAVED && type != EV_SESSION_MESSAGE)
        return bytes; /* The agent's own: images, sizes. */
    if (type == EV_SAVED) {
        Agent__Record *r = agent__record__unpack(&allocator, bytes.len, at);
        return r != NULL && blank_assign(a, r->assign) ? flight__packed(a, &r->base) : UNDECODED;
    }
    Agent__ServerMessage *m = agent__server_message__unpack(&allocator, bytes.len, at);
    bool assign = m != NULL && m->message_case == AGENT__SERVER_MESSAGE__MESSAGE_ASSIGN;
    if (m == NULL || (assign && !blank_assign(a, m->assign)))
        return UNDECODED;
    return assign && m->assign->n_dependencies > 0 ? flight__packed(a, &m->base) : bytes;
}
