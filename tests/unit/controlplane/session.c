/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/session.h"

#include <stdlib.h>

void session_event(struct world *w, enum core_event_type type, uint64_t session, const char *node,
                   struct str bytes)
{
    struct core_event ev = {.type = type,
                            .now = w->now,
                            .wall = w->wall,
                            .agent = {.session = session, .node = str_of(node), .bytes = bytes}};
    core_step(w->core, &ev);
}

void session_says(struct world *w, uint64_t session, Agent__AgentMessage *m)
{
    size_t len = agent__agent_message__get_packed_size(m);
    uint8_t *bytes = malloc(len + 1);
    agent__agent_message__pack(m, bytes);
    session_event(w, EV_AGENT_MESSAGE, session, "", str_from(bytes, len));
    free(bytes);
}

void session_hello(struct world *w, uint64_t session, const char *node)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello h = AGENT__HELLO__INIT;
    session_event(w, EV_AGENT_OPENED, session, node, STR(""));
    h.has_protocol_min = h.has_protocol_max = true;
    h.protocol_min = h.protocol_max = 1;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &h;
    session_says(w, session, &m);
}
