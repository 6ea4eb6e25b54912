/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held.h -- every name that a thing of the ledger mentions.
 *
 * WHAT   One walk per kind of thing, over each id in it. Taking a hold of all, dropping them and
 *        counting them again (verify.c) are the same walk, so none can miss what the others see.
 * WHY    A name that somebody mentions and nobody holds would come to mean another text.
 * OWNS   Nothing. A new field with an id in it needs a line in held.c and nowhere else.
 */
#ifndef SCHEDULER_HELD_H
#define SCHEDULER_HELD_H

#include "scheduler/ledger_priv.h"

typedef void held_each(void *context, uint32_t id);

void held__of_request(const struct request *r, held_each *each, void *context); /* Of a class. */
void held__of_labels(const struct labels *s, held_each *each, void *context);
void held__of_node(const struct node *n, held_each *each, void *context);
void held__of_images(const struct node *n, held_each *each, void *context);
void held__of_mix_shape(const struct mix_shape *s, held_each *each, void *context);

/* For held_each; context: struct names. */
held_each held__take, held__drop;

#endif /* SCHEDULER_HELD_H */
