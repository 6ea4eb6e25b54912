/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/names.h"
#include "base/check.h"
#include "base/mem.h"

struct names_entry {
    uint32_t id;
    uint32_t len;
    uint32_t holds;
    uint32_t next; /* Listed: the one behind it, or LAST. Not listed: NOT_LISTED. */
    char at[];     /* NUL-terminated. */
};

#define LAST UINT32_MAX
#define NOT_LISTED (UINT32_MAX - 1)

/* Ids stay below 2^31 so that none is NAME_UNKNOWN. */
#define NAMES_COUNT_MAX (UINT32_MAX / 2)

/* Of each sweep, beside what the calls before it brought. */
enum { SWEEP_MORE = 64 };

static enum err_code names_add(struct names *n, struct str text, uint32_t *out_id, struct err *e);
static void list(struct names *n, struct names_entry *entry);

void names_init(struct names *n, uint32_t count_max, uint64_t bytes_max)
{
    *n = (struct names){.count_max = min_u32(count_max, NAMES_COUNT_MAX),
                        .bytes_max = bytes_max,
                        .first = LAST,
                        .last = LAST};
    CHECK(n->count_max > 0);
    map_init(&n->ids, n->count_max);
    uint32_t empty;
    enum err_code rc = names_add(n, STR(""), &empty, NULL);
    CHECK(rc == ERR_OK && empty == NAME_EMPTY);
    n->at[NAME_EMPTY]->holds = 1;
}

void names_fini(struct names *n)
{
    for (uint32_t i = 0; i < n->end; i++)
        mem_free(n->at[i]);
    mem_free(n->at);
    mem_free(n->spare);
    map_fini(&n->ids);
    *n = (struct names){0};
}

/* Texts that meet here drive each other out, and nothing else happens. */
static uint32_t recent_place(struct str text)
{
    uint32_t last = (uint8_t)text.at[text.len - 1], middle = (uint8_t)text.at[text.len / 2];
    return (uint32_t)(text.len + 5 * last + 11 * middle) % NAMES_RECENT;
}

enum err_code names_intern(struct names *n, struct str text, uint32_t *out_id, struct err *e)
{
    *out_id = NAME_EMPTY;
    if (text.len == 0)
        return ERR_OK;
    uint32_t *recent = &n->recent[recent_place(text)];
    uint32_t id = str_eq(names_text(n, *recent), text) ? *recent : names_find(n, text);
    enum err_code code = id == NAME_UNKNOWN ? names_add(n, text, &id, e) : ERR_OK;
    if (code == ERR_OK)
        *out_id = *recent = id;
    return code;
}

static uint32_t id_new(struct names *n)
{
    if (n->spare_count > 0)
        return n->spare[--n->spare_count];
    if (n->end == n->size) {
        n->size = n->size == 0 ? 64 : n->size * 2;
        n->at = mem_resize(n->at, n->size * sizeof *n->at);
        n->spare = mem_resize(n->spare, n->size * sizeof *n->spare);
    }
    return n->end++;
}

static enum err_code names_add(struct names *n, struct str text, uint32_t *out_id, struct err *e)
{
    if (n->count == n->count_max || n->bytes + text.len > n->bytes_max || text.len > UINT32_MAX / 2)
        return err_set(e, ERR_LIMIT, "scheduler holds %u names of %llu bytes already", n->count,
                       (unsigned long long)n->bytes);
    struct names_entry *entry = mem_alloc(sizeof *entry + text.len + 1);
    entry->id = id_new(n);
    entry->len = (uint32_t)text.len;
    entry->holds = 0;
    entry->next = NOT_LISTED;
    str_put(entry->at, text);
    entry->at[text.len] = '\0';

    enum err_code rc = map_put(&n->ids, (struct str){entry->at, entry->len}, entry);
    CHECK(rc == ERR_OK); /* The map's limit is count_max, which was checked. */
    n->at[entry->id] = entry;
    n->count++;
    n->bytes += text.len;
    list(n, entry);
    *out_id = entry->id;
    return ERR_OK;
}

uint32_t names_find(const struct names *n, struct str text)
{
    const struct names_entry *entry = map_find(&n->ids, text);
    return entry == NULL ? NAME_UNKNOWN : entry->id;
}

static struct names_entry *find(const struct names *n, uint32_t id)
{
    return id < n->end ? n->at[id] : NULL;
}

struct str names_text(const struct names *n, uint32_t id)
{
    const struct names_entry *entry = find(n, id);
    return entry == NULL ? STR("") : (struct str){entry->at, entry->len};
}

bool names_number(const struct names *n, uint32_t id, int64_t *out)
{
    return str_parse_i64(names_text(n, id), out) == ERR_OK;
}

/* ---- who holds them ---- */

void names__hold(struct names *n, uint32_t id)
{
    if (id == NAME_EMPTY || id == NAME_UNKNOWN)
        return;
    struct names_entry *entry = find(n, id);
    CHECK(entry != NULL);
    entry->holds++;
}

void names__drop(struct names *n, uint32_t id)
{
    if (id == NAME_EMPTY || id == NAME_UNKNOWN)
        return;
    struct names_entry *entry = find(n, id);
    CHECK(entry != NULL && entry->holds > 0);
    if (--entry->holds == 0)
        list(n, entry);
}

uint32_t names__holds(const struct names *n, uint32_t id)
{
    const struct names_entry *entry = find(n, id);
    return entry == NULL ? UINT32_MAX : entry->holds;
}

void names_hold(struct names *n, uint32_t id)
{
    names__hold(n, id);
    n->outside += id != NAME_EMPTY && id != NAME_UNKNOWN;
}

void names_drop(struct names *n, uint32_t id)
{
    names__drop(n, id);
    n->outside -= id != NAME_EMPTY && id != NAME_UNKNOWN;
}

bool names_are_short(const struct names *n)
{
    return n->count > n->count_max / 2 || n->bytes > n->bytes_max / 2;
}

/* ---- forgetting ---- */

/* Behind all others that nobody holds. Who is held again meanwhile is found to be so by the sweep. */
static void list(struct names *n, struct names_entry *entry)
{
    if (entry->next != NOT_LISTED)
        return;
    entry->next = LAST;
    if (n->last == LAST)
        n->first = entry->id;
    else
        n->at[n->last]->next = entry->id;
    n->last = entry->id;
    n->listed++;
}

static void forget(struct names *n, struct names_entry *entry)
{
    map_remove(&n->ids, (struct str){entry->at, entry->len});
    n->at[entry->id] = NULL;
    n->spare[n->spare_count++] = entry->id;
    n->count--;
    n->bytes -= entry->len;
    mem_free(entry);
}

void names_sweep(struct names *n)
{
    uint64_t looks = 2ull * n->listed + SWEEP_MORE;
    n->listed = 0;
    for (; looks > 0 && n->first != LAST; looks--) {
        struct names_entry *entry = n->at[n->first];
        n->first = entry->next;
        n->last = n->first == LAST ? LAST : n->last;
        entry->next = NOT_LISTED;
        if (entry->holds == 0)
            forget(n, entry);
    }
}
