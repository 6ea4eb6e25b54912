/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server_priv.h -- the parts of the server: connections and the requests on them.
 *
 * WHAT   From the top, and each calls only what stands below it:
 *        http_server.c: listener, limits, time, delivery of events. http_door.c: whose handshake is next, who leaves.
 *        http_conn.c: bytes between socket, TLS and protocol.
 *        http_server_h1.c, http_server_h2.c: a protocol each. http_stream.c: requests coming in.
 *        http_reply.c: replies going out. http_news.c: what many requests wait for. http_lines.c: who stands where at
 *        the door. http_agenda.c: what the server is to do next.
 * WHY    Two protocols meet in struct stream: a request, and a queue of reply bytes they pull from.
 *
 * A stream is seen by the owner from its HTTP_REQUEST until its reply is given (then its id is dead, while
 * its bytes go out) or HTTP_CANCELLED. It is freed when its protocol is done with it, too.
 */
#ifndef IO_HTTP_SERVER_PRIV_H
#define IO_HTTP_SERVER_PRIV_H

#include "base/buf.h"
#include "io/h1.h"
#include "io/h2.h"
#include "io/http_server.h"
#include "io/pieces.h"
#include "io/tcp.h"

enum {
    REPLY_HEADERS_MAX = 16,
    TRAILERS_MAX = 4,
    PLAIN_MAX = 16 << 10,  /* Plaintext gathered before it is encrypted: one TLS record. */
    GATHER = 128 << 10,    /* Encrypted bytes for one write, */
    CIPHER_MAX = 1 << 20,  /* with the records under way when there were enough, and handshakes. */
    FLUSH_MAX = 256 << 10, /* Bytes of one connection in one go: others get their turn. */
    HELLO_MAX = 32 << 10,  /* Of a handshake, kept until its turn comes. */
    PIPELINE_MAX = 64 << 10, /* Of further requests, while one is answered (HTTP/1.1). */
    LINGER_S = 5,            /* To read what the peer still sends after a refusal. */
    TICK_MS = 500,           /* How late a time limit may be noticed. */
    RETRY_AFTER_S = 1,
    SPARES_MAX = 128,      /* Streams' memory that is kept for the next ones, */
    SPARE_BYTES = 4 << 10, /* each with buffers of no more than that. */
};

struct conn;

struct stream {
    struct http_server *server;
    struct conn *conn;              /* Alive or dead; freed after its last stream. */
    struct stream *next, *previous; /* On the connection. */
    struct stream *ready_next;      /* On the server's list of what is to be delivered. */
    struct slot_id id;              /* {0,0}: the owner does not know it, or not any more. */
    int32_t h2_id;                  /* 0: HTTP/1.1. */
    struct http_request request;
    struct buf text;             /* The head's bytes. */
    struct http_header *headers; /* Offsets into text until the head is complete, then pointers. */
    uint32_t headers_count, headers_size;
    uint32_t refuse;     /* Status to refuse it with once its head is complete. */
    struct buf body;     /* Whole, or what came since the last HTTP_BODY. */
    size_t body_counted; /* In the budgets. */
    size_t body_dropped; /* Read and forgotten, behind a refusal. */
    size_t unconsumed;   /* Of a streaming body: its window was not opened again. */
    void *tag;
    bool head_seen, body_ended, end_told, delivered, is_ready, cancelled, closed;
    bool follows; /* It stands among its connection's followers. */

    /* The reply. */
    struct buf head_out; /* HTTP/1.1: the head's text, until it was sent. */
    struct buf trailer_text;
    struct http_header trailers[TRAILERS_MAX];
    struct http_headers trailer_list;
    struct pieces pieces;
    bool started, chunked, ended, end_offered, end_written, no_body, was_full, tell_writable;
    struct instant moved; /* When bytes of the reply last left, or it was started. */
};

enum conn_state { CONN_HANDSHAKE, CONN_H1, CONN_H2, CONN_LINGER };

/* Where a connection stands at the door (http_door.c). */
enum conn_line_name {
    LINE_NONE, /* Inside, under a name. */
    LINE_SILENT,
    LINE_WAITS,
    LINE_ANSWERED,
    LINE_ASKED,
    LINE_STRANGERS,
    LINE__COUNT
};

struct conn_line {
    struct conn *first, *last; /* Oldest first. */
    uint32_t count;
};

/* Those on a connection that follow, in the order they began to. */
struct conn_news {
    struct stream **followers;
    uint32_t count, size;
    uint32_t told;           /* Of them, in the round that is under way. */
    uint32_t at;             /* In the server's row of connections that have any. */
    uint64_t hearing, heard; /* Which news: of that round, and of the last one that is over. */
};

struct conn {
    struct http_server *server;
    struct slot_id id;
    struct conn *dirty_next;
    enum conn_state state;
    struct tcp *tcp;
    struct tls *tls; /* NULL: plain, in tests; or its handshake's turn has not come. */
    struct h2 *h2;
    struct buf in; /* HTTP/1.1: what was not parsed yet. Before: what the handshake will read. */
    size_t in_searched; /* Of it, without finding a head's end. */
    struct h1_reader reader;
    struct stream *streams; /* Newest first. */
    uint32_t streams_count;
    size_t body_bytes; /* Held for its requests. */
    struct http_peer *peer;
    char address[TCP_ADDRESS_MAX];
    enum conn_line_name line;
    struct conn *line_next, *line_previous;
    struct instant line_since;
    struct instant opened;
    struct instant begun;      /* Its handshake; {0}: its turn has not come. */
    struct instant active;     /* When a request last began or ended. */
    struct instant head_began; /* HTTP/1.1: when the head that is being read began; 0: none is. */
    struct instant wrote;      /* When the kernel last had taken everything. */
    struct instant linger_until;
    struct conn_news news;
    bool dirty, refusing, paused, dead;
    bool closing;      /* Close once everything went out. */
    bool no_more;      /* HTTP/1.1: the connection ends with this reply. */
    bool continue_due; /* HTTP/1.1: "100 Continue" is to be sent. */
};

struct http_server {
    struct loop_client client;
    struct http_server_options options;
    struct http_server_limits limits;
    struct tcp_listener *listener;
    struct slots conn_slots, stream_slots;
    struct conn **conns;
    struct stream **requests;
    struct conn_line lines[LINE__COUNT];
    struct conn *dirty, **dirty_last; /* In the order they became so. */
    struct stream *ready, **ready_last;
    struct conn **following; /* Connections with followers. */
    uint32_t following_count, following_next;
    uint64_t news, heard;  /* How often there was any; all have heard of the first so many. */
    struct stream *spares; /* By next. */
    uint32_t spares_count;
    uint64_t body_bytes;
    struct instant check_at; /* When to look at all limits in time again; {0}: never. */
    struct span shortest;    /* Of the limits in time: no new one is reached earlier. */
    bool draining, drained_told;
    struct http_server_stats stats;
    struct http_peer nobody;
    struct h1_request parsed; /* Scratch. */
    char date[32];            /* As of date_second. */
    int64_t date_second;
    char plain[PLAIN_MAX];
    struct buf cipher; /* What is on its way from TLS to one socket. */
};

/* ---- http_agenda.c ---- */

/* A limit may be reached at that instant: look again then. */
void agenda__expect(struct http_server *s, struct instant at);
void agenda__wake(struct http_server *s, struct instant at); /* A turn at that instant. */

/* The stream has something to tell its owner; told in this turn. */
void agenda__ready(struct stream *st);
void agenda__dirty(struct conn *c); /* Has, or may have, bytes to send. */
void agenda__undirty(struct conn *c);

/* ---- http_lines.c ---- */

/* Last in that line, and in no other. */
void line__stand_in(struct conn *c, enum conn_line_name name, struct instant now);
void line__leave(struct conn *c);

/* Its handshake is over, for good or bad, or slow: without a name it is a stranger. The oldest of too many leaves in the
 * door's next turn. */
void line__admit(struct conn *c, struct instant now);

/* ---- http_door.c ---- */

/* Before one more connection: somebody without a name leaves, if it would be one too many. */
void door__make_room(struct http_server *s);
void door__turn(struct http_server *s, struct instant now);

/* ---- http_conn.c ---- */

/* The next bytes of a handshake; c is marked closing when it failed. */
void conn__shake(struct conn *c, struct str bytes, struct instant now);

void conn__open(struct http_server *s, struct tcp *tcp, struct instant now);
void conn__close(struct conn *c); /* Streams the owner knows become HTTP_CANCELLED. */
void conn__event(struct conn *c, const struct io_event *ev);
void conn__flush(struct conn *c, struct instant now);
struct instant conn__deadline(const struct conn *c); /* {0}: none. */
void conn__expired(struct conn *c, struct instant now);
void conn__drain(struct conn *c);

/* ---- http_stream.c: requests coming in ---- */

struct stream *stream__new(struct conn *c, int32_t h2_id);
void stream__spares_free(struct http_server *s);

/* Frees it when neither the protocol nor the owner knows it any more. */
void stream__settle(struct stream *st);
void stream__closed(struct stream *st); /* The protocol is done with it. May free it. */
void stream__add_header(struct stream *st, struct str name, struct str value);
void stream__head_done(struct stream *st); /* Take it in, or refuse it. */
void stream__body(struct stream *st, struct str bytes);
void stream__body_end(struct stream *st);

/* HTTP/2: the reply is out. The rest of its request, if any, is read for a while or reset. */
void stream__answered(struct stream *st);

/* ---- the protocols ---- */

void h1__feed(struct conn *c, struct str bytes);
size_t h1__produce(struct conn *c, char *out, size_t size, struct instant now);

void h1__late(struct conn *c); /* A head that began is not complete in time. */

void h2__open(struct conn *c);

/* ---- http_news.c ---- */

void news__follow(struct stream *st);
void news__forget(struct stream *st); /* It follows no more. */

/* A connection that has not heard of the latest; NULL: all have. */
struct conn *news__next(struct http_server *s);

/* Its next follower to be told; NULL: all were, and it has heard. */
struct stream *news__take(struct conn *c);

/* ---- http_reply.c ---- */

/* The pieces' next bytes, up to size, into out; frees what is used up. */
size_t reply__pull(struct stream *st, char *out, size_t size, struct instant now);

/* A refusal of the server's own making: plain text, Retry-After where a retry makes sense. The owner's
 * name for it ends, without an event. */
void reply__refuse(struct stream *st, uint32_t status, const char *why);

/* The owner's name for it ends. */
void reply__forget(struct stream *st);

#endif /* IO_HTTP_SERVER_PRIV_H */
