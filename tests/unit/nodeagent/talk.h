/* SPDX-License-Identifier: Apache-2.0 */
/* talk.h -- what an agent's core is told by everybody else before it does anything: empty runtimes, a greeting. */
#ifndef UNIT_NODEAGENT_TALK_H
#define UNIT_NODEAGENT_TALK_H

#include "nodeagent/core/agent.h"
#include "proto/baton/agent/v1.pb-c.h"

/* A runtime answers FX_LIST: nothing is there. done: room for it, until the step is over. */
static inline struct agent_event talk_listed(enum runtime_kind kind, uint64_t op,
                                             struct runtime_event *done)
{
    *done = (struct runtime_event){.type = RUNTIME_DONE, .op = op};
    struct agent_event ev = {.type = EV_RUNTIME, .op = op};
    ev.runtime.kind = kind;
    ev.runtime.event = done;
    return ev;
}

/* The control plane greets. renew 0: it does not say how often. */
static inline struct agent_event talk_greeting(uint32_t protocol, struct span renew,
                                               uint8_t room[64])
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__HelloReply r = AGENT__HELLO_REPLY__INIT;
    r.has_protocol = true;
    r.protocol = protocol;
    r.has_renew_ns = renew.ns != 0;
    r.renew_ns = renew.ns;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY;
    m.hello_reply = &r;
    size_t len = agent__server_message__pack(&m, room);
    return (struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = str_from(room, len)};
}

#endif /* UNIT_NODEAGENT_TALK_H */
