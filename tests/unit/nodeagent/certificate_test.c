/* SPDX-License-Identifier: Apache-2.0 */
/* When the agent asks for a new certificate: a function of two clocks and of what was answered. */
#include "tests/testlib/test.h"
#include "tests/unit/nodeagent/talk.h"

#include <stdio.h>

enum { LIFE_S = 12000, STEPS_MAX = 10000 }; /* Two thirds: 8000; three quarters: 9000. */

struct world {
    struct agent *agent;
    struct instant now;
    int64_t wall_s;
    bool is_away; /* Nobody answers a dial. */
    bool refuses; /* A renewal fails. */
    uint32_t asked, told, connects, disconnects;
    int64_t asked_at_s; /* The last one. */
    char text[400];
    uint64_t op; /* A renewal that waits for its answer. */
};

static void step(struct world *w, struct agent_event ev)
{
    bool connects = false;
    uint64_t lists[2] = {0};
    ev.now = w->now;
    ev.wall.ns = w->wall_s * 1000000000;
    struct agent_effects fx = agent_step(w->agent, &ev);
    for (uint32_t i = 0; i < fx.count; i++) {
        const struct agent_effect *e = &fx.at[i];
        if (e->type == FX_RENEW) {
            w->op = e->op;
            w->asked++;
            w->asked_at_s = w->wall_s;
        } else if (e->type == FX_TELL) {
            w->told++;
            snprintf(w->text, sizeof w->text, "%s", e->text);
        } else if (e->type == FX_DISCONNECT) {
            w->disconnects++;
        } else if (e->type == FX_CONNECT) {
            connects = true;
        } else if (e->type == FX_LIST) {
            lists[e->kind] = e->op;
        }
    }
    for (int kind = 0; kind < 2; kind++)
        if (lists[kind] != 0) {
            struct runtime_event done;
            step(w, talk_listed((enum runtime_kind)kind, lists[kind], &done));
        }
    if (!connects)
        return;
    w->connects++;
    if (w->is_away) {
        step(w, (struct agent_event){.type = EV_SESSION_CLOSED});
        return;
    }
    uint8_t room[64];
    step(w, (struct agent_event){.type = EV_SESSION_OPENED});
    step(w, talk_greeting(1, (struct span){0}, room));
}

static void answer(struct world *w, int64_t until_s)
{
    struct agent_host_done done = {
        .code = w->refuses ? ERR_UNAVAILABLE : ERR_OK,
        .text = "nobody answers",
        .certificate = {{w->wall_s * 1000000000}, {until_s * 1000000000}}};
    uint64_t op = w->op;
    w->op = 0;
    step(w, (struct agent_event){.type = EV_HOST_DONE, .op = op, .host = &done});
}

/* Both clocks go on by what the agent's deadlines ask for; renewals are answered at once. */
static void live(struct world *w, int64_t seconds)
{
    struct instant end = instant_add(w->now, SPAN_S(seconds));
    struct instant begun = w->now;
    int64_t wall = w->wall_s;
    for (uint32_t steps = 0; w->now.ns < end.ns; steps++) {
        struct instant at = agent_deadline(w->agent);
        cr_assert_lt(steps, STEPS_MAX, "the agent spins");
        cr_assert(at.ns == 0 || at.ns >= w->now.ns);
        w->now = at.ns == 0 || at.ns > end.ns ? end : at;
        w->wall_s = wall + (w->now.ns - begun.ns) / 1000000000;
        step(w, (struct agent_event){.type = EV_DEADLINE});
        if (w->op != 0)
            answer(w, w->wall_s + LIFE_S);
    }
}

static void begin(struct world *w, bool is_away, uint64_t seed)
{
    struct agent_config config = {.state_dir = STR("/s"),
                                  .cpus = {{0xff}},
                                  .certificate = {{0}, {(int64_t)LIFE_S * 1000000000}},
                                  .seed = seed};
    *w = (struct world){.is_away = is_away, .now = {1}};
    w->agent = agent_new(&config);
    step(w, (struct agent_event){.type = EV_STARTED});
}

TEST(certificate, is_renewed_between_two_thirds_and_three_quarters_of_its_life)
{
    int64_t at[2];
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct world w;
        begin(&w, false, seed);
        live(&w, 7999);
        cr_assert_eq(w.asked, 0);
        live(&w, 1010);
        cr_assert_eq(w.asked, 1, "asked %u times", w.asked);
        cr_assert(w.asked_at_s >= 8000 && w.asked_at_s <= 9000);
        cr_assert_eq(w.disconnects, 1, "the session shows the new one");
        cr_assert_eq(w.connects, 2);
        live(&w, 7000);
        cr_assert_eq(w.asked, 1, "the new one counts from when it was made");
        live(&w, 2000);
        cr_assert_eq(w.asked, 2);
        cr_assert_eq(w.told, 0);
        at[seed] = w.asked_at_s;
        agent_free(w.agent);
    }
    cr_assert_neq(at[0], at[1], "two nodes do not ask together");
}

TEST(certificate, a_refusal_is_tried_again_until_it_ends_and_then_told_once)
{
    struct world w;
    begin(&w, false, 1);
    w.refuses = true;
    live(&w, LIFE_S - 1);
    uint32_t asked = w.asked;
    cr_assert(asked >= 6 && asked <= 40, "asked %u times", asked);
    cr_assert_eq(w.disconnects, 0, "the session stays");
    cr_assert_eq(w.told, 0);
    live(&w, 3600);
    cr_assert_leq(w.asked, asked + 1);
    cr_assert_eq(w.told, 1);
    cr_assert_not_null(strstr(w.text, "1970-01-01T03:20:00Z"), "%s", w.text);
    cr_assert_not_null(strstr(w.text, "baton token create"));
    agent_free(w.agent);
}

TEST(certificate, a_refusal_that_ends_is_forgotten)
{
    struct world w;
    begin(&w, false, 2);
    w.refuses = true;
    live(&w, 9500);
    cr_assert_geq(w.asked, 1);
    w.refuses = false;
    live(&w, LIFE_S - 9501);
    cr_assert_eq(w.disconnects, 1);
    live(&w, 3600);
    cr_assert_eq(w.told, 0);
    agent_free(w.agent);
}

TEST(certificate, nobody_is_asked_while_the_session_is_away)
{
    struct world w;
    begin(&w, true, 3);
    live(&w, LIFE_S - 100);
    cr_assert_eq(w.asked, 0);
    w.is_away = false;
    live(&w, 60);
    cr_assert_eq(w.asked, 1, "as soon as it is back");
    agent_free(w.agent);
}

TEST(certificate, its_end_is_told_without_a_session)
{
    struct world w;
    begin(&w, true, 4);
    live(&w, LIFE_S + 3700);
    cr_assert_eq(w.asked, 0);
    cr_assert_eq(w.told, 1);
    agent_free(w.agent);
}

TEST(certificate, a_wall_clock_that_was_set_is_noticed_within_the_hour)
{
    struct world w;
    begin(&w, true, 5);
    live(&w, 10);
    w.wall_s = 3 * LIFE_S;
    live(&w, 3601);
    cr_assert_eq(w.told, 1);
    agent_free(w.agent);
}
