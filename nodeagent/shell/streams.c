/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/streams.h"

#include "base/mem.h"
#include "io/tcp.h"
#include "nodeagent/shell/logfiles.h"
#include "proto/baton/agent/v1.pb-c.h"

#include <stdio.h>
#include <unistd.h>

enum {
    FOLLOW_MS = 200,
    CHUNK = 64 << 10,
    CHUNKS_A_TURN = 16, /* Of one stream, so that a large log leaves the loop to others. */
    ROOM_LEAST = CHUNK + 1024,
    CHANNEL_STDIN = 0,
    CHANNEL_STDOUT = 1,
    CHANNEL_ERROR = 3,
};

struct stream {
    bool used, ending, console;
    uint32_t link; /* Its number on the link. */
    uint64_t id;
    bool greeted; /* The first frame carried the id. */
    size_t room;
    /* Logs: */
    struct logs_reader reader;
    struct logfiles files;
    bool waiting; /* At the live end, following: */
    char placement_uid[64], container[256];
    uint32_t attempt;
    /* Console: */
    char path[4096];
    struct tcp *tcp;
};

struct streams {
    const struct agent *agent;
    struct loop *loop;
    struct link *link;
    struct loop_client client;
    struct stream at[LINK_STREAMS_MAX];
};

/* ---- frames ---- */

static void send_frame(struct streams *s, struct stream *st, uint32_t channel, struct str data,
                       bool eof)
{
    Agent__StreamFrame f = AGENT__STREAM_FRAME__INIT;
    struct buf out;

    f.has_id = !st->greeted;
    f.id = st->id;
    f.has_channel = f.has_data = true;
    f.channel = channel;
    f.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
    f.has_eof = eof;
    f.eof = eof;
    st->greeted = true;
    buf_init(&out, CHUNK + 4096);
    size_t size = agent__stream_frame__get_packed_size(&f);
    uint8_t *room = (uint8_t *)buf_reserve(&out, size);
    if (room != NULL) {
        buf_commit(&out, agent__stream_frame__pack(&f, room));
        st->room = link_stream_send(s->link, st->link, buf_str(&out));
    }
    buf_free(&out);
}

static void release(struct stream *st)
{
    if (!st->used)
        return;
    if (!st->console) {
        logfiles_close(&st->files);
        logs_end(&st->reader);
    }
    tcp_close(st->tcp);
    *st = (struct stream){0};
}

/* We have no more to say; LINK_STREAM_CLOSED takes the rest. */
static void finish(struct streams *s, struct stream *st)
{
    if (st->ending)
        return;
    st->ending = true;
    send_frame(s, st, CHANNEL_STDOUT, STR(""), true);
    link_stream_finish(s->link, st->link);
}

static void refuse(struct streams *s, struct stream *st, const char *why)
{
    st->ending = true;
    send_frame(s, st, CHANNEL_ERROR, str_of(why), true);
    link_stream_finish(s->link, st->link);
}

/* ---- logs ---- */

/* One wanted piece: read, fed, sent. False when nothing more is to be done now. */
static bool pass_piece(struct streams *s, struct stream *st)
{
    char bytes[CHUNK];
    struct buf text;
    struct logs_want want = logs_next(&st->reader);

    st->waiting = want.type == LOGS_WAIT;
    if (want.type == LOGS_END)
        finish(s, st);
    if (want.type != LOGS_READ)
        return false;
    size_t size = min_size(want.size, sizeof bytes);
    ssize_t got = pread(st->files.at[want.file].fd, bytes, size, (off_t)want.offset);
    buf_init(&text, CHUNK + LOGS_LINE_MAX + 4096);
    logs_feed(&st->reader, str_from(bytes, got < 0 ? 0 : (size_t)got), &text);
    for (struct str rest = buf_str(&text); rest.len > 0;) {
        struct str part = str_slice(rest, 0, CHUNK / 2);
        send_frame(s, st, CHANNEL_STDOUT, part, false);
        rest = str_slice(rest, part.len, rest.len);
    }
    buf_free(&text);
    return true;
}

static void pump(struct streams *s, struct stream *st)
{
    for (uint32_t i = 0; i < CHUNKS_A_TURN; i++)
        if (st->ending || st->room < ROOM_LEAST || !pass_piece(s, st))
            return;
}

/* Asked before the files are looked at: what a container that is over has written is seen by that look. */
static void look(struct streams *s, struct stream *st)
{
    bool is_live =
        agent_log_is_live(s->agent, str_of(st->placement_uid), str_of(st->container), st->attempt);
    logfiles_look(&st->files, &st->reader);
    if (!is_live)
        logs_stop_following(&st->reader);
    st->waiting = false;
    pump(s, st);
}

static void open_log(struct streams *s, struct stream *st, const struct agent_fx_stream *fx)
{
    struct logs_file files[LOGS_FILES_MAX];
    struct logs_options o = {.follow = fx->follow,
                             .timestamps = fx->timestamps && !fx->raw,
                             .tail_lines = fx->tail_lines,
                             .limit_bytes = fx->limit_bytes > 0 ? fx->limit_bytes : -1,
                             .since = fx->since};

    snprintf(st->placement_uid, sizeof st->placement_uid, STR_FMT, STR_ARG(fx->placement_uid));
    snprintf(st->container, sizeof st->container, STR_FMT, STR_ARG(fx->container));
    st->attempt = fx->attempt;
    uint32_t count = logfiles_open(&st->files, fx->path, files);
    logs_begin(&st->reader, &o, files, count);
    if (count == 0) {
        finish(s, st); /* Nothing was written yet. */
        return;
    }
    send_frame(s, st, CHANNEL_STDOUT, STR(""), false); /* Names the stream, whatever follows. */
    pump(s, st);
}

/* ---- consoles ---- */

/* A machine has one line. Whoever comes later has it: the one before may be a window that nobody looks at. */
static void take_over(struct streams *s, const char *path)
{
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
        struct stream *st = &s->at[i];
        if (!st->used || st->ending || !st->console || strcmp(st->path, path) != 0)
            continue;
        tcp_close(st->tcp);
        st->tcp = NULL;
        refuse(s, st, "somebody else has taken the console over");
    }
}

static void on_console(struct streams *s, struct stream *st, const struct io_event *ev)
{
    if (ev->type == IO_TCP_READ) {
        for (struct str rest = ev->bytes; rest.len > 0;) {
            struct str part = str_slice(rest, 0, CHUNK / 2);
            send_frame(s, st, CHANNEL_STDOUT, part, false);
            rest = str_slice(rest, part.len, rest.len);
        }
        if (st->room < ROOM_LEAST)
            tcp_read_pause(st->tcp, true);
    } else if (ev->type == IO_TCP_CLOSED) {
        tcp_close(st->tcp);
        st->tcp = NULL;
        if (ev->err.code != ERR_OK && !st->greeted)
            refuse(s, st, ev->err.text);
        else
            finish(s, st);
    }
}

static void on_input(struct streams *s, struct stream *st, struct str bytes)
{
    Agent__StreamFrame *f = agent__stream_frame__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    if (f == NULL)
        return;
    bool full = f->has_data && st->tcp != NULL && f->channel == CHANNEL_STDIN &&
                tcp_write(st->tcp, str_from(f->data.data, f->data.len)) != ERR_OK;
    bool over = f->eof || full;
    agent__stream_frame__free_unpacked(f, NULL);
    if (over)
        finish(s, st);
}

/* ---- all of them ---- */

static void arm(struct streams *s)
{
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
        if (s->at[i].used && !s->at[i].ending && !s->at[i].console) {
            loop_set_deadline(&s->client, instant_add(loop_now(s->loop), SPAN_MS(FOLLOW_MS)));
            return;
        }
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct streams *s = CONTAINER_OF(self, struct streams, client);
    if (ev->type == IO_DEADLINE) {
        for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
            struct stream *st = &s->at[i];
            if (!st->used || st->ending || st->console)
                continue;
            if (st->waiting)
                look(s, st);
            else
                pump(s, st);
        }
        arm(s);
    } else if (ev->op < LINK_STREAMS_MAX && s->at[ev->op].used && s->at[ev->op].console) {
        on_console(s, &s->at[ev->op], ev);
    }
}

struct streams *streams_new(struct loop *l, const struct agent *agent, struct link *link)
{
    struct streams *s = mem_zalloc(1, sizeof *s);
    s->agent = agent;
    s->loop = l;
    s->link = link;
    s->client.event = on_event;
    loop_join(l, &s->client);
    return s;
}

void streams_end(struct streams *s)
{
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
        release(&s->at[i]);
}

void streams_free(struct streams *s)
{
    if (s == NULL)
        return;
    streams_end(s);
    loop_leave(&s->client);
    mem_free(s);
}

void streams_open(struct streams *s, const struct agent_fx_stream *fx)
{
    uint32_t number;

    if (!link_stream(s->link, &number))
        return; /* The control plane's own patience ends the request. */
    struct stream *st = &s->at[number];
    release(st);
    *st = (struct stream){.used = true,
                          .link = number,
                          .id = fx->id,
                          .room = 1 << 20,
                          .console = fx->kind == AGENT_STREAM_CONSOLE};
    if (st->console) {
        char path[sizeof st->path];
        snprintf(path, sizeof path, STR_FMT, STR_ARG(fx->path));
        take_over(s, path);
        snprintf(st->path, sizeof st->path, "%s", path);
        st->tcp = tcp_connect_unix(&s->client, number, path);
        send_frame(s, st, CHANNEL_STDOUT, STR(""), false);
    } else {
        open_log(s, st, fx);
    }
    arm(s);
}

void streams_on_link(struct streams *s, const struct link_event *ev)
{
    struct stream *st = &s->at[ev->stream];
    if (!st->used)
        return;
    if (ev->type == LINK_STREAM_CLOSED) {
        release(st);
    } else if (ev->type == LINK_STREAM_MESSAGE) {
        on_input(s, st, ev->bytes);
    } else {
        st->room = 1 << 20;
        if (st->tcp != NULL)
            tcp_read_pause(st->tcp, false);
        if (!st->console)
            pump(s, st);
    }
}
