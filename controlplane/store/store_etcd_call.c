/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to etcd, repeated until they are answered or patience ends; and the names of our keys. */
#include "controlplane/store/store_etcd_priv.h"

#include <stdio.h>

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

static void end(struct etcd_call *c)
{
    blob_unref(c->body);
    *c = (struct etcd_call){0};
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
    end(c);
}

bool etcd_log__is_calling(const struct etcd_log *m, enum etcd_caller who)
{
    return m->calls[who].body != NULL;
}

/* False: patience is over. */
static bool try_again(struct etcd_log *m, enum etcd_caller who)
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
    if (who == ETCD_CALL_STEP && m->state == ETCD_LOG_READING)
        etcd_load__smaller(m);
    c->again_at = instant_add(m->now, SPAN_MS(wait > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait));
    return true;
}

static void answer_call(struct etcd_log *m, enum etcd_caller who, const struct etcd_answer *a)
{
    if (a->outcome == ETCD_AGAIN && try_again(m, who))
        return;
    if (who == ETCD_CALL_APPEND) {
        bool in_doubt = m->calls[who].in_doubt;
        end(&m->calls[who]);
        etcd_append__answered(m, in_doubt, a);
        return;
    }
    end(&m->calls[who]);
    if (who == ETCD_CALL_STEP)
        etcd_load__answered(m, a);
    else if (who == ETCD_CALL_SWEEP)
        etcd_sweep__answered(m, a);
    else
        etcd_lease__answered(m, a);
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

/* The endpoints are one cluster, or a mistake in the command line that would split the log. */
static bool is_other_cluster(struct etcd_log *m, const struct etcd_answer *a)
{
    if (m->cluster == 0)
        m->cluster = a->cluster;
    return a->cluster != 0 && a->cluster != m->cluster;
}

void etcd_log_answered(struct etcd_log *m, struct instant now, uint64_t request,
                       const struct etcd_answer *a)
{
    enum etcd_caller who = request & ((1u << CALLER_BITS) - 1);
    struct etcd_answer other = {.outcome = ETCD_AGAIN,
                                .text = "the endpoint belongs to another etcd cluster"};
    m->now = now;
    if (who >= ETCD_CALL__COUNT || m->calls[who].request != request)
        return; /* Of a call that was hung up. */
    m->calls[who].request = 0;
    answer_call(m, who, is_other_cluster(m, a) ? &other : a);
    etcd_log__pump(m);
}

/* ---- Keys ---- */

struct str etcd_log__key(const struct etcd_log *m, const char *name, char out[ETCD_KEY_MAX])
{
    int len = snprintf(out, ETCD_KEY_MAX, "%s%s", m->options.prefix, name);
    return str_from(out, (size_t)len);
}

struct str etcd_log__seq_key(const struct etcd_log *m, const char *name, uint64_t seq,
                             char out[ETCD_KEY_MAX])
{
    int len = snprintf(out, ETCD_KEY_MAX, "%s%s%016llx", m->options.prefix, name,
                       (unsigned long long)seq);
    return str_from(out, (size_t)len);
}

bool etcd_log__key_seq(struct str key, uint64_t *out_seq)
{
    uint64_t seq = 0;
    if (key.len < 16)
        return false;
    for (size_t i = key.len - 16; i < key.len; i++) {
        int digit = str_hex_digit(key.at[i]);
        if (digit < 0)
            return false;
        seq = seq << 4 | (uint64_t)digit;
    }
    *out_seq = seq;
    return true;
}

void etcd_log__begin(const struct etcd_log *m, struct etcd_txn *t, struct buf *out)
{
    char key[ETCD_KEY_MAX], fence[24];
    snprintf(fence, sizeof fence, "%llu", (unsigned long long)m->fence);
    etcd_txn_begin(t, out);
    etcd_txn_value_is(t, etcd_log__key(m, "fence", key), str_of(fence));
}

bool etcd_log__holds(const struct etcd_log *m, const struct etcd_kvs *fence)
{
    uint64_t value;
    return fence->count == 1 && str_parse_u64(fence->at[0].value, &value) == ERR_OK &&
           value == m->fence;
}

/* For people, too: etcdctl get PREFIX/state. */
void etcd_log__put_state(const struct etcd_log *m, struct etcd_txn *t, uint64_t compacted,
                         uint64_t swept)
{
    char key[ETCD_KEY_MAX], text[256];
    int len = snprintf(text, sizeof text, "format=1 cluster=%s compacted=%llu swept=%llu%s",
                       m->options.cluster, (unsigned long long)compacted, (unsigned long long)swept,
                       etcd_copy__word(m->mark));
    etcd_txn_put(t, etcd_log__key(m, "state", key), str_from(text, (size_t)len), 0);
}
