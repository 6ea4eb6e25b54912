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

enum letter_type {
    /* To the core. op is the front's own and comes back in LETTER_WRITTEN. */
    LETTER_WRITE,
    LETTER_AGENT_OPENED,
    LETTER_AGENT_MESSAGE,
    LETTER_AGENT_CLOSED,
    LETTER_STREAM_WANTED, /* agent: node, and the ServerMessage for it; op: the stream. */
    LETTER_FRONT_DRAINED, /* This connection thread has no connection any more. */
    /* To a connection thread. */
    LETTER_WRITTEN,
    LETTER_PUBLISHED,
    LETTER_AGENT_SEND,
    LETTER_AGENT_CLOSE,
    /* Between connection threads, about streams (streams.h); op names the receiver's side. */
    LETTER_STREAM_JOINED, /* The agent opened it: peer is its side, bytes its node's name. */
    LETTER_STREAM_BYTES,  /* bytes of channel code. */
    LETTER_STREAM_TAKEN,  /* count bytes were dealt with. */
    LETTER_STREAM_ENDED,  /* code as HTTP has it, 0: an orderly end; bytes say why. */
    LETTER_DRAIN,         /* No new connections; then LETTER_FRONT_DRAINED. */
    LETTER_STOP,          /* The thread ends. */
};

struct letter {
    union {
        struct write_request write;
        struct {
            enum write_result result;
            uint64_t revision;
            struct str text;
        } written;
        struct {
            uint64_t session;
            struct str node, bytes; /* AGENT_CLOSE: bytes say why. */
        } agent;
        struct {
            uint64_t peer;
            size_t count;
            uint32_t code;
            struct str bytes;
        } stream;
    };
    struct blob *object; /* A reference, or NULL. */
};

/* w's text is copied and its object referenced. */
struct letter *letter_write(const struct write_request *w);
struct letter *letter_written(const struct core_effect *fx);
struct letter *letter_agent(uint64_t session, struct str node, struct str bytes);
struct letter *letter_stream(uint64_t peer, uint32_t code, size_t count, struct str bytes);
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
