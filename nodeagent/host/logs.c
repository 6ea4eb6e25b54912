/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader has two phases. Backwards: blocks from the end until enough newlines were counted, as
 * kubelet counts them (entries of the file, partial ones included). Forwards: whole lines are parsed and
 * given; settle() walks over the ends of files.
 */
#include "nodeagent/host/logs.h"
#include <stdio.h>

enum { BLOCK_BACK = 4096, BLOCK_ON = 32 << 10, REST_MAX = LOGS_LINE_MAX + LOGS_HEAD_MAX };

enum err_code logs_parse(struct str line, struct logs_entry *out)
{
    struct str time, stream, tag;
    struct logs_entry entry;
    if (!str_split(&line, ' ', &time) || line.at == NULL || !str_split(&line, ' ', &stream) ||
        line.at == NULL || !str_split(&line, ' ', &tag))
        return ERR_CORRUPT;
    if (wall_parse(time, &entry.at) != ERR_OK)
        return ERR_CORRUPT;
    if (str_is(stream, "stdout"))
        entry.stream = LOGS_STDOUT;
    else if (str_is(stream, "stderr"))
        entry.stream = LOGS_STDERR;
    else
        return ERR_CORRUPT;
    /* More tags may follow a colon one day; the first says whether the line goes on. */
    if (tag.len == 0 || (tag.at[0] != 'F' && tag.at[0] != 'P') || (tag.len > 1 && tag.at[1] != ':'))
        return ERR_CORRUPT;
    entry.partial = tag.at[0] == 'P';
    entry.text = line.at == NULL ? (struct str){"", 0} : line;
    *out = entry;
    return ERR_OK;
}

size_t logs_head(struct wall at, enum logs_stream stream, bool partial, char out[LOGS_HEAD_MAX])
{
    size_t len = wall_print_nano(at, out);
    int more = snprintf(out + len, LOGS_HEAD_MAX - len, " %s %c ",
                        stream == LOGS_STDOUT ? "stdout" : "stderr", partial ? 'P' : 'F');
    return len + (size_t)more;
}

/* --- where to read --- */

static bool is_live(const struct logs_reader *r)
{
    return r->file + 1 >= r->files_count;
}

static void give(struct logs_reader *r, struct str text, struct buf *out)
{
    if (r->opt.limit_bytes >= 0) {
        int64_t left = r->opt.limit_bytes - r->given_bytes;
        text = str_slice(text, 0, left > 0 ? (size_t)left : 0);
    }
    buf_add(out, text);
    r->given_bytes += (int64_t)text.len;
    if (r->opt.limit_bytes >= 0 && r->given_bytes >= r->opt.limit_bytes)
        r->ended = true;
}

static void give_time(struct logs_reader *r, struct wall at, struct buf *out)
{
    char text[WALL_TEXT_MAX + 1];
    size_t len = wall_print_nano(at, text);
    text[len] = ' ';
    give(r, str_from(text, len + 1), out);
}

/* One line of the file, without its newline; has_end: there was one. */
static void give_line(struct logs_reader *r, struct str line, bool has_end, struct buf *out)
{
    struct logs_entry entry = {.at = r->last, .text = line, .partial = !has_end};
    if (logs_parse(line, &entry) != ERR_OK) /* As it is, with the time of the one before. */
        entry = (struct logs_entry){.at = r->last, .text = line, .partial = !has_end};
    r->last = entry.at;
    if (r->opt.since.ns != 0 && entry.at.ns < r->opt.since.ns)
        return;
    if (r->opt.timestamps && !r->line_open)
        give_time(r, entry.at, out);
    give(r, entry.text, out);
    if (!entry.partial)
        give(r, STR("\n"), out);
    r->line_open = entry.partial;
}

/* At the end of a file: on to the next one, or the end. What is there without a newline is given once
 * nobody can finish it any more. */
static void settle(struct logs_reader *r, struct buf *out)
{
    while (!r->backwards && !r->ended && r->offset >= r->files[r->file].size) {
        bool last = is_live(r);
        if (last && r->opt.follow)
            return;
        if (r->rest.len > 0 && out != NULL) {
            give_line(r, buf_str(&r->rest), !last, out);
            buf_clear(&r->rest);
        }
        if (last) {
            r->ended = true;
            return;
        }
        r->file++;
        r->offset = 0;
    }
}

void logs_begin(struct logs_reader *r, const struct logs_options *opt,
                const struct logs_file *files, uint32_t files_count)
{
    *r = (struct logs_reader){.opt = *opt, .files_count = min_u32(files_count, LOGS_FILES_MAX)};
    buf_init(&r->rest, REST_MAX);
    if (r->files_count == 0) {
        r->ended = true;
        return;
    }
    memcpy(r->files, files, r->files_count * sizeof *files);
    if (opt->tail_lines >= 0) { /* The last line's own newline is one more. */
        r->backwards = true;
        r->newlines_left = opt->tail_lines < INT64_MAX ? opt->tail_lines + 1 : INT64_MAX;
        r->file = r->files_count - 1;
        r->offset = r->files[r->file].size;
    }
    if (opt->tail_lines == 0)
        r->backwards = false;
    settle(r, NULL);
}

static uint64_t back_size(const struct logs_reader *r)
{
    return min_u64(BLOCK_BACK, r->offset);
}

struct logs_want logs_next(const struct logs_reader *r)
{
    if (r->ended)
        return (struct logs_want){.type = LOGS_END};
    if (r->backwards)
        return (struct logs_want){.type = LOGS_READ,
                                  .file = r->file,
                                  .offset = r->offset - back_size(r),
                                  .size = (uint32_t)back_size(r)};
    uint64_t left = r->files[r->file].size - r->offset;
    if (r->offset >= r->files[r->file].size)
        return (struct logs_want){.type = r->opt.follow ? LOGS_WAIT : LOGS_END};
    return (struct logs_want){.type = LOGS_READ,
                              .file = r->file,
                              .offset = r->offset,
                              .size = (uint32_t)min_u64(left, BLOCK_ON)};
}

/* --- feeding --- */

static void begin_forwards(struct logs_reader *r, uint64_t offset)
{
    r->backwards = false;
    r->offset = offset;
}

/* bytes end where the last search ended. */
static void search_back(struct logs_reader *r, struct str bytes)
{
    uint64_t begin = r->offset - back_size(r);
    for (size_t i = bytes.len; i-- > 0;)
        if (bytes.at[i] == '\n' && --r->newlines_left == 0) {
            begin_forwards(r, begin + i + 1);
            return;
        }
    r->offset = begin;
    while (r->offset == 0 && r->backwards) {
        if (r->file == 0) {
            begin_forwards(r, 0);
            return;
        }
        r->file--;
        r->offset = r->files[r->file].size;
    }
}

static void take_lines(struct logs_reader *r, struct str bytes, struct buf *out)
{
    while (bytes.len > 0 && !r->ended) {
        size_t end = str_find(bytes, '\n', 0);
        bool complete = end < bytes.len;
        struct str line = str_slice(bytes, 0, end);
        bytes = str_slice(bytes, complete ? end + 1 : end, bytes.len);
        if (complete && r->rest.len == 0) {
            give_line(r, line, true, out);
            continue;
        }
        buf_add(&r->rest, str_slice(line, 0, r->rest.limit - r->rest.len));
        if (complete || r->rest.len == r->rest.limit) { /* Too long for our writer: cut. */
            give_line(r, buf_str(&r->rest), complete, out);
            buf_clear(&r->rest);
        }
    }
}

void logs_feed(struct logs_reader *r, struct str bytes, struct buf *out)
{
    struct logs_want want = logs_next(r);
    if (want.type != LOGS_READ)
        return;
    if (r->backwards) {
        search_back(r, str_slice(bytes, 0, want.size));
    } else if (bytes.len == 0) {
        r->files[r->file].size = r->offset; /* It is shorter than was said. */
    } else {
        bytes = str_slice(bytes, 0, want.size);
        r->offset += bytes.len;
        take_lines(r, bytes, out);
    }
    settle(r, out);
}

void logs_grown(struct logs_reader *r, uint64_t live_size)
{
    if (r->files_count == 0)
        return;
    struct logs_file *live = &r->files[r->files_count - 1];
    if (live_size < live->size && is_live(r) && !r->backwards && r->offset > live_size)
        r->offset = 0; /* It was emptied: what is there now is new. */
    live->size = live_size;
}

void logs_rotated(struct logs_reader *r, uint64_t old_size, uint64_t live_size)
{
    if (r->files_count == 0 || r->files_count == LOGS_FILES_MAX) {
        r->ended = true;
        return;
    }
    r->files[r->files_count - 1].size = old_size;
    r->files[r->files_count++].size = live_size;
    settle(r, NULL);
}

uint32_t logs_let_go(struct logs_reader *r)
{
    uint32_t done = r->backwards ? 0 : r->file;
    r->files_count -= done;
    r->file -= done;
    memmove(r->files, r->files + done, r->files_count * sizeof r->files[0]);
    return done;
}

void logs_stop_following(struct logs_reader *r)
{
    r->opt.follow = false;
    settle(r, NULL);
}

void logs_end(struct logs_reader *r)
{
    buf_free(&r->rest);
    r->ended = true;
}
