/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/letters.h"

#include "base/mem.h"

/* A letter with room for text behind it; str_keep() moves one string there. */
static struct letter *letter_new(size_t text, char **out_at)
{
    struct letter *l = mem_alloc(sizeof *l + text);
    *l = (struct letter){0};
    *out_at = (char *)(l + 1);
    return l;
}

struct letter *letter_write(const struct write_request *w)
{
    char *at;
    struct letter *l = letter_new(w->key.len + w->generate.len + w->if_uid.len +
                                      w->propagation.len + w->spends.len + w->spends_uid.len,
                                  &at);

    l->write = *w;
    l->write.key = str_keep(&at, w->key);
    l->write.generate = str_keep(&at, w->generate);
    l->write.if_uid = str_keep(&at, w->if_uid);
    l->write.propagation = str_keep(&at, w->propagation);
    l->write.spends = str_keep(&at, w->spends);
    l->write.spends_uid = str_keep(&at, w->spends_uid);
    l->object = blob_ref(w->object);
    return l;
}

struct letter *letter_written(const struct core_effect *fx)
{
    char *at;
    struct str text = str_of(fx->text);
    struct letter *l = letter_new(text.len, &at);

    l->written.result = fx->result;
    l->written.revision = fx->revision;
    l->written.gone = fx->gone;
    l->written.text = str_keep(&at, text);
    l->object = blob_ref(fx->object);
    return l;
}

struct letter *letter_agent(uint64_t session, struct str node, struct str bytes)
{
    char *at;
    struct letter *l = letter_new(node.len + bytes.len, &at);

    l->agent.session = session;
    l->agent.node = str_keep(&at, node);
    l->agent.bytes = str_keep(&at, bytes);
    return l;
}

struct letter *letter_agent_message(uint64_t session, struct blob *bytes)
{
    char *at;
    struct letter *l = letter_new(0, &at);

    l->agent.session = session;
    l->agent.bytes = blob_str(bytes);
    l->object = blob_ref(bytes);
    return l;
}

void letter_free(void *letter)
{
    struct letter *l = letter;
    if (l == NULL)
        return;
    blob_unref(l->object);
    mem_free(l);
}
