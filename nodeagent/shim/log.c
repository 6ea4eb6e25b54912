/* SPDX-License-Identifier: Apache-2.0 */
/* Lines in, CRI entries out, one write(2) each, so that a reader never sees half a header. */
#include "nodeagent/shim/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static enum err_code open_live(struct shim_log *l, struct err *e)
{
    struct stat st;
    l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (l->fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open log %s: %m", l->path);
    l->size = fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return ERR_OK;
}

enum err_code shim_log_open(struct shim_log *l, const struct shim_conf *conf, struct err *e)
{
    *l = (struct shim_log){
        .path = conf->log, .fd = -1, .max = conf->log_max, .files = conf->log_files};
    return open_live(l, e);
}

/* LOG.1 becomes LOG.2, LOG becomes LOG.1; the oldest falls off. With one file it starts anew. */
static void rotate(struct shim_log *l)
{
    char from[SHIM_PATH_MAX + 16], to[SHIM_PATH_MAX + 16];
    close(l->fd);
    if (l->files < 2)
        (void)!truncate(l->path, 0);
    for (uint32_t n = l->files; n-- > 1;) {
        snprintf(to, sizeof to, "%s.%u", l->path, n);
        if (n == 1)
            snprintf(from, sizeof from, "%s", l->path);
        else
            snprintf(from, sizeof from, "%s.%u", l->path, n - 1);
        (void)!rename(from, to); /* Missing ones are no matter. */
    }
    (void)!open_live(l, NULL); /* fd -1: entries are dropped until it works again. */
}

static void write_entry(struct shim_log *l, int stream, struct str text, bool partial,
                        struct wall now)
{
    static const char *const names[] = {"stdout", "stderr"};
    char head[WALL_TEXT_MAX + 16], at[WALL_TEXT_MAX];

    wall_print_nano(now, at);
    int head_len = snprintf(head, sizeof head, "%s %s %c ", at, names[stream], partial ? 'P' : 'F');
    uint64_t size = (uint64_t)head_len + text.len + 1;
    if (l->max != 0 && l->size != 0 && l->size + size > l->max)
        rotate(l);
    if (l->fd < 0 && open_live(l, NULL) != ERR_OK)
        return;
    struct iovec parts[3] = {{head, (size_t)head_len},
                             {(void *)(uintptr_t)text.at, text.len},
                             {(void *)(uintptr_t) "\n", 1}};
    if (writev(l->fd, parts, 3) == (ssize_t)size)
        l->size += size;
    else /* A full disk, perhaps half an entry: end the line, or the next one would be glued to it. */
        l->size += write(l->fd, "\n", 1) == 1;
}

void shim_log_add(struct shim_log *l, int stream, struct str bytes, struct wall now)
{
    struct shim_line *line = &l->line[stream];
    while (bytes.len > 0) {
        size_t end = str_find(bytes, '\n', 0);
        bool complete = end < bytes.len;
        size_t take = min_size(end, sizeof line->at - line->len);

        if (line->len == 0 && complete && take == end) { /* The common case copies nothing. */
            write_entry(l, stream, str_slice(bytes, 0, end), false, now);
            bytes = str_slice(bytes, end + 1, bytes.len);
            continue;
        }
        memcpy(line->at + line->len, bytes.at, take);
        line->len += (uint32_t)take;
        bytes = str_slice(bytes, take, bytes.len);
        bool newline = bytes.len > 0 && bytes.at[0] == '\n';
        if (newline || line->len == sizeof line->at) {
            write_entry(l, stream, str_from(line->at, line->len), !newline, now);
            line->len = 0;
        }
        if (newline)
            bytes = str_slice(bytes, 1, bytes.len);
    }
}

void shim_log_close(struct shim_log *l, struct wall now)
{
    for (int stream = 0; stream < 2; stream++)
        if (l->line[stream].len > 0)
            write_entry(l, stream, str_from(l->line[stream].at, l->line[stream].len), false, now);
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
