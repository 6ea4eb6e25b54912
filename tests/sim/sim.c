/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

struct sim *sim_new(const struct sim_options *o)
{
    struct sim *s = mem_zalloc(1, sizeof *s);
    CHECK(o->nodes <= SIM_NODES_MAX);
    s->options = *o;
    s->now = (struct instant){1};
    s->wall = (struct wall){1700000000ll * 1000000000};
    s->hash = 14695981039346656037ull;
    rng_seed(&s->rng, o->seed);
    buf_init(&s->story, SIM_STORY_MAX);
    s->control = sim_control_new(s);
    for (uint32_t i = 0; i < o->nodes; i++)
        s->nodes[i] = sim_node_new(s, i);
    return s;
}

void sim_free(struct sim *s)
{
    for (uint32_t i = 0; i < s->options.nodes; i++)
        sim_node_free(s->nodes[i]);
    sim_control_free(s->control);
    sim_net_free(s);
    buf_free(&s->story);
    mem_free(s);
}

/* FNV-1a over every line: the same seed must give the same number. */
static void hash(struct sim *s, const char *line)
{
    for (; *line != '\0'; line++)
        s->hash = (s->hash ^ (uint8_t)*line) * 1099511628211ull;
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
    char line[512];
    int at = snprintf(line, sizeof line, "[%7lldms] ", (long long)(s->now.ns / 1000000));
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + at, sizeof line - (size_t)at, fmt, args);
    va_end(args);
    hash(s, line);
    if (s->options.story)
        buf_printf(&s->story, "%s\n", line);
}

/* The one place where dice are rolled for trouble. */
bool sim_fault(struct sim *s, enum sim_fault which)
{
    if (s->healed)
        return false;
    s->points++;
    bool trips = s->points == s->options.trip || (s->options.always >> which & 1) != 0 ||
                 (s->options.per_mille > 0 && rng_below(&s->rng, 1000) < s->options.per_mille);
    s->hit[which] += trips;
    return trips;
}

static struct instant next(const struct sim *s)
{
    struct instant at = instant_earlier(sim_net_deadline(s), sim_control_deadline(s));
    for (uint32_t i = 0; i < s->options.nodes; i++)
        at = instant_earlier(at, sim_node_deadline(s, i));
    return at;
}

static void step_at(struct sim *s, struct instant at)
{
    if (at.ns > s->now.ns) {
        s->wall.ns += at.ns - s->now.ns;
        s->now = at;
    }
    s->steps++;
    if (instant_due(sim_net_deadline(s), s->now))
        sim_net_deliver(s);
    else if (instant_due(sim_control_deadline(s), s->now))
        sim_control_turn(s);
    for (uint32_t i = 0; i < s->options.nodes; i++)
        if (instant_due(sim_node_deadline(s, i), s->now))
            sim_node_turn(s, i);
    sim_control_check(s);
}

bool sim_step(struct sim *s)
{
    struct instant at = next(s);
    if (at.ns == 0)
        return false;
    step_at(s, at);
    return true;
}

void sim_run(struct sim *s, struct span by)
{
    struct instant end = instant_add(s->now, by);
    for (struct instant at = next(s); at.ns != 0 && at.ns <= end.ns; at = next(s))
        step_at(s, at);
    s->wall.ns += end.ns - s->now.ns;
    s->now = end;
}

bool sim_run_until(struct sim *s, bool (*done)(struct sim *s), struct span at_most)
{
    struct instant end = instant_add(s->now, at_most);
    while (s->now.ns <= end.ns) {
        if (done(s))
            return true;
        if (!sim_step(s))
            return done(s);
    }
    return false;
}

/* ---- the network ---- */

static const struct span WAY = SPAN_MS(1);

/* In order on one session, like the stream it stands for. */
static void post(struct sim *s, struct sim_packet p)
{
    struct sim_packet *copy = mem_alloc(sizeof *copy), **link = &s->packets;
    p.sequence = ++s->packets_sequence;
    if (p.at.ns == 0)
        p.at = instant_add(s->now, WAY);
    *copy = p;
    while (*link != NULL && (*link)->at.ns <= p.at.ns)
        link = &(*link)->next;
    copy->next = *link;
    *link = copy;
}

static void drop_session(struct sim *s, uint64_t session)
{
    for (struct sim_packet **link = &s->packets; *link != NULL;) {
        struct sim_packet *p = *link;
        if (p->session != session) {
            link = &p->next;
            continue;
        }
        *link = p->next;
        blob_unref(p->bytes);
        mem_free(p);
    }
}

uint64_t sim_net_connect(struct sim *s, uint32_t node)
{
    uint64_t session = ++s->sessions;
    bool reachable = sim_control_is_up(s) && !sim_node_is_cut(s, node);
    if (reachable)
        post(s,
             (struct sim_packet){.type = SIM_OPEN, .up = true, .node = node, .session = session});
    post(s, (struct sim_packet){
                .type = reachable ? SIM_OPEN : SIM_CLOSE, .node = node, .session = session});
    return session;
}

void sim_net_close(struct sim *s, uint32_t node, uint64_t session, bool tell_node)
{
    if (session == 0)
        return;
    drop_session(s, session);
    post(s, (struct sim_packet){.type = SIM_CLOSE, .up = true, .node = node, .session = session});
    if (tell_node)
        post(s, (struct sim_packet){.type = SIM_CLOSE, .node = node, .session = session});
}

void sim_net_send(struct sim *s, uint32_t node, uint64_t session, bool up, struct str bytes)
{
    if (session == 0 || session != sim_node_session(s, node) || sim_node_is_cut(s, node))
        return;
    if (sim_fault(s, SIM_SESSION_BREAKS)) {
        sim_net_close(s, node, session, true);
        return;
    }
    post(s, (struct sim_packet){.type = SIM_MESSAGE,
                                .up = up,
                                .node = node,
                                .session = session,
                                .bytes = blob_new(bytes)});
}

struct instant sim_net_deadline(const struct sim *s)
{
    return s->packets == NULL ? (struct instant){0} : s->packets->at;
}

void sim_net_deliver(struct sim *s)
{
    struct sim_packet *p = s->packets;
    s->packets = p->next;
    bool stale = !p->up && p->session != sim_node_session(s, p->node);
    if (p->up && sim_control_is_up(s))
        sim_control_packet(s, p);
    else if (!p->up && !stale)
        sim_node_packet(s, p);
    blob_unref(p->bytes);
    mem_free(p);
}

void sim_net_free(struct sim *s)
{
    while (s->packets != NULL) {
        struct sim_packet *p = s->packets;
        s->packets = p->next;
        blob_unref(p->bytes);
        mem_free(p);
    }
}
