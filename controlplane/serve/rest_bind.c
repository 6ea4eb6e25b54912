/* SPDX-License-Identifier: Apache-2.0 */
/* pods/binding: another scheduler than ours says where a pod goes. A change of one field, with the
 * preconditions that Kubernetes asks for, answered with a Status. */
#include "controlplane/serve/rest_write.h"
#include "proto/k8s/core_v1.pb-c.h"

static void bind_done(struct call *c)
{
    status_set(&c->status, &c->r->arena, STATUS_SUCCESS, "%s", "");
    c->status.code = 201;
    reply_status(c);
}

static bool bind_fits(struct call *c, const Core__Pod *pod)
{
    struct change *w = c->own;
    struct str name = w->name;
    struct arena *a = &c->r->arena;
    const Core__PodSpec *s = pod->spec;
    struct str why = {NULL, 0};
    if (s == NULL || pod->metadata == NULL)
        return status_set(&c->status, a, STATUS_INTERNAL, "the stored object is no whole pod");
    if (!is_empty_text(s->node_name))
        why = arena_printf(a, "is already assigned to node \"%s\"", s->node_name);
    else if (s->n_scheduling_gates > 0)
        why = STR("has non-empty .spec.schedulingGates");
    if (why.at == NULL)
        return true;
    status_set(&c->status, a, STATUS_CONFLICT,
               "Operation cannot be fulfilled on pods/binding \"" STR_FMT "\": pod " STR_FMT
               " " STR_FMT,
               STR_ARG(name), STR_ARG(name), STR_ARG(why));
    status_details(&c->status, STR(""), STR("pods/binding"), name);
    return false;
}

static void bind_again(struct call *c)
{
    struct change *w = c->own;
    if (!change_find(c)) {
        reply_status(c);
        return;
    }
    Core__Pod *pod = (Core__Pod *)change_unpack(c, entry_raw(w->old));
    if (pod == NULL) {
        reply_status(c);
        return;
    }
    if (bind_fits(c, pod)) {
        pod->metadata->uid = c->target_uid; /* A precondition, where the client gave one. */
        pod->spec->node_name = c->target;
        change_submit_message(c, &pod->base);
    } else {
        reply_status(c);
    }
}

static bool binding_check(struct call *c, const Core__Binding *b)
{
    if (!str_eq(kind_str(b->metadata == NULL ? NULL : b->metadata->name), c->r->at.name))
        return change_bad(c, "name in URL does not match name in Binding object");
    if (b->target == NULL || is_empty_text(b->target->name))
        return change_bad(c, "target.name: Required value");
    struct str kind = kind_str(b->target->kind);
    if (kind.len > 0 && !str_is(kind, "Node"))
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                          "target.kind: Unsupported value: \"" STR_FMT
                          "\": supported values: \"Node\", \"<empty>\"",
                          STR_ARG(kind));
    return true;
}

void bind_begin(struct call *c)
{
    struct change *w = change_new(c, false);
    ProtobufCMessage *object = NULL;
    struct err e;
    if (w == NULL)
        return;
    w->door = KIND_BIND;
    w->again = bind_again;
    w->done = bind_done;
    enum err_code rc = body_message(c, STR("k8s.io.api.core.v1.Binding"), &object, &e);
    const Core__Binding *b = (const Core__Binding *)object;
    if (rc != ERR_OK)
        reply_err(c, &e);
    else if (!binding_check(c, b)) {
        reply_status(c);
    } else if (change_options(c, w, "CreateOptions")) {
        c->target = b->target->name;
        c->target_uid = b->metadata->uid;
        bind_again(c);
    } else {
        reply_status(c);
    }
}
