/* SPDX-License-Identifier: Apache-2.0 */
#include "api/transcode_priv.h"

#include <stdlib.h>

/* Instants */

/* Go's reference layout, element by element, as its errors name them. */
struct layout_part {
    const char *name;
    uint32_t digits; /* 0: the name itself is expected. */
};

static const struct layout_part layout[] = {
    {"2006", 4}, {"-", 0}, {"01", 2}, {"-", 0}, {"02", 2}, {"T", 0},
    {"15", 2},   {":", 0}, {"04", 2}, {":", 0}, {"05", 2},
};

static bool matches(struct str text, size_t at, const struct layout_part *part)
{
    size_t len = part->digits > 0 ? part->digits : strlen(part->name);
    if (text.len - at < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text.at[at + i];
        if (part->digits > 0 ? c < '0' || c > '9' : c != part->name[i])
            return false;
    }
    return true;
}

/* The sentence of Go's time.Parse() for a text it refuses: Kubernetes passes it on. */
static void explain_time(struct str text, bool micro, struct err *e)
{
    size_t at = 0;
    const char *want = NULL;
    for (size_t i = 0; i < COUNT_OF(layout) && want == NULL; i++) {
        if (matches(text, at, &layout[i]))
            at += layout[i].digits > 0 ? layout[i].digits : strlen(layout[i].name);
        else
            want = layout[i].name;
    }
    if (want == NULL && micro) {
        static const struct layout_part point = {".", 0}, fraction = {"000000", 6};
        if (matches(text, at, &point) && matches(text, at + 1, &fraction))
            at += 7;
        else
            want = ".000000";
    }
    struct str rest = str_slice(text, at, text.len);
    (void)err_set(e, ERR_INVALID,
                  "parsing time \"" STR_FMT "\" as \"2006-01-02T15:04:05%sZ07:00\": cannot parse "
                  "\"" STR_FMT "\" as \"%s\"",
                  STR_ARG(transcode_clip(text, 64)), micro ? ".000000" : "",
                  STR_ARG(transcode_clip(rest, 64)), want == NULL ? "Z07:00" : want);
}

/* MicroTime's layout wants exactly six digits behind the point. */
static bool has_six_digits(struct str text)
{
    size_t point = str_find(text, '.', 0), at = point + 1;
    while (at < text.len && text.at[at] >= '0' && text.at[at] <= '9')
        at++;
    return point < text.len && at - point == 7;
}

bool transcode_time_read(struct str text, bool micro, struct wall *out, struct err *e)
{
    struct wall at;
    if (wall_parse(text, &at) == ERR_OK && (!micro || has_six_digits(text))) {
        *out = at;
        return true;
    }
    explain_time(text, micro, e);
    return false;
}

void transcode_time_put(struct buf *out, struct wall at, bool micro)
{
    int64_t nanos = at.ns % 1000000000;
    int64_t seconds = at.ns / 1000000000;
    if (nanos < 0) {
        nanos += 1000000000;
        seconds--;
    }
    wire_put_u64(out, TIME_SECONDS, (uint64_t)seconds);
    nanos -= nanos % 1000;
    if (micro && nanos != 0)
        wire_put_u64(out, TIME_NANOS, (uint64_t)nanos);
}

/* Years 1 to 9999 in seconds since 1970; wall counts nanoseconds and holds 1678 to 2262. */
bool transcode_time_get(struct str bytes, struct wall *out, bool *out_set)
{
    const int64_t year_1 = -62135596800, wall_max = INT64_MAX / 1000000000 - 1;
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    int64_t seconds = 0, nanos = 0;
    bool given = false;
    while (wire_next(&r, &f)) {
        if (f.number == TIME_SECONDS && f.type == WIRE_VARINT) {
            seconds = (int64_t)f.value;
            given = true;
        } else if (f.number == TIME_NANOS && f.type == WIRE_VARINT) {
            nanos = (int64_t)f.value;
        }
    }
    if (r.broken || nanos < 0 || nanos >= 1000000000)
        return false;
    *out_set = given && seconds != year_1;
    if (*out_set && (seconds > wall_max || seconds < -wall_max))
        return false;
    *out = (struct wall){*out_set ? seconds * 1000000000 + nanos : 0};
    return true;
}

/* Maps */

bool transcode_entries_add(struct transcode_entries *all, struct arena *a,
                           struct transcode_entry entry)
{
    if (all->count == all->size) {
        uint32_t size = all->size == 0 ? 16 : 2 * all->size;
        struct transcode_entry *more = arena_alloc(a, size * sizeof *more);
        if (more == NULL)
            return false;
        if (all->count > 0)
            memcpy(more, all->at, all->count * sizeof *more);
        all->at = more;
        all->size = size;
    }
    all->sorted =
        all->count == 0 || (all->sorted && str_cmp(all->at[all->count - 1].key, entry.key) < 0);
    all->at[all->count++] = entry;
    return true;
}

static int by_key_and_place(const void *a, const void *b)
{
    const struct transcode_entry *x = a, *y = b;
    int order = str_cmp(x->key, y->key);
    return order != 0 ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

void transcode_entries_sort(struct transcode_entries *all,
                            void (*drop)(void *state, struct str key), void *state)
{
    if (all->sorted || all->count == 0)
        return;
    qsort(all->at, all->count, sizeof *all->at, by_key_and_place);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < all->count; i++) {
        if (!str_eq(all->at[kept].key, all->at[i].key))
            kept++;
        else if (drop != NULL)
            drop(state, all->at[i].key);
        all->at[kept] = all->at[i];
    }
    all->count = kept + 1;
}

void transcode_entries_apply(const struct transcode_entries *all, struct buf *out, size_t begin,
                             struct buf *scratch)
{
    if (all->sorted || all->count == 0 || out->overflow)
        return;
    size_t base = scratch->len;
    buf_add(scratch, str_slice(buf_str(out), begin, out->len));
    out->len = begin;
    for (uint32_t i = 0; i < all->count && !scratch->overflow; i++) {
        const struct transcode_entry *entry = &all->at[i];
        buf_add(out, str_slice(buf_str(scratch), base + (entry->begin - begin),
                               base + (entry->end - begin)));
    }
    scratch->len = base;
}
