/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/names.h"
#include "base/check.h"
#include "base/mem.h"

struct names_entry {
    uint32_t id;
    uint32_t len;
    char at[]; /* NUL-terminated. */
};

/* Ids stay below 2^31 so that none is NAME_UNKNOWN. */
#define NAMES_COUNT_MAX (UINT32_MAX / 2)

static enum err_code names_add(struct names *n, struct str text, struct err *e);

void names_init(struct names *n, uint32_t count_max, uint64_t bytes_max)
{
    *n = (struct names){.count_max = min_u32(count_max, NAMES_COUNT_MAX), .bytes_max = bytes_max};
    CHECK(n->count_max > 0);
    map_init(&n->ids, n->count_max);
    enum err_code rc = names_add(n, STR(""), NULL);
    CHECK(rc == ERR_OK);
}

void names_fini(struct names *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        mem_free(n->at[i]);
    mem_free(n->at);
    map_fini(&n->ids);
    *n = (struct names){0};
}

enum err_code names_intern(struct names *n, struct str text, uint32_t *out_id, struct err *e)
{
    uint32_t id = names_find(n, text);
    if (id == NAME_UNKNOWN) {
        enum err_code rc = names_add(n, text, e);
        if (rc != ERR_OK)
            return rc;
        id = n->count - 1;
    }
    *out_id = id;
    return ERR_OK;
}

static enum err_code names_add(struct names *n, struct str text, struct err *e)
{
    if (n->count == n->count_max || n->bytes + text.len > n->bytes_max || text.len > UINT32_MAX / 2)
        return err_set(e, ERR_LIMIT, "scheduler holds %u names of %llu bytes already", n->count,
                       (unsigned long long)n->bytes);
    if (n->count == n->size) {
        n->size = n->size == 0 ? 64 : n->size * 2;
        n->at = mem_resize(n->at, n->size * sizeof *n->at);
    }
    struct names_entry *entry = mem_alloc(sizeof *entry + text.len + 1);
    entry->id = n->count;
    entry->len = (uint32_t)text.len;
    if (text.len > 0)
        memcpy(entry->at, text.at, text.len);
    entry->at[text.len] = '\0';

    enum err_code rc = map_put(&n->ids, (struct str){entry->at, entry->len}, entry);
    CHECK(rc == ERR_OK); /* The map's limit is count_max, which was checked. */
    n->at[n->count++] = entry;
    n->bytes += text.len;
    return ERR_OK;
}

uint32_t names_find(const struct names *n, struct str text)
{
    const struct names_entry *entry = map_find(&n->ids, text);
    return entry == NULL ? NAME_UNKNOWN : entry->id;
}

struct str names_text(const struct names *n, uint32_t id)
{
    if (id >= n->count)
        return STR("");
    return (struct str){n->at[id]->at, n->at[id]->len};
}

bool names_number(const struct names *n, uint32_t id, int64_t *out)
{
    return str_parse_i64(names_text(n, id), out) == ERR_OK;
}
