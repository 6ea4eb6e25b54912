/* SPDX-License-Identifier: Apache-2.0 */
/*
 * honoured.h -- which fields of an object are set and carried out by nobody.
 *
 * WHAT   A walk over encoded bytes by the schema table. A field is honoured when it has a description
 *        in proto/; the values that (baton.harmless) lists ask for nothing, whatever else is true.
 * WHY    What `kubectl explain` shows, what is refused (machines) and what is warned of (pods) come
 *        from the same line, and cannot disagree.
 * OWNS   Nothing: paths and texts given to found() live during the call.
 *
 * Not walked into: maps, and messages whose JSON is not an object of their fields.
 */
#ifndef API_HONOURED_H
#define API_HONOURED_H

#include "api/schema.h"
#include "api/status.h"

struct honoured {
    /* A list is named once, without an index. */
    void (*found)(void *owner, const struct field *at);
    /* Elements that are not the client's own; NULL: none. */
    bool (*skips)(const struct schema_message *m, struct str raw);
    void *owner;
};

/* raw: a message of type m, encoded; at: its path. */
void honoured_each(const struct honoured *h, const struct schema_message *m, struct str raw,
                   const struct field *at);

#endif /* API_HONOURED_H */
