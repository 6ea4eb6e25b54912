/* SPDX-License-Identifier: Apache-2.0 */
#include "api/typed.h"
#include "base/mem.h"
#include "nodeagent/core/flight.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "tests/testlib/test.h"

static struct agent_config config(void)
{
    struct agent_config c = {
        .node_name = STR("n1"), .state_dir = STR("/s"), .seed = 7, .log_files = 3};
    c.cpus.bits[0] = 0xf;
    c.cpus.bits[1] = 1;
    return c;
}

/* What a file would hold. */
static struct buf whole(const struct flight *f)
{
    struct str parts[RECORDER_PARTS];
    struct buf out;
    buf_init(&out, 2 * FLIGHT_BYTES_DEFAULT);
    recorder_parts(&f->frames, parts);
    for (int i = 0; i < RECORDER_PARTS; i++)
        buf_add(&out, parts[i]);
    return out;
}

static bool holds(struct str bytes, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= bytes.len; i++)
        if (memcmp(bytes.at + i, word, len) == 0)
            return true;
    return false;
}

/* The next event of a recording; false at its end. */
static bool next_event(struct str *rest, struct arena *a, struct agent_event *out,
                       uint64_t *out_sequence)
{
    Flight__Frame *frame;
    while (flight_next(rest, a, &frame))
        if (frame->frame_case == FLIGHT__FRAME__FRAME_EVENT) {
            *out_sequence = frame->event->sequence;
            return flight_event_of(frame->event, a, out);
        }
    return false;
}

TEST(flight, what_was_told_is_read_back)
{
    struct agent_config c = config(), back;
    struct runtime_event told = {.type = RUNTIME_EXITED,
                                 .op = 5,
                                 .id = "u.a.0",
                                 .exit_code = -1,
                                 .text = "it ended",
                                 .oom_killed = true,
                                 .finished = {77}};
    told.cpus.bits[2] = 1ull << 63;
    struct str env[] = {STR("A=b"), STR("")};
    struct agent_host_done host = {
        .code = ERR_BUSY, .text = "later", .image = {.env = env, .env_count = 2, .uid = 9}};
    struct flight f;
    struct arena a;
    struct agent_event ev;
    Flight__Frame *frame;
    uint64_t sequence;

    struct agent *agent = agent_new(&c);
    flight_init(&f, &c, FLIGHT_BYTES_DEFAULT);
    flight_event(
        &f, agent,
        &(struct agent_event){
            .type = EV_RUNTIME, .now = {1}, .wall = {2}, .op = 5, .runtime = {RUNTIME_VM, &told}});
    flight_event(&f, agent, &(struct agent_event){.type = EV_HOST_DONE, .op = 6, .host = &host});
    struct buf file = whole(&f);
    struct str rest = str_slice(buf_str(&file), sizeof FLIGHT_MAGIC - 1, file.len);
    arena_init(&a, 1 << 20);
    cr_assert(flight_next(&rest, &a, &frame));
    cr_assert(flight_config_of(frame->config, &back));
    cr_assert(str_is(back.node_name, "n1") && back.seed == 7 && back.log_files == 3);
    cr_assert_arr_eq(back.cpus.bits, c.cpus.bits, sizeof c.cpus.bits);
    cr_assert(next_event(&rest, &a, &ev, &sequence));
    cr_assert(ev.type == EV_RUNTIME && ev.now.ns == 1 && ev.wall.ns == 2 && ev.op == 5);
    cr_assert(ev.runtime.kind == RUNTIME_VM && ev.runtime.event->exit_code == -1);
    cr_assert(ev.runtime.event->oom_killed && ev.runtime.event->finished.ns == 77);
    cr_assert_str_eq(ev.runtime.event->id, "u.a.0");
    cr_assert_arr_eq(ev.runtime.event->cpus.bits, told.cpus.bits, sizeof told.cpus.bits);
    cr_assert(next_event(&rest, &a, &ev, &sequence));
    cr_assert(ev.host->code == ERR_BUSY && ev.host->image.env_count == 2 &&
              ev.host->image.uid == 9);
    cr_assert_str_eq(ev.host->text, "later");
    cr_assert_not(next_event(&rest, &a, &ev, &sequence));
    arena_free(&a);
    buf_free(&file);
    flight_fini(&f);
    agent_free(agent);
}

/* The oldest goes; what is there begins with a whole frame and has no gap. */
TEST(flight, the_last_events_are_kept)
{
    struct agent_config c = config();
    static char long_text[4000];
    memset(long_text, 'x', sizeof long_text - 1);
    struct agent_host_done host = {.text = long_text};
    struct agent_event ev;
    struct flight f;
    struct arena a;
    uint64_t sequence = 0, first = 0, last = 0;

    struct agent *agent = agent_new(&c);
    flight_init(&f, &c, FLIGHT_BYTES_DEFAULT);
    for (int i = 0; i < 3000; i++)
        flight_event(&f, agent, &(struct agent_event){.type = EV_HOST_DONE, .host = &host});
    struct buf file = whole(&f);
    cr_assert_leq(file.len, FLIGHT_BYTES_DEFAULT + 4096);
    struct str rest = str_slice(buf_str(&file), sizeof FLIGHT_MAGIC - 1, file.len);
    arena_init(&a, 64 << 20);
    while (next_event(&rest, &a, &ev, &sequence)) {
        first = first == 0 ? sequence : first;
        cr_assert(last == 0 || sequence == last + 1);
        last = sequence;
    }
    cr_assert_eq(rest.len, 0);
    cr_assert_eq(last, 3000);
    cr_assert(first > 1 && (last - first) * sizeof long_text > FLIGHT_BYTES_DEFAULT / 4);
    arena_free(&a);
    buf_free(&file);
    flight_fini(&f);
    agent_free(agent);
}

/* Where a replay would begin when the start is forgotten. */
TEST(flight, a_half_begins_with_the_agent)
{
    struct agent_config c = config();
    static char long_text[4000];
    memset(long_text, 'x', sizeof long_text - 1);
    struct agent_host_done host = {.text = long_text};
    struct agent *agent = agent_new(&c), *same = NULL;
    struct flight f;
    struct arena a;
    Flight__Frame *frame;
    uint64_t sequence = 0, snapshots = 0;

    flight_init(&f, &c, FLIGHT_BYTES_MIN);
    for (int i = 0; i < 40; i++) {
        struct agent_event ev = {.type = EV_HOST_DONE, .host = &host};
        flight_event(&f, agent, &ev);
        struct agent_effects fx = agent_step(agent, &ev);
        flight_done(&f, agent, &fx);
    }
    struct buf file = whole(&f);
    struct str rest = str_slice(buf_str(&file), sizeof FLIGHT_MAGIC - 1, file.len);
    arena_init(&a, 64 << 20);
    while (flight_next(&rest, &a, &frame)) {
        if (frame->frame_case == FLIGHT__FRAME__FRAME_SNAPSHOT) {
            cr_assert(snapshots == 0 || frame->snapshot->sequence == sequence);
            sequence = frame->snapshot->sequence;
            snapshots++;
            agent_free(same);
            same = flight_agent_of(&c, frame->snapshot);
            cr_assert_not_null(same);
            frame->snapshot->layout++;
            cr_assert_null(flight_agent_of(&c, frame->snapshot), "another build's");
        } else if (frame->frame_case == FLIGHT__FRAME__FRAME_EVENT) {
            cr_assert_eq(frame->event->sequence, ++sequence);
        }
    }
    cr_assert_eq(snapshots, 2);
    cr_assert_eq(sequence, 40);
    agent_free(same);
    agent_free(agent);
    arena_free(&a);
    buf_free(&file);
    flight_fini(&f);
}

/* An Assign with a Secret beside it, as it comes down; of_map: called a ConfigMap by who sent it. */
static struct str assign_with_secret(struct arena *a, const char *plural)
{
    Core__Secret secret = CORE__SECRET__INIT;
    Core__Secret__DataEntry entry = CORE__SECRET__DATA_ENTRY__INIT, *entries[] = {&entry};
    Agent__Dependency d = AGENT__DEPENDENCY__INIT, *dependencies[] = {&d};
    Agent__Assign assign = AGENT__ASSIGN__INIT;
    Agent__ServerMessage m = AGENT__SERVER_MESSAGE__INIT;
    entry.key = (char *)(uintptr_t) "word";
    entry.has_value = true;
    entry.value = (ProtobufCBinaryData){12, (uint8_t *)(uintptr_t) "wolpertinger"};
    secret.data = entries;
    secret.n_data = 1;
    struct str stored = typed_wrap(a, "v1", "Secret", &secret);
    d.plural = (char *)(uintptr_t)plural;
    d.has_object = true;
    d.object = (ProtobufCBinaryData){stored.len, (uint8_t *)(uintptr_t)stored.at};
    assign.dependencies = dependencies;
    assign.n_dependencies = 1;
    m.message_case = AGENT__SERVER_MESSAGE__MESSAGE_ASSIGN;
    m.assign = &assign;
    size_t len = agent__server_message__get_packed_size(&m);
    uint8_t *out = arena_alloc(a, len);
    agent__server_message__pack(&m, out);
    return str_from((const char *)out, len);
}

TEST(flight, no_secret_is_written)
{
    struct agent_config c = config();
    struct agent_event ev;
    struct flight f;
    struct arena a;
    uint64_t sequence;

    struct agent *agent = agent_new(&c);
    flight_init(&f, &c, FLIGHT_BYTES_DEFAULT);
    arena_init(&a, 1 << 20);
    struct str message = assign_with_secret(&a, "secrets");
    cr_assert(holds(message, "wolpertinger"));
    flight_event(&f, agent, &(struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = message});
    char cut[4096];
    memcpy(cut, message.at, message.len);
    cut[0] = '\x7f'; /* Does not decode any more, and holds the word still. */
    flight_event(
        &f, agent,
        &(struct agent_event){.type = EV_SESSION_MESSAGE, .bytes = str_from(cut, message.len)});
    struct buf file = whole(&f);
    cr_assert_not(holds(buf_str(&file), "wolpertinger"));
    cr_assert(holds(buf_str(&file), "xxxxxxxxxxxx") && holds(buf_str(&file), "word"));
    struct str rest = str_slice(buf_str(&file), sizeof FLIGHT_MAGIC - 1, file.len);
    cr_assert(next_event(&rest, &a, &ev, &sequence));
    cr_assert_eq(ev.bytes.len, message.len, "sizes are part of what the core decides on");
    cr_assert(next_event(&rest, &a, &ev, &sequence) && ev.bytes.len == 1);
    arena_free(&a);
    buf_free(&file);
    flight_fini(&f);
    agent_free(agent);
}
