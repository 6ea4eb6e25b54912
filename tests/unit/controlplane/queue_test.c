/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits, who is next, and that nobody starves: a little language, run as a table. */
#include "controlplane/core/queue.h"
#include "base/buf.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>

/* One step a word:  +ns/name:prio:version   put     -ns/name   drop
 *                   !ns/name:needs          failed  *event     event       ^ns/name   wake
 *                   @ms                     time    ?          what queue_next() gives, "." nobody */
static void step(struct queue *q, struct instant *now, const char *word, struct buf *out)
{
    char key[32] = "", ns[32] = "";
    long a = 0, b = 0;
    sscanf(word + 1, "%31[^:]:%ld:%ld", key, &a, &b);
    sscanf(key, "%31[^/]", ns);
    switch (word[0]) {
    case '+':
        cr_assert(queue_put(q, str_of(key), str_of(ns), (int32_t)a, (uint64_t)b, *now));
        break;
    case '-':
        queue_drop(q, str_of(key));
        break;
    case '!':
        queue_failed(q, str_of(key), (uint64_t)a, *now);
        break;
    case '*':
        queue_event(q, strtoull(word + 1, NULL, 10));
        break;
    case '^':
        queue_wake(q, str_of(key), *now);
        break;
    case '@':
        now->ns = strtoll(word + 1, NULL, 10) * 1000000;
        break;
    default: {
        struct str next = queue_next(q, *now);
        buf_printf(out, STR_FMT " ", STR_ARG(next.at == NULL ? STR(".") : next));
    }
    }
}

static void is(const char *what, const char *script, const char *expected)
{
    struct queue *q = queue_new();
    struct instant now = {1};
    struct str rest = str_of(script), word;
    struct buf out;
    char text[64];
    buf_init(&out, 1 << 16);
    while (rest.at != NULL && rest.len > 0 && str_split(&rest, ' ', &word)) {
        snprintf(text, sizeof text, STR_FMT, STR_ARG(word));
        step(q, &now, text, &out);
    }
    buf_add_char(&out, '\0');
    cr_expect_str_eq(out.at, expected, "%s", what);
    buf_free(&out);
    queue_free(q);
}

TEST(queue, order)
{
    is("by arrival", "+a/x +a/y +a/z ? ? ? ?", "a/x a/y a/z . ");
    is("priority first", "+a/x +a/y:5 +b/z:7 ? ? ?", "b/z a/y a/x ");
    is("a namespace with many does not keep out one with few",
       "+a/1 +a/2 +a/3 +a/4 +b/1 +b/2 ? ? ? ? ? ?", "a/1 b/1 a/2 b/2 a/3 a/4 ");
    is("priority is worth more than the turn of a namespace", "+a/1:1 +a/2:1 +b/1 ? ? ?",
       "a/1 a/2 b/1 ");
    is("a newcomer's namespace waits for its turn", "+a/1 +b/1 +a/2 +b/2 ? ? +c/1 ? ? ?",
       "a/1 b/1 a/2 b/2 c/1 ");
}

TEST(queue, every_eighth_turn_is_whoever_has_been_ready_longest)
{
    struct queue *q = queue_new();
    struct instant now = {1};
    uint32_t urgent = 0, turns = 0;
    char key[32];
    cr_assert(queue_put(q, STR("low/x"), STR("low"), 0, 0, now));
    for (;; turns++) { /* One more urgent one for each that is served. */
        snprintf(key, sizeof key, "high/%u", urgent++);
        cr_assert(queue_put(q, str_of(key), STR("high"), 100, 0, now));
        struct str next = queue_next(q, now);
        if (str_is(next, "low/x"))
            break;
        queue_drop(q, next);
        cr_assert_lt(turns, QUEUE_TURN, "starved");
    }
    cr_expect_eq(turns, QUEUE_TURN - 1);
    queue_free(q);
}

TEST(queue, waking)
{
    is("only an event that could help", "+a/x ? !a/x:4 *3 @200 ? *4 ?", "a/x . a/x ");
    is("an event during the back-off is not lost", "+a/x ? !a/x:1 *1 @50 ? @101 ?", "a/x . a/x ");
    is("the back-off doubles",
       "+a/x ? !a/x:1 @101 *1 ? !a/x:1 *1 @300 ? @301 ? !a/x:1 *1 @700 ? @701 ?",
       "a/x a/x . a/x . a/x ");
    is("an event while it is tried is for the others", "+a/x ? *1 !a/x:1 @200 ?", "a/x a/x ");
    is("without any event it is tried after five minutes", "+a/x ? !a/x:1 @299999 ? @300001 ?",
       "a/x . a/x ");
    is("a change of the workload itself wakes it, our own writes do not",
       "+a/x:0:7 ? !a/x:1 +a/x:0:7 ? +a/x:0:8 ?", "a/x . a/x ");
    is("what it waited for is there", "+a/x ? !a/x:1 ^a/x ?", "a/x a/x ");
    is("dropped is dropped", "+a/x +a/y -a/x ? ? *1 ?", "a/y . . ");
    is("dropped while tried", "+a/x ? -a/x !a/x:1 *1 @900 ?", "a/x . ");
    is("who is tried is not handed out twice", "+a/x ? ? *1 ?", "a/x . . ");
    is("a blocked one does not keep others waiting", "+a/x:9 +b/y ? !a/x:1 ? ?", "a/x b/y . ");
}

TEST(queue, deadlines)
{
    struct queue *q = queue_new();
    struct instant now = {1};
    cr_expect_eq(queue_deadline(q, now).ns, 0, "nobody waits");
    cr_assert(queue_put(q, STR("a/x"), STR("a"), 0, 0, now));
    cr_expect_eq(queue_deadline(q, now).ns, now.ns);
    queue_failed(q, queue_next(q, now), 1, now);
    cr_expect_eq(queue_deadline(q, now).ns, 1 + QUEUE_BLOCKED_MAX_S * 1000000000ll);
    queue_event(q, 1);
    cr_expect_eq(queue_deadline(q, now).ns, now.ns, "events are still to be applied");
    cr_expect_null(queue_next(q, now).at);
    cr_expect_eq(queue_deadline(q, now).ns, 1 + QUEUE_REST_MS * 1000000ll);
    queue_free(q);
}
