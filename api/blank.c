/* SPDX-License-Identifier: Apache-2.0 */
#include "api/blank.h"

#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"

static void blank_text(char *text)
{
    if (text != NULL)
        memset(text, 'x', strlen(text));
}

struct str blank_secret(struct arena *a, struct str stored)
{
    Core__Secret *s = typed_open(a, &core__secret__descriptor, stored);
    if (s == NULL || s->base.n_unknown_fields > 0)
        return (struct str){NULL, 0};
    for (size_t i = 0; i < s->n_data; i++)
        if (s->data[i]->value.len > 0)
            memset(s->data[i]->value.data, 'x', s->data[i]->value.len);
    for (size_t i = 0; i < s->n_string_data; i++)
        blank_text(s->string_data[i]->value);
    for (size_t i = 0; s->metadata != NULL && i < s->metadata->n_annotations; i++)
        blank_text(s->metadata->annotations[i]->value);
    return typed_wrap(a, "v1", "Secret", s);
}
