/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letters.h -- what connection threads and the core's thread say to each other.
 *
 * WHAT   The bodies of struct mail between front.c and shell.c. Each is one allocation, text behind it.
 * OWNS   As io/thread.h has it: the receiver frees with letter_free(). Blobs in them are references.
 */
#ifndef CONTROLPLANE_SERVE_LETTERS_H
#define CONTROLPLANE_SERVE_LETTERS_H

#include "controlplane/core/core.h"
#include "io/thread.h"

/* A front's inbox. What peers can make many of, on whatever thread, has half of it; what ends those has an eighth more; what
 * is left is the core's answers, of which there is one a write, and its ends of sessions. */
enum {
    FRONT_INBOX_MAX = 65536,
    FRONT_FRAMES_MAX = FRONT_INBOX_MAX / 2,
    FRONT_ENDS_MAX = FRONT_INBOX_MAX / 8 * 5,
    FRONT_WRITES_MAX = 8192,
};

enum letter_type {
    /* To the core. op is the front's own and comes back in LETTER_WRITTEN. */
    LETTER_WRITE,
    LETTER_AGENT_OPENED,
    LETTER_AGENT_MESSAGE,
    LETTER_AGENT_CLOSED,
    LETTER_FRONT_DRAINED, /* This connection thread has no connection any more. */
    /* To a connection thread. */
    LETTER_WRITTEN,
    LETTER_PUBLISHED,
    LETTER_AGENT_SEND,
    LETTER_AGENT_CLOSE,
    LETTER_DRAIN, /* No new connections; then LETTER_FRONT_DRAINED. */
    LETTER_STOP,  /* Nothing but a wake-up: the thread ends (front_stop()). */
    /* Between connection threads (relay.h): session is the receiver's relay or call, from the sender's. */
    LETTER_STREAM_OPENED, /* To the relay: the agent's call stands; node says whose it is. */
    LETTER_STREAM_DATA, /* To the relay: bytes are a StreamFrame, number what it cost the window. */
    LETTER_STREAM_END,  /* To the relay: bytes say why, empty for an orderly end. */
    LETTER_STREAM_ERROR, /* To the relay: the agent refused; number is the HTTP code. */
    LETTER_STREAM_ACK,   /* To the call: number bytes were passed on. */
    LETTER_STREAM_UP,    /* To the call: bytes for the agent. */
    LETTER_STREAM_CLOSE, /* To the call: nobody wants it any more. */
};

struct letter {
    union {
        struct write_request write;
        struct {
            enum write_result result;
            uint64_t revision;
            bool gone;
            struct str text;
        } written;
        struct {
            uint64_t session, from, number;
            struct str node, bytes; /* AGENT_CLOSE: bytes say why. */
        } agent;
    };
    struct blob *object; /* A reference, or NULL. */
};

/* w's text is copied and its object referenced. */
struct letter *letter_write(const struct write_request *w);
struct letter *letter_written(const struct core_effect *fx);
struct letter *letter_agent(uint64_t session, struct str node, struct str bytes);
struct letter *letter_agent_message(uint64_t session, struct blob *bytes); /* Referenced. */
void letter_free(void *letter);

/* Thread, and what of it: an op or session's name that any thread can route. */
static inline uint64_t letter_name(uint32_t front, struct slot_id id)
{
    return (uint64_t)front << 56 | (uint64_t)(id.generation & 0xffffff) << 32 | id.slot;
}

static inline uint32_t letter_front(uint64_t name)
{
    return (uint32_t)(name >> 56);
}

#endif /* CONTROLPLANE_SERVE_LETTERS_H */
