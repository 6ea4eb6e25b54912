/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcode_in_priv.h -- JSON to bytes: what its files share.
 *
 * transcode_in.c walks objects, lists and maps and puts their fields in order; transcode_value.c
 * reads what is no object; transcode_fault.c says in Kubernetes' words what is wrong and where.
 */
#ifndef API_TRANSCODE_IN_PRIV_H
#define API_TRANSCODE_IN_PRIV_H

#include "api/transcode_priv.h"
#include "base/jsonread.h"

/* The steps from the root to where we are; on the stack, spelled out only for messages. */
struct transcode_step {
    const struct transcode_step *up;
    struct str name; /* A field or a map's key. */
    int64_t index;   /* Of a list's element; -1 otherwise. */
    bool is_key;
};

/* Where a field's bytes are in the output. order: its index, or behind all of them that of a field
 * of the inlined message. */
struct transcode_piece {
    uint32_t order, begin, end;
};

/* Members of all objects that are open at one moment. */
enum { TRANSCODE_PIECES_MAX = 2048 };

struct transcode_input {
    struct json_reader reader;
    struct arena *arena;
    struct buf *out;
    struct buf scratch;
    struct transcode_notes *notes;
    const struct schema_message *message; /* The innermost object's. */
    struct err err;                       /* The first fault of ours; the reader has its own. */
    uint32_t pieces_used;
    struct transcode_piece pieces[TRANSCODE_PIECES_MAX];
};

/* Faults are kept in err, the first one counts; all return false. */
enum transcode_part {
    TRANSCODE_WHOLE,
    TRANSCODE_ELEMENT
}; /* The field's type, or one element's. */

bool transcode__too_big(struct transcode_input *in);

/* A value of the wrong type for f; what: "string", "number 1.5". f is NULL for the root. */
bool transcode__wrong_type(struct transcode_input *in, const struct schema_field *f,
                           enum transcode_part part, const char *what,
                           const struct transcode_step *at);
bool transcode__wrong_json(struct transcode_input *in, const struct schema_field *f,
                           enum transcode_part part, enum json_type type,
                           const struct transcode_step *at);
const char *transcode__type_word(enum json_type type);

/* what: "unknown" or "duplicate". */
void transcode__note(struct transcode_input *in, const char *what, const struct transcode_step *at);

/* A scalar as field number of the output; zero is dropped unless keep. */
bool transcode__read_scalar(struct transcode_input *in, const struct schema_field *f,
                            enum json_type type, uint32_t number, bool keep,
                            const struct transcode_step *at);

/* The body of a message that is no JSON object (schema_special). */
bool transcode__read_special(struct transcode_input *in, const struct schema_field *f,
                             enum json_type type, bool keep, const struct transcode_step *at);

#endif /* API_TRANSCODE_IN_PRIV_H */
