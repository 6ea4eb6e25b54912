/* SPDX-License-Identifier: Apache-2.0 */
/* The session with the control plane: dialled with a jittered back-off, greeted, then kept alive by
 * lease renewals. Losing it stops nothing that runs here. */
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/peers.h"

static const struct span BACKOFF_FIRST = SPAN_MS(500), BACKOFF_MAX = SPAN_S(10);
static const struct span LONG_ENOUGH =
    SPAN_S(30); /* A session that held: the next dial is at once. */
static const struct span GREETING_MAX = SPAN_S(20); /* No HelloReply for so long: dial again. */
static const struct span RENEW_DEFAULT = SPAN_S(3), RENEW_MIN = SPAN_MS(100);
static const struct span IMAGES_MIN = SPAN_S(10); /* Between two lists of images. */

enum { PROTOCOL_MIN = 1, PROTOCOL_MAX = 1 };

#define S(name, to) [SESSION_##name] = {#name, to},
#define TO(name) (1u << SESSION_##name)
const struct sm_state session_states[SESSION__COUNT] = {SESSION_STATES(S, TO)};
#undef S
#undef TO

static void move(struct agent *a, enum session_state next)
{
    sm_check(session_states, a->session.state, next);
    a->session.state = next;
}

static void away(struct agent *a, struct agent_turn *t, struct span at_least)
{
    struct session *s = &a->session;
    bool held = s->state == SESSION_UP && instant_sub(t->now, s->opened_at).ns >= LONG_ENOUGH.ns;
    s->backoff = s->backoff.ns == 0 || held ? BACKOFF_FIRST : (struct span){2 * s->backoff.ns};
    if (s->backoff.ns > BACKOFF_MAX.ns)
        s->backoff = BACKOFF_MAX;
    struct span wait = agent_jittered(a, s->backoff);
    if (wait.ns < at_least.ns)
        wait = agent_jittered(a, at_least);
    s->retry_at = instant_add(t->now, wait);
    s->renew_at = (struct instant){0};
    s->resyncing = false;
    move(a, SESSION_AWAY);
}

static void hang_up(struct agent *a, struct agent_turn *t, const char *why, struct span at_least)
{
    agent_do(t, FX_DISCONNECT)->text = why;
    away(a, t, at_least);
}

void session_reopen(struct agent *a, struct agent_turn *t, const char *why)
{
    if (a->session.state != SESSION_AWAY)
        hang_up(a, t, why, (struct span){0});
}

static void hello(struct agent *a, struct agent_turn *t)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello h = AGENT__HELLO__INIT;
    h.has_protocol_min = h.has_protocol_max = h.has_revision = true;
    h.protocol_min = PROTOCOL_MIN;
    h.protocol_max = PROTOCOL_MAX;
    h.agent_version = (char *)a->config.version.at;
    h.boot_id = (char *)a->config.boot_id.at;
    h.node_uid = (char *)a->config.node_uid.at;
    h.node_name = (char *)a->config.node_name.at;
    h.revision = a->session.revision;
    h.has_peers_digest = true;
    h.peers_digest = a->peers_digest;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &h;
    agent_send(t, &m);
}

static void renew(struct agent *a, struct agent_turn *t)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__LeaseRenew r = AGENT__LEASE_RENEW__INIT;
    Agent__NodeFact disk = AGENT__NODE_FACT__INIT, *facts[] = {&disk};
    disk.type = (char *)"DiskPressure";
    disk.has_holds = true;
    disk.holds = a->disk.pressed;
    r.facts = facts;
    r.n_facts = a->disk.known;
    r.has_sequence = r.has_sent_ns = true;
    r.sequence = ++a->session.renewals;
    r.sent_ns = t->now.ns;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &r;
    agent_send(t, &m);
    a->session.renew_at = instant_add(t->now, a->session.renew_in);
}

void session_renew_soon(struct agent *a, struct agent_turn *t)
{
    if (a->session.state == SESSION_UP)
        a->session.renew_at = t->now;
}

/* A burst of pulls is told at once and then once more. */
static void tell_images(struct agent *a, struct agent_turn *t)
{
    struct session *s = &a->session;
    s->images_at = (struct instant){0};
    if (a->images == NULL || s->state != SESSION_UP)
        return;
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    ProtobufCAllocator allocator = typed_allocator(&t->arena);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_IMAGES;
    m.images = agent__images__unpack(&allocator, a->images->len, (const uint8_t *)a->images->at);
    s->images_told_at = t->now;
    if (m.images != NULL)
        agent_send(t, &m);
}

static void have_images(struct agent *a, struct agent_turn *t, struct str bytes)
{
    struct session *s = &a->session;
    blob_unref(a->images);
    a->images = blob_new(bytes);
    struct instant next = instant_add(s->images_told_at, IMAGES_MIN);
    if (s->images_told_at.ns == 0 || instant_due(next, t->now))
        tell_images(a, t);
    else
        s->images_at = next;
}

static void greeted(struct agent *a, struct agent_turn *t, const Agent__HelloReply *reply)
{
    struct session *s = &a->session;
    if (reply->protocol < PROTOCOL_MIN || reply->protocol > PROTOCOL_MAX) {
        hang_up(a, t, "the control plane speaks another protocol version", BACKOFF_MAX);
        return;
    }
    s->renew_in = reply->has_renew_ns && reply->renew_ns >= RENEW_MIN.ns
                      ? (struct span){reply->renew_ns}
                      : RENEW_DEFAULT;
    s->lease = (struct span){reply->lease_ns};
    s->opened_at = t->now;
    move(a, SESSION_UP);

    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hardware h = AGENT__HARDWARE__INIT;
    h.spec = a->hardware;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
    m.hardware = &h;
    agent_send(t, &m);
    tell_images(a, t);
    renew(a, t);

    Agent__StatusEnd end = AGENT__STATUS_END__INIT;
    end.has_statuses_count = true;
    end.statuses_count = report_all(a, t);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_STATUS_END;
    m.status_end = &end;
    agent_send(t, &m);
}

/* What this resync did not mention has no Placement any more. */
static void resynced(struct agent *a, struct agent_turn *t)
{
    a->session.resyncing = false;
    for (uint32_t i = 0; i < a->workloads_end; i++) {
        struct workload *w = a->workloads[i];
        if (w == NULL || a->named[i])
            continue;
        if (w->state == WORKLOAD_GONE)
            agent_give(a, w);
        else
            workload_unwant(a, t, w, (struct span){0});
    }
}

static void granted(struct agent *a, const Agent__LeaseGrant *g)
{
    struct instant until = {g->sent_ns + g->lease_ns};
    if (until.ns > a->session.lease_until.ns)
        a->session.lease_until = until;
}

static void message(struct agent *a, struct agent_turn *t, const Agent__ServerMessage *m)
{
    if (a->session.state == SESSION_GREETING &&
        m->message_case != AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY &&
        m->message_case != AGENT__SERVER_MESSAGE__MESSAGE_GOODBYE)
        return hang_up(a, t, "the control plane did not greet", BACKOFF_MAX);
    switch (m->message_case) {
    case AGENT__SERVER_MESSAGE__MESSAGE_HELLO_REPLY:
        if (a->session.state == SESSION_GREETING)
            greeted(a, t, m->hello_reply);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_RESYNC_BEGIN:
        a->session.resyncing = true;
        memset(a->named, 0, sizeof a->named);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_RESYNC_END:
        if (a->session.resyncing)
            resynced(a, t);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_ASSIGN:
        workload_assign(a, t, m->assign);
        if (m->assign->revision > a->session.revision)
            a->session.revision = m->assign->revision;
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_LEASE_GRANT:
        granted(a, m->lease_grant);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_STATUS_ACK:
        report_acked(a, t, m->status_ack);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_PEERS:
        peers_told(a, t, m->peers);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_OPEN_STREAM:
        stream_open(a, t, m->open_stream);
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_GOODBYE:
        hang_up(a, t, "the control plane said goodbye", (struct span){m->goodbye->retry_in_ns});
        break;
    case AGENT__SERVER_MESSAGE__MESSAGE_CLOSE_STREAM: /* The stream itself ends, too. */
    case AGENT__SERVER_MESSAGE__MESSAGE__NOT_SET:     /* From a later version. */
    case _AGENT__SERVER_MESSAGE__MESSAGE__CASE_IS_INT_SIZE:
        break;
    }
}

void session_step(struct agent *a, struct agent_turn *t, const struct agent_event *ev)
{
    struct session *s = &a->session;
    if (ev->type == EV_IMAGES) {
        have_images(a, t, ev->bytes);
    } else if (ev->type == EV_SESSION_OPENED && s->state == SESSION_OPENING) {
        move(a, SESSION_GREETING);
        s->renew_at = instant_add(t->now, GREETING_MAX);
        hello(a, t);
    } else if (ev->type == EV_SESSION_CLOSED && s->state != SESSION_AWAY) {
        away(a, t, (struct span){0});
    } else if (ev->type == EV_SESSION_MESSAGE &&
               (s->state == SESSION_GREETING || s->state == SESSION_UP)) {
        ProtobufCAllocator allocator = typed_allocator(&t->arena);
        Agent__ServerMessage *m =
            agent__server_message__unpack(&allocator, ev->bytes.len, (const uint8_t *)ev->bytes.at);
        if (m == NULL)
            hang_up(a, t, "a message that does not decode", (struct span){0});
        else
            message(a, t, m);
    }
}

void session_tick(struct agent *a, struct agent_turn *t)
{
    struct session *s = &a->session;
    if (s->state == SESSION_AWAY && (s->retry_at.ns == 0 || instant_due(s->retry_at, t->now))) {
        agent_do(t, FX_CONNECT);
        move(a, SESSION_OPENING);
        s->retry_at = (struct instant){0};
    } else if (s->state == SESSION_GREETING && instant_due(s->renew_at, t->now)) {
        hang_up(a, t, "the control plane did not answer", (struct span){0});
    } else if (s->state == SESSION_UP && instant_due(s->renew_at, t->now)) {
        renew(a, t);
    }
    if (s->images_at.ns != 0 && instant_due(s->images_at, t->now))
        tell_images(a, t);
}

struct instant session_deadline(const struct agent *a)
{
    return instant_earlier(instant_earlier(a->session.retry_at, a->session.renew_at),
                           a->session.images_at);
}
