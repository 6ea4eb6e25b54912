/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent tells of its images: when a session begins, when they are others, and not too often. */
#include "tests/testlib/test.h"
#include "tests/unit/nodeagent/talk.h"

struct world {
    struct agent *agent;
    struct instant now;
    uint32_t told;
    size_t last_count;
};

static void step(struct world *w, struct agent_event ev)
{
    ev.now = w->now;
    struct agent_effects fx = agent_step(w->agent, &ev);
    for (uint32_t i = 0; i < fx.count; i++) {
        if (fx.at[i].type != FX_SEND)
            continue;
        struct str bytes = fx.at[i].bytes;
        Agent__AgentMessage *m =
            agent__agent_message__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
        cr_assert_not_null(m);
        if (m->message_case == AGENT__AGENT_MESSAGE__MESSAGE_IMAGES) {
            w->told++;
            w->last_count = m->images->n_images;
        }
        agent__agent_message__free_unpacked(m, NULL);
    }
}

static void have(struct world *w, size_t count)
{
    Agent__Images m = AGENT__IMAGES__INIT;
    Agent__Image one = AGENT__IMAGE__INIT, *list[4] = {&one, &one, &one, &one};
    char name[] = "docker.io/library/a:1", *names[] = {name};
    uint8_t bytes[256];
    one.names = names;
    one.n_names = 1;
    m.images = list;
    m.n_images = count;
    size_t len = agent__images__pack(&m, bytes);
    step(w, (struct agent_event){.type = EV_IMAGES, .bytes = str_from(bytes, len)});
}

/* Both lists of runtimes are empty, and the control plane greets. */
static void open_session(struct world *w)
{
    uint8_t room[64];
    step(w, (struct agent_event){.type = EV_SESSION_OPENED});
    step(w, talk_greeting(1, (struct span){0}, room));
}

static void begin(struct world *w)
{
    struct agent_config config = {.state_dir = STR("/s"), .cpus = {{0xff}}, .seed = 1};
    struct agent_event started = {.type = EV_STARTED, .now = {1}};
    uint64_t lists[2] = {0};
    *w = (struct world){.now = {1}};
    w->agent = agent_new(&config);
    struct agent_effects fx = agent_step(w->agent, &started);
    for (uint32_t i = 0; i < fx.count; i++)
        if (fx.at[i].type == FX_LIST)
            lists[fx.at[i].kind] = fx.at[i].op;
    for (int kind = 0; kind < 2; kind++) {
        struct runtime_event done;
        step(w, talk_listed((enum runtime_kind)kind, lists[kind], &done));
    }
}

TEST(images, are_told_with_every_session_and_a_burst_once_more)
{
    struct world w;
    begin(&w);
    have(&w, 1);
    cr_assert_eq(w.told, 0, "nobody listens yet");
    open_session(&w);
    cr_assert_eq(w.told, 1);
    for (size_t i = 2; i < 4; i++)
        have(&w, i);
    cr_assert_eq(w.told, 1);
    struct instant due = agent_deadline(w.agent);
    cr_assert(due.ns > w.now.ns);
    w.now = instant_add(w.now, SPAN_S(11));
    step(&w, (struct agent_event){.type = EV_DEADLINE});
    cr_assert_eq(w.told, 2);
    cr_assert_eq(w.last_count, 3);
    w.now = instant_add(w.now, SPAN_S(11));
    step(&w, (struct agent_event){.type = EV_DEADLINE});
    cr_assert_eq(w.told, 2, "nothing has changed");
    have(&w, 2);
    cr_assert_eq(w.told, 3);
    step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
    open_session(&w);
    agent_free(w.agent);
}
