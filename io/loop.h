/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h -- one thread's wait for the outside: sockets, children, timers, mail of other threads.
 *
 * WHAT   A libuv loop that turns whatever happens into a struct io_event for the client that asked.
 *        After the events of one wake-up each client gets one turn(), so that a machine can step
 *        several events and then commit, flush or reply once.
 * WHY    Control flow stays in the client's one event function, not in a callback per call.
 * OWNS   Clients belong to the caller and stay where they are between loop_join() and loop_leave().
 *        Everything an event points to is borrowed until event() returns, unless it says otherwise.
 * ASYNC  No event is delivered from inside a call its client made: what fails at once is queued and
 *        comes in this turn. So event() and turn() are never re-entered.
 * FAILS  Calls that can fail for the world's reasons answer by an event. loop_new() needs a handful
 *        of descriptors and checks.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "io/thread.h"

struct loop; /* Opaque; one per thread, used by that thread only. */
struct tcp;

enum io_event_type {
    IO_DEADLINE,     /* The client's deadline passed. It is unset now. */
    IO_MAIL,         /* mail: handed over, the client owns its body. */
    IO_SIGNAL,       /* signo: one the client asked for with loop_signal(). */
    IO_PROC_DONE,    /* proc: a child ended or could not be started (io/proc.h). */
    IO_PROC_GONE,    /* A watched process, not our child, is gone (io/proc.h). */
    IO_FD_READABLE,  /* A descriptor has something to read (loop_watch_fd()). */
    IO_FD_WRITABLE,  /* A descriptor takes bytes (loop_want_fd()). */
    IO_TCP_OPEN,     /* A connection that was asked for stands (io/tcp.h). */
    IO_TCP_ACCEPTED, /* tcp: a new connection: adopt or close it now. */
    IO_TCP_READ,     /* bytes */
    IO_TCP_WRITABLE, /* The kernel took all that was pending. */
    IO_TCP_CLOSED, /* err: the peer left, or opening failed. The client still calls tcp_close(). */
};

/* How a child ended. */
struct io_proc_result {
    int status;          /* Exit status; -1 when it was killed by a signal or never started. */
    int signo;           /* The signal that killed it, else 0. */
    bool started;        /* False: it could not be started, and err_text of the event says why. */
    bool timed_out;      /* We killed it: its time was over. */
    struct str out, err; /* What it printed, cut at the cap of the request. */
};

struct io_event {
    enum io_event_type type;
    uint64_t op; /* What the client named the thing when it asked. */
    struct instant now;
    union {
        struct mail mail;
        int signo;
        struct io_proc_result proc;
        struct tcp *tcp;
        struct str bytes;
    };
    struct err err; /* IO_TCP_CLOSED, IO_PROC_DONE: why. ERR_OK: an orderly end. */
};

struct loop_client {
    void (*event)(struct loop_client *self, const struct io_event *ev);
    void (*turn)(struct loop_client *self, struct instant now); /* NULL: not wanted. */
    /* The loop's own: */
    struct loop *loop;
    struct loop_client *next;
    struct instant deadline;
};

struct loop *loop_new(void);
void loop_free(struct loop *l); /* Every client has left; closes what libuv still holds. */

void loop_join(struct loop *l, struct loop_client *c);

/* No event comes after it; queued ones are dropped. Connections and children of the client must be
 * closed or done before. */
void loop_leave(struct loop_client *c);

void loop_run(struct loop *l);  /* Until loop_stop(). */
void loop_stop(struct loop *l); /* From the loop's own thread: returns after this turn. */

/* One wake-up: waits at most until wait is over (0: does not wait), delivers, gives the turns. */
void loop_step(struct loop *l, struct span wait);

/* The time this turn began: the same for all events in it. */
struct instant loop_now(const struct loop *l);

/* The client's one deadline; {0}: none. Replaces the one before. */
void loop_set_deadline(struct loop_client *c, struct instant at);

/* From now on signo arrives as IO_SIGNAL. At most 8 signals a loop. */
void loop_signal(struct loop_client *c, int signo);

/* Mail posted to box arrives as IO_MAIL with this op. The box must outlive the loop or be detached
 * first. A loop takes at most 64 boxes. */
void loop_attach(struct loop_client *c, uint64_t op, struct mailbox *box);
void loop_detach(struct loop_client *c, struct mailbox *box);

/* IO_FD_READABLE with this op while fd has something to read (level-triggered), until unwatched.
 * The descriptor stays the caller's, who unwatches before closing it. For pidfds, inotify, taps,
 * netlink. */
struct loop_fd;
struct loop_fd *loop_watch_fd(struct loop_client *c, uint64_t op, int fd);
/* Instead of reading alone: which of the two to wait for, if any. An event of one may unwatch it. */
void loop_want_fd(struct loop_fd *w, bool readable, bool writable);
void loop_unwatch_fd(struct loop_fd *w);

#endif /* IO_LOOP_H */
