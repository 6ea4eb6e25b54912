/* SPDX-License-Identifier: Apache-2.0 */
/* When the agent dials, hangs up and renews: what its control plane may do to it. */
#include "tests/testlib/test.h"
#include "tests/unit/nodeagent/talk.h"

#include <stdio.h>

enum { SENT_MAX = 64 };

struct world {
    struct agent *agent;
    struct instant now;
    uint32_t connects, disconnects;
    char why[160];                  /* Of the last disconnect. */
    int sent[SENT_MAX], sent_count; /* Messages that went up, by case. */
};

static void step(struct world *w, struct agent_event ev)
{
    uint64_t lists[2] = {0};
    ev.now = w->now;
    ev.wall.ns = w->now.ns;
    struct agent_effects fx = agent_step(w->agent, &ev);
    for (uint32_t i = 0; i < fx.count; i++) {
        const struct agent_effect *e = &fx.at[i];
        w->connects += e->type == FX_CONNECT;
        if (e->type == FX_DISCONNECT) {
            w->disconnects++;
            snprintf(w->why, sizeof w->why, "%s", e->text);
        } else if (e->type == FX_LIST) {
            lists[e->kind] = e->op;
        } else if (e->type == FX_SEND && w->sent_count < SENT_MAX) {
            Agent__AgentMessage *m =
                agent__agent_message__unpack(NULL, e->bytes.len, (const uint8_t *)e->bytes.at);
            cr_assert_not_null(m);
            w->sent[w->sent_count++] = m->message_case;
            agent__agent_message__free_unpacked(m, NULL);
        }
    }
    for (int kind = 0; kind < 2; kind++)
        if (lists[kind] != 0) {
            struct runtime_event done;
            step(w, talk_listed((enum runtime_kind)kind, lists[kind], &done));
        }
}

static void begin(struct world *w)
{
    struct agent_config config = {.state_dir = STR("/s"), .cpus = {{0xff}}, .seed = 5};
    *w = (struct world){.now = {1}};
    w->agent = agent_new(&config);
    step(w, (struct agent_event){.type = EV_STARTED});
}

static void say(struct world *w, Agent__ServerMessage *m)
{
    uint8_t bytes[256];
    cr_assert_leq(agent__server_message__get_packed_size(m), sizeof bytes);
    size_t len = agent__server_message__pack(m, bytes);
    step(w, (struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = str_from(bytes, len)});
}

static void greet(struct world *w, uint32_t protocol, struct span renew)
{
    uint8_t room[64];
    step(w, talk_greeting(protocol, renew, room));
}

/* To the agent's next deadline; how long that was. */
static struct span wait(struct world *w)
{
    struct instant at = agent_deadline(w->agent);
    cr_assert(at.ns > w->now.ns, "it waits for something");
    struct span took = instant_sub(at, w->now);
    w->now = at;
    step(w, (struct agent_event){.type = EV_DEADLINE});
    return took;
}

TEST(session, is_dialled_at_once_and_greeted)
{
    struct world w;
    begin(&w);
    cr_assert_eq(w.connects, 1);
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    cr_assert(w.sent_count == 1 && w.sent[0] == AGENT__AGENT_MESSAGE__MESSAGE_HELLO);
    greet(&w, 1, SPAN_S(3));
    cr_assert_eq(w.sent_count, 4);
    cr_assert_eq(w.sent[1], AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE);
    cr_assert_eq(w.sent[2], AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW);
    cr_assert_eq(w.sent[3], AGENT__AGENT_MESSAGE__MESSAGE_STATUS_END);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(wait(&w).ns, SPAN_S(3).ns);
    cr_assert_eq(w.sent_count, 9, "a renewal each time, and nothing else");
    cr_assert_eq(w.disconnects, 0);
    agent_free(w.agent);
}

/* Half of each wait is fixed, half of it rolled; it doubles up to ten seconds. */
TEST(session, backs_off_while_nobody_answers)
{
    struct world w;
    int64_t most = SPAN_MS(500).ns;
    begin(&w);
    for (int i = 0; i < 12; i++) {
        step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
        int64_t took = wait(&w).ns;
        cr_assert(took >= most / 2 && took <= most, "try %d: %lld ns", i, (long long)took);
        cr_assert_eq(w.connects, 2 + (uint32_t)i);
        most = most * 2 > SPAN_S(10).ns ? SPAN_S(10).ns : most * 2;
    }
    agent_free(w.agent);
}

/* One that held is dialled again at once; one that broke soon is not a new beginning. */
TEST(session, forgets_its_back_off_when_one_held)
{
    struct world w;
    begin(&w);
    for (int i = 0; i < 8; i++) {
        step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
        wait(&w);
    }
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    greet(&w, 1, SPAN_S(3));
    step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
    cr_assert_geq(wait(&w).ns, SPAN_S(5).ns, "it broke at once");
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    greet(&w, 1, SPAN_S(3));
    for (int i = 0; i < 11; i++)
        wait(&w);
    step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
    cr_assert_leq(wait(&w).ns, SPAN_MS(500).ns, "it held for thirty seconds");
    agent_free(w.agent);
}

TEST(session, hangs_up_on_who_does_not_greet)
{
    struct world w;
    begin(&w);
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    cr_assert_eq(wait(&w).ns, SPAN_S(20).ns);
    cr_assert_eq(w.disconnects, 1);
    cr_assert_str_eq(w.why, "the control plane did not answer");
    cr_assert_leq(wait(&w).ns, SPAN_MS(500).ns);
    cr_assert_eq(w.connects, 2);
    agent_free(w.agent);
}

/* What comes before a greeting, of another protocol or in no protocol at all ends the session, and is not asked for again soon. */
TEST(session, hangs_up_on_what_it_does_not_understand)
{
    Agent__ServerMessage early = AGENT__SERVER_MESSAGE__INIT;
    Agent__ResyncBegin resync = AGENT__RESYNC_BEGIN__INIT;
    struct world w;
    begin(&w);
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    early.message_case = AGENT__SERVER_MESSAGE__MESSAGE_RESYNC_BEGIN;
    early.resync_begin = &resync;
    say(&w, &early);
    cr_assert_str_eq(w.why, "the control plane did not greet");
    cr_assert_geq(wait(&w).ns, SPAN_S(5).ns);

    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    greet(&w, 2, SPAN_S(3));
    cr_assert_str_eq(w.why, "the control plane speaks another protocol version");
    cr_assert_geq(wait(&w).ns, SPAN_S(5).ns);

    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    step(&w, (struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = STR("\xff\xff\xff")});
    cr_assert_str_eq(w.why, "a message that does not decode");
    cr_assert_eq(w.disconnects, 3);
    agent_free(w.agent);
}

/* Late words of a session that is over change nothing. */
TEST(session, hears_nothing_of_a_session_that_is_over)
{
    struct world w;
    begin(&w);
    step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
    int sent = w.sent_count;
    greet(&w, 1, SPAN_S(3));
    step(&w, (struct agent_event){.type = EV_SESSION_CLOSED});
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    cr_assert_eq(w.sent_count, sent);
    cr_assert_eq(w.disconnects, 0);
    agent_free(w.agent);
}

/* A renewal in no time would be a busy loop: the smallest is a tenth of a second. */
TEST(session, renews_no_faster_than_is_good)
{
    struct world w;
    begin(&w);
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    greet(&w, 1, (struct span){1});
    cr_assert_eq(wait(&w).ns, SPAN_S(3).ns, "the default instead");
    agent_free(w.agent);
}

TEST(session, a_goodbye_says_when_to_come_again)
{
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    Agent__Goodbye bye = AGENT__GOODBYE__INIT;
    struct world w;
    begin(&w);
    step(&w, (struct agent_event){.type = EV_SESSION_OPENED});
    greet(&w, 1, SPAN_S(3));
    bye.has_retry_in_ns = true;
    bye.retry_in_ns = SPAN_S(60).ns;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_GOODBYE;
    m.goodbye = &bye;
    say(&w, &m);
    int64_t took = wait(&w).ns;
    cr_assert(took >= SPAN_S(30).ns && took <= SPAN_S(60).ns);
    cr_assert_eq(w.connects, 2);
    agent_free(w.agent);
}
