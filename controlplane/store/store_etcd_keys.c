/* SPDX-License-Identifier: Apache-2.0 */
/* The names of our keys, and the keys every transaction speaks of: the fence, and what the store is. */
#include "controlplane/store/store_etcd_priv.h"

#include <stdio.h>

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

static const char *const words[] = {[STORE_ETCD_WHOLE] = "",
                                    [STORE_ETCD_UNFINISHED] = " copy=unfinished",
                                    [STORE_ETCD_LEFT] = " copy=left"};

/* For people, too: etcdctl get PREFIX/state. */
void etcd_log__put_state(const struct etcd_log *m, struct etcd_txn *t, uint64_t compacted,
                         uint64_t swept)
{
    char key[ETCD_KEY_MAX], text[256];
    int len = snprintf(text, sizeof text, "format=1 cluster=%s compacted=%llu swept=%llu%s",
                       m->options.cluster, (unsigned long long)compacted, (unsigned long long)swept,
                       words[m->mark]);
    etcd_txn_put(t, etcd_log__key(m, "state", key), str_from(text, (size_t)len), 0);
}
