/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepared.h -- new pods whose spec was prepared before.
 *
 * WHAT   What a create makes of a pod's spec (defaults, what admission adds, the first status, all of it as bytes) and
 *        whether it is allowed follow from the spec's text and from its PriorityClass, where metadata has no annotation
 *        of ours and the namespace no LimitRange. So it is remembered by that text, for those that were stored without
 *        a remark; whoever sends it again is spared decoding, checking and packing it.
 * WHY    Pods come in series: a thousand of a Deployment have one template. It was half of a connection thread's
 *        instructions for a create (docs/decisions/0235).
 * OWNS   What is found is borrowed until the next prepared_keep() or prepared_clear().
 * LIMITS PREPARED_MAX specs of PREPARED_TEXT_MAX, PREPARED_BYTES_MAX when prepared; a text is kept when it comes the second time.
 * FAILS  Nothing does: what is not found, or does not fit, goes the plain way, which says what is wrong with it.
 *
 * Use:   prepared_read(), prepared_fits(); the document without its spec goes the plain way with kind_call.spec_is_prepared
 *        set; its bytes and then behind are the pod's.
 */
#ifndef API_PREPARED_H
#define API_PREPARED_H

#include "api/kinds.h"

enum { PREPARED_MAX = 64, PREPARED_TEXT_MAX = 8 << 10, PREPARED_BYTES_MAX = 12 << 10 };

struct prepared;

struct prepared *prepared_new(void);
void prepared_free(struct prepared *p); /* NULL is allowed. */
void prepared_clear(struct prepared *p);

struct prepared_spec {
    struct str behind;             /* Of the pod's bytes: all that stands behind metadata. */
    struct str account;            /* The service account, */
    struct str class_name;         /* and the PriorityClass as the client named it, */
    struct kind_priority priority; /* and what it was then. */
};

/* A Pod's document in JSON whose spec was kept: *out_raw is the rest of it as bytes, in the arena. NULL: it is to be read
 * the plain way, for its spec was not kept or there is something to be said of the rest. *out_again is the spec's
 * text, in the document, when it came before: where the plain way is taken, worth prepared_keep(); or it is empty. */
const struct prepared_spec *prepared_read(struct prepared *p, struct str json, struct arena *a,
                                          struct str *out_raw, struct str *out_again);

/* Does the spec mean the same in a pod whose rest is raw, with the class of that name as it is now? */
bool prepared_fits(const struct prepared_spec *s, struct str raw,
                   const struct kind_priority *priority);

/* A pod that came with that spec and class, without a remark on the way, was prepared as call says, and is raw in bytes.
 * Not every one is kept. */
void prepared_keep(struct prepared *p, struct str spec, struct str class_name,
                   const struct kind_call *call, const Core__Pod *pod, struct str raw);

#endif /* API_PREPARED_H */
