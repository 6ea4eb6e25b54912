/* SPDX-License-Identifier: Apache-2.0 */
/* What comes down the session is input: a record from disk, then messages, against a whole agent that
 * performs what it is told and is always told that it worked. First byte of each part: its length / 8. */
#include "nodeagent/core/agent_priv.h"

static struct agent *agent;
static struct agent_image image;

static void feed(struct agent_event ev)
{
    struct agent_event todo[256] = {ev};
    struct agent_host_done done = {.image = image, .network = STR("ns")};
    struct runtime_event answers[256];
    uint32_t count = 1;
    for (uint32_t i = 0; i < count; i++) {
        todo[i].now = (struct instant){1000000000};
        todo[i].wall = (struct wall){1700000000ll * 1000000000};
        struct agent_effects fx = agent_step(agent, &todo[i]);
        for (uint32_t k = 0; k < fx.count && count < 256; k++) {
            const struct agent_effect *e = &fx.at[k];
            if (e->type >= FX_SAVE && e->type <= FX_CLEAN) {
                todo[count++] =
                    (struct agent_event){.type = EV_HOST_DONE, .op = e->op, .host = &done};
            } else if (e->type >= FX_CREATE && e->type <= FX_LIST) {
                answers[count] = (struct runtime_event){.type = RUNTIME_DONE, .op = e->op};
                todo[count] = (struct agent_event){.type = EV_RUNTIME, .op = e->op};
                todo[count].runtime.kind = e->kind;
                todo[count].runtime.event = &answers[count];
                count++;
            } else if (e->type == FX_CONNECT) {
                todo[count++] = (struct agent_event){.type = EV_SESSION_OPENED};
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Baton__NodeHardwareSpec hw = BATON__NODE_HARDWARE_SPEC__INIT;
    uint8_t hello[64];
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__HelloReply r = AGENT__HELLO_REPLY__INIT;
    static const struct str cmd[] = {STR("run")};
    struct agent_config config = {.state_dir = STR("/s"), .cpus = {{0xff}}};
    (void)hw; /* Empty: its encoding has no bytes. */
    image = (struct agent_image){.cmd = cmd, .cmd_count = 1};
    agent = agent_new(&config);
    r.has_protocol = true;
    r.protocol = 1;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY;
    m.hello_reply = &r;
    size_t len = agent__server_message__pack(&m, hello);
    bool first = true;
    for (size_t at = 0; at < size;) {
        size_t part = min_size((size_t)data[at] * 8, size - at - 1);
        struct str bytes = str_from(data + at + 1, part);
        if (first) {
            feed((struct agent_event){.type = EV_SAVED, .bytes = bytes});
            feed((struct agent_event){.type = EV_STARTED});
            feed((struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = str_from(hello, len)});
            first = false;
        } else {
            feed((struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = bytes});
        }
        at += part + 1;
    }
    const char *why;
    if (!agent_invariant(agent, &why))
        __builtin_trap();
    agent_free(agent);
    return 0;
}
