/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp.h -- QEMU's monitor protocol, without a socket.
 *
 * WHAT   Bytes from QEMU in, events out; commands in, bytes for QEMU out. Handshake, commands waiting
 *        for their answers, and the few events that say how a machine fares.
 * WHY    Apart from the socket, so that recorded sessions test it and a fuzzer can lie to it: a guest
 *        that broke out of its QEMU speaks this protocol to an agent that is root.
 * OWNS   qmp_init() to qmp_fini(). An event and what it points to live until the next qmp_ call.
 * ASYNC  Every qmp_ask() that returned ERR_OK is answered by one QMP_ANSWERED, qmp_end() included.
 *        qmp_next() gives events in the order QEMU sent them, QMP_ENDED last and once.
 * FAILS  A line that is not QMP, is too long, or answers what was not asked ends the session: what
 *        such a peer says next is worth nothing. The machine itself may live on.
 *
 * Source: QEMU docs/interop/qmp-spec.rst, qapi/{control,run-state,machine}.json (7.2).
 */
#ifndef NODEAGENT_RUNTIME_QMP_H
#define NODEAGENT_RUNTIME_QMP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/sm.h"

enum {
    QMP_LINE_MAX = 1 << 20,  /* query-cpus-fast of 1024 vCPUs takes 200 KiB. */
    QMP_ARENA_MAX = 8 << 20, /* One line as a tree. */
    QMP_WAITING_MAX = 16,    /* Commands without an answer yet. */
    QMP_VCPUS_MAX = 1024,
    QMP_REASON_MAX = 32,
};

/* tests/unit/runtime/qmp_test.c draws docs/states/qmp.dot from this.
 *
 *    state        may go to                    here we are waiting for                */
/* clang-format off */
#define QMP_STATES(S, TO)                                                             \
    S(GREETING,    TO(NEGOTIATING) | TO(OVER)) /* QEMU's first line                */ \
    S(NEGOTIATING, TO(READY) | TO(OVER))       /* the answer to qmp_capabilities   */ \
    S(READY,       TO(OVER))                   /* answers, events, the end         */ \
    S(OVER,        0)                          /* nothing: bytes are dropped       */
/* clang-format on */

#define S(name, to) QMP_##name,
#define TO(name)
enum qmp_state { QMP_STATES(S, TO) QMP__STATES };
#undef S
#undef TO

extern const struct sm_state qmp_states[QMP__STATES];

/* What we ask of QEMU. */
/* clang-format off */
#define QMP_COMMANDS(C)                         \
    C(QMP_CAPABILITIES,     "qmp_capabilities") \
    C(QMP_QUERY_STATUS,     "query-status")     \
    C(QMP_QUERY_CPUS,       "query-cpus-fast")  \
    C(QMP_CONT,             "cont")             \
    C(QMP_STOP,             "stop")             \
    C(QMP_SYSTEM_POWERDOWN, "system_powerdown") \
    C(QMP_QUIT,             "quit")
/* clang-format on */

enum qmp_command {
#define C(command, name) command,
    QMP_COMMANDS(C)
#undef C
        QMP__COMMANDS
};

enum qmp_event_type {
    QMP_IS_READY,  /* Handshake done; qmp_ask() works now. */
    QMP_ANSWERED,  /* command, op, code, text; cpus or running. */
    QMP_SHUTDOWN,  /* guest, reason: the machine is about to end (or stays, paused). */
    QMP_WAS_RESET, /* guest, reason */
    QMP_STOPPED,   /* vCPUs stand. */
    QMP_RESUMED,   /* vCPUs run. */
    QMP_POWERDOWN, /* The power button was pressed; the guest may or may not care. */
    QMP_PANICKED,  /* The guest's kernel says so. */
    QMP_ENDED,     /* No further event. code is ERR_OK after qmp_end(), else why. */
};

struct qmp_event {
    enum qmp_event_type type;
    enum qmp_command command;
    uint64_t op;
    enum err_code code; /* ANSWERED: ERR_INVALID when QEMU refused, with its words in text. */
    struct str text;
    const int32_t *threads; /* QUERY_CPUS: thread id of vCPU i; 0 where QEMU named none. */
    uint32_t threads_count;
    bool running;                /* QUERY_STATUS */
    bool guest;                  /* SHUTDOWN, WAS_RESET: it was the guest's wish. */
    char reason[QMP_REASON_MAX]; /* "guest-shutdown", "host-qmp-quit"; QUERY_STATUS: "running" */
};

struct qmp {
    enum qmp_state state;
    struct buf in, out;
    size_t scanned, line; /* Bytes of in known to hold no newline; consumed by the last event. */
    struct arena arena;   /* Of the last event. */
    struct {
        uint64_t id, op;
        enum qmp_command command;
    } waiting[QMP_WAITING_MAX];
    uint32_t waiting_count;
    uint64_t next_id;
    struct err failure;
    bool ended, told; /* No more input will come; QMP_ENDED was given. */
    int32_t threads[QMP_VCPUS_MAX];
};

void qmp_init(struct qmp *q);
void qmp_fini(struct qmp *q);

void qmp_feed(struct qmp *q, struct str bytes); /* Then qmp_next() until it is false. */
void qmp_end(struct qmp *q);                    /* The socket is gone. Likewise. */
bool qmp_next(struct qmp *q, struct qmp_event *out);

/* ERR_BUSY: QMP_WAITING_MAX wait already. ERR_UNAVAILABLE: not READY. */
MUST_USE enum err_code qmp_ask(struct qmp *q, enum qmp_command command, uint64_t op, struct err *e);

/* What is to be written to QEMU; say with qmp_sent() how much of it went. */
struct str qmp_output(const struct qmp *q);
void qmp_sent(struct qmp *q, size_t count);

#endif /* NODEAGENT_RUNTIME_QMP_H */
