/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/relay.h"

#include "base/mem.h"
#include "controlplane/serve/directory.h"
#include "controlplane/serve/front_priv.h"

enum { MESSAGE_MAX = 64 << 10 };

struct relay {
    struct relays *all;
    struct slot_id id;
    struct relay *next; /* Of those that ended and are to be told. */
    const struct relay_user *user;
    void *owner;
    char node[256];
    uint64_t stream;           /* The agent's call; 0: not opened yet. */
    struct instant open_until; /* {0}: opened. */
    size_t unacked;
    bool ended;
};

struct relays {
    struct front *front;
    struct slots slots;
    struct relay *at[RELAYS_MAX];
};

struct relays *relays_new(struct front *f)
{
    struct relays *s = mem_zalloc(1, sizeof *s);
    s->front = f;
    slots_init(&s->slots, RELAYS_MAX);
    return s;
}

void relays_free(struct relays *s)
{
    slots_fini(&s->slots);
    mem_free(s);
}

static uint64_t name_of(const struct relay *r)
{
    return letter_name(r->all->front->number, r->id);
}

static struct relay *find(struct relays *s, uint64_t name)
{
    uint32_t slot = (uint32_t)name;
    struct relay *r = slot < RELAYS_MAX ? s->at[slot] : NULL;
    return r != NULL && name_of(r) == name ? r : NULL;
}

/* ---- asking ---- */

/* True: the agent's thread has the letter. Otherwise the time limit ends it at once. */
static bool ask_agent(struct relay *r, const struct relay_wish *w)
{
    struct front *f = r->all->front;
    uint64_t session = directory_find(f->shared->directory, w->node);
    struct buf message;

    if (session == 0)
        return false;
    buf_init(&message, MESSAGE_MAX);
    stream_open_put(&message, name_of(r), &w->stream);
    bool sent = !message.overflow &&
                front_tell(f, session, LETTER_AGENT_SEND,
                           letter_agent(session, (struct str){NULL, 0}, buf_str(&message)));
    buf_free(&message);
    return sent;
}

struct relay *relay_open(struct relays *s, const struct relay_wish *wish,
                         const struct relay_user *user, void *owner)
{
    struct instant now = loop_now(s->front->loop);
    struct slot_id id;

    if (wish->node.len >= sizeof s->at[0]->node || !slots_take(&s->slots, &id))
        return NULL;
    struct relay *r = mem_zalloc(1, sizeof *r);
    r->all = s;
    r->id = id;
    r->user = user;
    r->owner = owner;
    str_put(r->node, wish->node);
    s->at[id.slot] = r;
    r->open_until = instant_add(now, SPAN_S(RELAY_OPEN_S));
    if (!ask_agent(r, wish)) {
        r->ended = true; /* ended() must not come from inside this call. */
        r->open_until = now;
    }
    front_expect(s->front, r->open_until);
    return r;
}

void relay_close(struct relay *r)
{
    if (r == NULL)
        return;
    struct relays *s = r->all;
    if (r->stream != 0)
        front_tell(s->front, r->stream, LETTER_STREAM_CLOSE,
                   letter_agent(r->stream, (struct str){NULL, 0}, STR("")));
    s->at[r->id.slot] = NULL;
    slots_give(&s->slots, r->id);
    mem_free(r);
}

void relay_ack(struct relay *r)
{
    if (r->stream == 0 || r->unacked == 0)
        return;
    struct letter *l = letter_agent(r->stream, (struct str){NULL, 0}, STR(""));
    l->agent.number = r->unacked;
    if (front_tell(r->all->front, r->stream, LETTER_STREAM_ACK, l))
        r->unacked = 0; /* Otherwise with the next. */
}

void relay_send(struct relay *r, struct str bytes)
{
    if (r->stream != 0)
        front_tell(r->all->front, r->stream, LETTER_STREAM_UP,
                   letter_agent(r->stream, (struct str){NULL, 0}, bytes));
}

/* ---- what comes ---- */

static void end(struct relay *r, uint32_t code, struct str text)
{
    r->ended = true;
    r->stream = 0; /* Its other end is gone, or was told. */
    r->open_until = (struct instant){0};
    r->user->ended(r->owner, code, text); /* May close r. */
}

static void frame_came(struct relay *r, const struct letter *l)
{
    struct stream_frame f;

    stream_frame_read(l->agent.bytes, &f);
    r->unacked += (size_t)l->agent.number;
    if (f.channel == STREAM_ERROR)
        end(r, 500, f.data);
    else if (f.data.len > 0)
        r->user->data(r->owner, f.data);
    else
        relay_ack(r);
}

/* An agent's call says whose it is; a node may answer only what it was asked. */
static void stream_opened(struct relays *s, struct relay *r, const struct letter *l)
{
    if (r != NULL && r->stream == 0 && !r->ended && str_is(l->agent.node, r->node)) {
        r->stream = l->agent.from;
        r->open_until = (struct instant){0};
        if (r->user->opened != NULL)
            r->user->opened(r->owner);
        return;
    }
    front_tell(s->front, l->agent.from, LETTER_STREAM_CLOSE,
               letter_agent(l->agent.from, (struct str){NULL, 0}, STR("")));
}

void relays_letter(struct relays *s, enum letter_type type, const struct letter *l)
{
    struct relay *r = find(s, l->agent.session);

    if (type == LETTER_STREAM_OPENED) {
        stream_opened(s, r, l);
        return;
    }
    if (r == NULL || r->ended)
        return;
    if (type == LETTER_STREAM_ERROR && r->stream == 0 && str_is(l->agent.node, r->node))
        end(r, (uint32_t)l->agent.number, l->agent.bytes);
    else if (type == LETTER_STREAM_DATA && l->agent.from == r->stream)
        frame_came(r, l);
    else if (type == LETTER_STREAM_END && l->agent.from == r->stream)
        end(r, l->agent.bytes.len > 0 ? 500 : 0, l->agent.bytes);
}

void relays_times(struct relays *s, struct instant now)
{
    for (uint32_t i = 0; i < RELAYS_MAX && s->slots.taken > 0; i++) {
        struct relay *r = s->at[i];
        if (r == NULL || r->open_until.ns == 0)
            continue;
        if (!instant_due(r->open_until, now))
            front_expect(s->front, r->open_until);
        else if (r->ended)
            end(r, 503, STR("the node's agent is not connected"));
        else
            end(r, 504, STR("the node's agent did not answer in time"));
    }
}
