/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h -- a client's end of a stream that an agent opens: logs, consoles.
 *
 * WHAT   relay_open() asks the node's agent to call Agent/Stream, through its session; what the agent sends
 *        then arrives here, whichever threads client and agent are on.
 * WHY    Nothing dials the agent, so a stream begins by asking it to begin one.
 * OWNS   The relay is its user's from relay_open() to relay_close().
 * ASYNC  ended() comes once, after the last data(), not after relay_close(). The user gives relay_ack() for
 *        what it passed on; until then the agent's HTTP/2 window is not opened, so a client that does not
 *        read costs one window (1 MiB) and no more.
 * FAILS  ended() with an HTTP code: 504 when the agent did not answer in OPEN_S, 503 when it is not
 *        connected, or what the agent says.
 */
#ifndef CONTROLPLANE_SERVE_RELAY_H
#define CONTROLPLANE_SERVE_RELAY_H

#include "api/stream.h"
#include "controlplane/serve/letters.h"

struct front;
struct relay;
struct relays;

enum { RELAYS_MAX = 1024, RELAY_OPEN_S = 10 };

struct relay_user {
    void (*opened)(void *owner); /* The agent has begun it; NULL: of no interest. */
    void (*data)(void *owner, struct str bytes);
    void (*ended)(void *owner, uint32_t code, struct str text); /* code 0: an orderly end. */
};

struct relay_wish {
    struct str node;
    struct stream_wish stream;
};

struct relays *relays_new(struct front *f);
void relays_free(struct relays *s);

/* NULL: RELAYS_MAX are open on this thread. */
struct relay *relay_open(struct relays *s, const struct relay_wish *wish,
                         const struct relay_user *user, void *owner);
void relay_ack(struct relay *r);                    /* All that came was passed on. */
void relay_send(struct relay *r, struct str bytes); /* To the agent, channel 0. */
void relay_close(struct relay *r);                  /* NULL is allowed. */

/* From the thread's mailbox and clock. */
void relays_letter(struct relays *s, enum letter_type type, const struct letter *l);
void relays_times(struct relays *s, struct instant now);

#endif /* CONTROLPLANE_SERVE_RELAY_H */
