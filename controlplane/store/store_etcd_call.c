/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to etcd, repeated until they are answered or patience ends. */
#include "controlplane/store/store_etcd_priv.h"

enum { BACKOFF_MIN_MS = 20, BACKOFF_MAX_MS = 1000, CALLER_BITS = 4 };

static void send_call(struct etcd_log *m, enum etcd_caller who);

void etcd_log__call(struct etcd_log *m, enum etcd_caller who, const char *path, struct buf *body)
{
    struct etcd_call *c = &m->calls[who];
    CHECK(c->body == NULL && !body->overflow);
    *c = (struct etcd_call){.path = path, .body = buf_blob(body), .since = m->now};
    send_call(m, who);
}

static void send_call(struct etcd_log *m, enum etcd_caller who)
{
    struct etcd_call *c = &m->calls[who];
    struct etcd_effect *fx = etcd_log__emit(m, ETCD_FX_POST);
    c->number = ++m->requests;
    c->request = c->number << CALLER_BITS | who;
    c->again_at = (struct instant){0};
    fx->request = c->request;
    fx->path = c->path;
    fx->body = blob_ref(c->body);
    fx->timeout = SPAN_MS(m->state == ETCD_LOG_READING ? ETCD_READ_MS : ETCD_REQUEST_MS);
}

bool etcd_log__end_call(struct etcd_log *m, enum etcd_caller who)
{
    struct etcd_call *c = &m->calls[who];
    bool in_doubt = c->in_doubt;
    blob_unref(c->body);
    *c = (struct etcd_call){0};
    return in_doubt;
}

void etcd_log__calls_tick(struct etcd_log *m)
{
    for (uint32_t i = 0; i < ETCD_CALL__COUNT; i++)
        if (instant_due(m->calls[i].again_at, m->now))
            send_call(m, i);
}

void etcd_log__hang_up(struct etcd_log *m, enum etcd_caller who)
{
    struct etcd_call *c = &m->calls[who];
    if (c->request != 0)
        etcd_log__emit(m, ETCD_FX_CANCEL)->request = c->request;
    etcd_log__end_call(m, who);
}

bool etcd_log__caller(const struct etcd_log *m, uint64_t request, enum etcd_caller *out_who)
{
    enum etcd_caller who = request & ((1u << CALLER_BITS) - 1);
    if (who >= ETCD_CALL__COUNT || m->calls[who].request != request)
        return false;
    *out_who = who;
    return true;
}

bool etcd_log__is_calling(const struct etcd_log *m, enum etcd_caller who)
{
    return m->calls[who].body != NULL;
}

bool etcd_log__try_again(struct etcd_log *m, enum etcd_caller who)
{
    struct etcd_call *c = &m->calls[who];
    int64_t wait = BACKOFF_MIN_MS << min_u32(c->tries, 6);
    c->in_doubt = true;
    c->tries++;
    m->counts.again++;
    if (instant_sub(m->now, c->since).ns >= SPAN_MS(ETCD_PATIENCE_MS).ns)
        return false;
    if (c->number >= m->rotated_at) {
        etcd_log__emit(m, ETCD_FX_ROTATE);
        m->rotated_at = m->requests + 1; /* What is on its way goes to the old one. */
    }
    c->again_at = instant_add(m->now, SPAN_MS(wait > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait));
    return true;
}

enum err_code etcd_log__why(const struct etcd_answer *a, const char *what, struct err *e)
{
    switch (a->outcome) {
    case ETCD_FULL:
        return err_set(e, ERR_LIMIT,
                       "%s: etcd has no space left; make some (compact, defrag, or a larger "
                       "quota), then etcdctl alarm disarm",
                       what);
    case ETCD_TOO_LARGE:
        return err_set(e, ERR_LIMIT, "%s: over etcd's request limit (--max-request-bytes): %s",
                       what, a->text);
    case ETCD_DENIED:
        return err_set(e, ERR_DENIED, "%s: etcd refuses: %s", what, a->text);
    case ETCD_BROKEN:
        return err_set(e, ERR_CORRUPT, "%s: no answer of etcd's: %s", what, a->text);
    case ETCD_FINE:
    case ETCD_AGAIN:
    case ETCD_COMPACTED:
        break;
    }
    return err_set(e, ERR_UNAVAILABLE, "%s: etcd: %s", what, a->text);
}
