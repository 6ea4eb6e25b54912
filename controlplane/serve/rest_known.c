/* SPDX-License-Identifier: Apache-2.0 */
/* New pods whose spec this thread prepared before: the rest of the document is read and judged as always. */
#include "controlplane/serve/rest_write.h"

static bool is_pod_in_json(const struct call *c)
{
    struct str type = c->r->content_type;
    return c->schema->message->type == &core__pod__descriptor &&
           (type.len == 0 || body_is(type, "application/json"));
}

bool known_read(struct call *c, struct str *out_raw)
{
    struct change *w = c->own;
    struct kind_call now = {0};
    if (!is_pod_in_json(c))
        return false;
    const struct prepared_spec *s =
        prepared_read(rest_prepared(c), c->r->body, &c->r->arena, out_raw, &w->spec);
    if (s == NULL)
        return false;
    admit_priority_class(c, s->class_name, &now.priority);
    admit_limits(c, &now);
    if (now.limits_count > 0 || !prepared_fits(s, *out_raw, &now.priority))
        return false;
    w->known = s;
    return true;
}

/* Remarks of any kind are headers by now, unless the client wants none of them. */
void known_keep(struct call *c, const ProtobufCMessage *object, struct str raw)
{
    const struct change *w = c->own;
    if (w->known == NULL && w->spec.len > 0 && w->strictness != FIELDS_IGNORE &&
        c->r->reply_headers_count == 0)
        prepared_keep(rest_prepared(c), w->spec, w->class_name, &w->prepared,
                      (const Core__Pod *)object, raw);
}
