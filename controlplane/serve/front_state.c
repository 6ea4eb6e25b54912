/* SPDX-License-Identifier: Apache-2.0 */
/* What everything on a connection thread stands on: letters that leave it, writes that await an answer, requests that are due,
 * its deadline. */
#include "base/check.h"
#include "controlplane/serve/front_priv.h"

bool front_post(struct front *f, enum letter_type type, uint64_t op, struct letter *l)
{
    struct mail m = {.type = type, .op = op, .body = l, .drop = letter_free};
    bool yields = type == LETTER_WRITE || type == LETTER_AGENT_MESSAGE;

    /* Openings and ends must always get through: they have half of the box for themselves. */
    if (yields && mailbox_count(shell_inbox(f->shared->shell)) >= SHELL_INBOX_MAX / 2) {
        letter_free(l);
        return false;
    }
    if (mailbox_post(shell_inbox(f->shared->shell), &m) == ERR_OK)
        return true;
    letter_free(l);
    return false;
}

bool front_tell(struct front *f, uint64_t name, enum letter_type type, struct letter *l)
{
    struct mail m = {.type = type, .op = name, .body = l, .drop = letter_free};
    uint32_t to = letter_front(name);
    struct mailbox *inbox = to < f->shared->fronts_count ? f->shared->inboxes[to] : NULL;
    bool ends =
        type == LETTER_STREAM_END || type == LETTER_STREAM_CLOSE || type == LETTER_STREAM_ACK;
    uint32_t limit = ends ? FRONT_ENDS_MAX : FRONT_FRAMES_MAX;

    /* How many messages an agent or a client makes of its window is its choice, and whose inbox they fill. */
    if (inbox != NULL && mailbox_count(inbox) >= limit)
        inbox = NULL;
    if (inbox != NULL && mailbox_post(inbox, &m) == ERR_OK)
        return true;
    letter_free(l);
    return false;
}

bool front_write(struct front *f, const struct write_request *w, front_written *written,
                 void *owner, struct slot_id *out_name)
{
    struct slot_id name;

    if (!slots_take(&f->writes, &name))
        return false;
    if (!front_post(f, LETTER_WRITE, letter_name(f->number, name), letter_write(w))) {
        slots_give(&f->writes, name);
        return false;
    }
    f->waiting[name.slot] = (struct waiting){written, owner};
    *out_name = name;
    return true;
}

void front_write_forget(struct front *f, struct slot_id name)
{
    if (slots_live(&f->writes, name))
        f->waiting[name.slot].written = NULL; /* The slot is given when the answer comes. */
}

void front_answered(struct front *f, uint64_t op, const struct letter *l)
{
    uint32_t slot = (uint32_t)op;
    CHECK(slot < f->writes.count);
    struct slot_id name = {slot, f->writes.generation[slot]};
    CHECK(letter_name(f->number, name) == op); /* Each write is answered once. */

    struct waiting w = f->waiting[slot];
    slots_give(&f->writes, name);
    struct rest_written written = {.result = l->written.result,
                                   .object = l->object,
                                   .revision = l->written.revision,
                                   .gone = l->written.gone,
                                   .text = l->written.text};
    if (w.written != NULL)
        w.written(w.owner, &written);
}

void front_expect(struct front *f, struct instant at)
{
    loop_set_deadline(&f->client, instant_earlier(f->client.deadline, at));
}

void front_due(struct rest_request *r)
{
    struct front *f = r->front;

    if (r->due_at != NULL)
        return;
    r->due_next = NULL;
    r->due_at = f->due_last;
    *f->due_last = r;
    f->due_last = &r->due_next;
    loop_set_deadline(&f->worker, loop_now(f->loop)); /* The loop does not wait. */
}

void front_due_forget(struct rest_request *r)
{
    struct front *f = r->front;

    if (r->due_at == NULL)
        return;
    *r->due_at = r->due_next;
    if (r->due_next != NULL)
        r->due_next->due_at = r->due_at;
    else
        f->due_last = r->due_at;
    r->due_next = NULL;
    r->due_at = NULL;
}
