/* SPDX-License-Identifier: Apache-2.0 */
#include "api/texts.h"

#include "base/mem.h"
#include "base/memo.h"

struct texts {
    struct memo *memo;
};

/* One message's; another one with the same bytes is written each time. */
struct text {
    const struct schema_message *message;
    size_t len;
    char json[];
};

struct texts *texts_new(void)
{
    struct texts *t = mem_zalloc(1, sizeof *t);
    t->memo = memo_new(
        &(struct memo_options){TEXTS_MAX / MEMO_WAYS, TEXTS_BYTES_MAX, str_hash, mem_free});
    return t;
}

void texts_free(struct texts *t)
{
    if (t == NULL)
        return;
    memo_free(t->memo);
    mem_free(t);
}

void texts_clear(struct texts *t)
{
    memo_clear(t->memo);
}

struct str texts_find(struct texts *t, const struct schema_message *m, struct str bytes,
                      bool *out_again)
{
    *out_again = false;
    if (bytes.len < TEXTS_BYTES_LEAST)
        return (struct str){NULL, 0};
    struct memo_found found = memo_find(t->memo, bytes);
    const struct text *text = found.value;
    *out_again = found.is_again;
    return text != NULL && text->message == m ? str_from(text->json, text->len)
                                              : (struct str){NULL, 0};
}

void texts_keep(struct texts *t, const struct schema_message *m, struct str bytes, struct str json)
{
    if (json.len > TEXTS_JSON_MAX)
        return;
    struct text *text = mem_alloc(sizeof *text + json.len);
    text->message = m;
    text->len = json.len;
    str_put(text->json, json);
    (void)memo_put(t->memo, bytes, text);
}
