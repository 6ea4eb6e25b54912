/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp.c -- one line, one event.
 *
 *     {"QMP": {"version": ..., "capabilities": ["oob"]}}              the greeting
 *     {"return": ..., "id": 7}      {"error": {"class", "desc"}, "id": 7}
 *     {"event": "SHUTDOWN", "data": {...}, "timestamp": {...}}        between answers, any time
 */
#include "nodeagent/runtime/qmp.h"
#include "base/json.h"

#define S(name, to) [QMP_##name] = {#name, to},
#define TO(name) (1u << QMP_##name)
const struct sm_state qmp_states[QMP__STATES] = {QMP_STATES(S, TO)};
#undef S
#undef TO

static const char *const command_names[QMP__COMMANDS] = {
#define C(command, name) [command] = name,
    QMP_COMMANDS(C)
#undef C
};

/* The events we act on; others are heard and forgotten. */
static const struct {
    const char *name;
    enum qmp_event_type type;
} known_events[] = {
    {"SHUTDOWN", QMP_SHUTDOWN},
    {"RESET", QMP_WAS_RESET},
    {"STOP", QMP_STOPPED},
    {"RESUME", QMP_RESUMED},
    {"POWERDOWN", QMP_POWERDOWN},
    {"GUEST_PANICKED", QMP_PANICKED},
    {"GUEST_CRASHLOADED", QMP_PANICKED},
};

static void qmp_move(struct qmp *q, enum qmp_state next)
{
    sm_check(qmp_states, q->state, next);
    q->state = next;
}

void qmp_init(struct qmp *q)
{
    *q = (struct qmp){.next_id = 1};
    buf_init(&q->in, QMP_LINE_MAX + 1);
    buf_init(&q->out, 64 << 10);
    arena_init(&q->arena, QMP_ARENA_MAX);
}

void qmp_fini(struct qmp *q)
{
    buf_free(&q->in);
    buf_free(&q->out);
    arena_free(&q->arena);
}

/* The session is worth nothing any more; what waits is answered by qmp_next(). */
static void qmp_fail(struct qmp *q, enum err_code code, const char *what)
{
    if (q->state == QMP_OVER)
        return;
    err_set(&q->failure, code, "QMP: %s", what);
    qmp_move(q, QMP_OVER);
    buf_clear(&q->out);
}

void qmp_end(struct qmp *q)
{
    q->ended = true;
}

/* ---- out ---- */

static void command_write(struct qmp *q, enum qmp_command command, uint64_t op,
                          const char *arguments)
{
    buf_printf(&q->out, "{\"execute\":\"%s\"%s,\"id\":%llu}\n", command_names[command], arguments,
               (unsigned long long)q->next_id);
    q->waiting[q->waiting_count].id = q->next_id++;
    q->waiting[q->waiting_count].op = op;
    q->waiting[q->waiting_count].command = command;
    q->waiting_count++;
}

enum err_code qmp_ask(struct qmp *q, enum qmp_command command, uint64_t op, struct err *e)
{
    CHECK(command < QMP__COMMANDS);
    if (q->state != QMP_READY || q->ended)
        return err_set(e, ERR_UNAVAILABLE, "QMP: no session");
    if (q->waiting_count == QMP_WAITING_MAX)
        return err_set(e, ERR_BUSY, "QMP: %u commands wait already", q->waiting_count);
    command_write(q, command, op, "");
    return ERR_OK;
}

struct str qmp_output(const struct qmp *q)
{
    return buf_str(&q->out);
}

void qmp_sent(struct qmp *q, size_t count)
{
    buf_consume(&q->out, count);
}

/* ---- in ---- */

void qmp_feed(struct qmp *q, struct str bytes)
{
    if (q->state == QMP_OVER)
        return;
    buf_consume(&q->in, q->line);
    q->scanned -= min_size(q->scanned, q->line);
    q->line = 0;
    buf_add(&q->in, bytes);
    if (q->in.overflow)
        qmp_fail(q, ERR_LIMIT, "a line is too long, or nobody reads");
}

/* The next whole line, without its end. It stays in the buffer until the next call. */
static bool line_take(struct qmp *q, struct str *out)
{
    buf_consume(&q->in, q->line);
    q->scanned -= min_size(q->scanned, q->line);
    q->line = 0;
    size_t end = str_find(buf_str(&q->in), '\n', q->scanned);
    q->scanned = end;
    if (end == q->in.len)
        return false;
    q->line = end + 1;
    *out = str_trim(str_slice(buf_str(&q->in), 0, end));
    return true;
}

static void reason_copy(struct qmp_event *out, const struct json *from)
{
    struct str reason = json_text(from);
    size_t len = min_size(reason.len, sizeof out->reason - 1);
    if (len > 0)
        memcpy(out->reason, reason.at, len);
    out->reason[len] = '\0';
}

static bool is_true(const struct json *value)
{
    return value != NULL && value->type == JSON_BOOL && value->truth;
}

static bool read_greeting(struct qmp *q, const struct json *line)
{
    const struct json *greeting = json_find(line, STR("QMP"));
    if (greeting == NULL) {
        qmp_fail(q, ERR_CORRUPT, "no greeting");
        return false;
    }
    bool oob = false;
    const struct json *offered = json_find(greeting, STR("capabilities"));
    for (const struct json *c = offered == NULL ? NULL : offered->first; c != NULL; c = c->next)
        oob = oob || str_is(json_text(c), "oob");
    qmp_move(q, QMP_NEGOTIATING);
    command_write(q, QMP_CAPABILITIES, 0, oob ? ",\"arguments\":{\"enable\":[\"oob\"]}" : "");
    return false;
}

static bool read_event(const struct json *line, struct qmp_event *out)
{
    struct str name = json_text(json_find(line, STR("event")));
    for (size_t i = 0; i < COUNT_OF(known_events); i++) {
        if (!str_is(name, known_events[i].name))
            continue;
        const struct json *data = json_find(line, STR("data"));
        out->type = known_events[i].type;
        out->guest = is_true(json_find(data, STR("guest")));
        reason_copy(out, json_find(data, STR("reason")));
        return true;
    }
    return false;
}

static bool read_threads(struct qmp *q, const struct json *list, struct qmp_event *out)
{
    if (list == NULL || list->type != JSON_ARRAY || list->count > QMP_VCPUS_MAX)
        return false;
    memset(q->threads, 0, sizeof q->threads);
    for (const struct json *cpu = list->first; cpu != NULL; cpu = cpu->next) {
        int64_t index, thread;
        if (json_i64(json_find(cpu, STR("cpu-index")), &index) != ERR_OK ||
            json_i64(json_find(cpu, STR("thread-id")), &thread) != ERR_OK)
            return false;
        if (index < 0 || index >= list->count || thread <= 0 || thread > INT32_MAX ||
            q->threads[index] != 0)
            return false;
        q->threads[index] = (int32_t)thread;
    }
    out->threads = q->threads;
    out->threads_count = list->count;
    return true;
}

static bool read_result(struct qmp *q, const struct json *result, struct qmp_event *out)
{
    switch (out->command) {
    case QMP_QUERY_CPUS:
        return read_threads(q, result, out);
    case QMP_QUERY_STATUS:
        out->running = is_true(json_find(result, STR("running")));
        reason_copy(out, json_find(result, STR("status")));
        return out->reason[0] != '\0';
    case QMP_CAPABILITIES:
    case QMP_CONT:
    case QMP_STOP:
    case QMP_SYSTEM_POWERDOWN:
    case QMP_QUIT:
    case QMP__COMMANDS:
        return true;
    }
    return true;
}

/* The command that id answers, off the list. */
static bool waiting_take(struct qmp *q, const struct json *id, struct qmp_event *out)
{
    int64_t number;
    if (json_i64(id, &number) != ERR_OK)
        return false;
    for (uint32_t i = 0; i < q->waiting_count; i++) {
        if (q->waiting[i].id != (uint64_t)number)
            continue;
        out->command = q->waiting[i].command;
        out->op = q->waiting[i].op;
        q->waiting_count--;
        memmove(&q->waiting[i], &q->waiting[i + 1], (q->waiting_count - i) * sizeof q->waiting[0]);
        return true;
    }
    return false;
}

static bool read_answer(struct qmp *q, const struct json *line, struct qmp_event *out)
{
    const struct json *result = json_find(line, STR("return"));
    const struct json *error = json_find(line, STR("error"));
    if ((result == NULL) == (error == NULL) || !waiting_take(q, json_find(line, STR("id")), out)) {
        qmp_fail(q, ERR_CORRUPT, "an answer to nothing we asked");
        return false;
    }
    out->type = QMP_ANSWERED;
    if (error != NULL) {
        out->code = ERR_INVALID;
        out->text = json_text(json_find(error, STR("desc")));
    } else if (!read_result(q, result, out)) {
        out->code = ERR_CORRUPT;
        out->text = STR("an answer of another shape than the command's");
    }
    if (out->command != QMP_CAPABILITIES)
        return true;
    if (out->code != ERR_OK) {
        qmp_fail(q, ERR_CORRUPT, "the handshake was refused");
        return false;
    }
    qmp_move(q, QMP_READY);
    out->type = QMP_IS_READY;
    return true;
}

/* True: the line is an event for the caller. */
static bool line_read(struct qmp *q, struct str text, struct qmp_event *out)
{
    struct json *line;
    arena_free(&q->arena);
    if (text.len == 0)
        return false;
    if (json_parse(&q->arena, text, &line, NULL) != ERR_OK || line->type != JSON_OBJECT) {
        qmp_fail(q, ERR_CORRUPT, "a line is not JSON");
        return false;
    }
    if (q->state == QMP_GREETING)
        return read_greeting(q, line);
    if (json_find(line, STR("event")) != NULL)
        return read_event(line, out);
    return read_answer(q, line, out);
}

/* After the last line: what still waits, then the end. */
static bool end_read(struct qmp *q, struct qmp_event *out)
{
    if (q->state != QMP_OVER)
        qmp_move(q, QMP_OVER);
    if (q->waiting_count > 0) {
        out->command = q->waiting[0].command;
        out->op = q->waiting[0].op;
        out->type = QMP_ANSWERED;
        out->code = ERR_UNAVAILABLE;
        out->text = STR("the session ended");
        q->waiting_count--;
        memmove(&q->waiting[0], &q->waiting[1], q->waiting_count * sizeof q->waiting[0]);
        return out->command != QMP_CAPABILITIES || end_read(q, out);
    }
    if (q->told)
        return false;
    q->told = true;
    out->type = QMP_ENDED;
    out->code = q->failure.code;
    out->text = str_of(q->failure.text);
    return true;
}

bool qmp_next(struct qmp *q, struct qmp_event *out)
{
    struct str line;
    while (q->state != QMP_OVER && line_take(q, &line)) {
        *out = (struct qmp_event){0};
        if (line_read(q, line, out))
            return true;
    }
    *out = (struct qmp_event){0};
    return (q->state == QMP_OVER || q->ended) && end_read(q, out);
}
