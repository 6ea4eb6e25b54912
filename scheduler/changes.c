/* SPDX-License-Identifier: Apache-2.0 */
/* The one door through which every change of a node goes. */
#include "scheduler/search_priv.h"
#include "scheduler/shortlist.h"

void ledger__node_changed(struct ledger *l, uint32_t node, bool facts)
{
    node__rehash(ledger__node(l, node));
    ledger__node(l, node)->fragments_epoch = 0;
    if (facts)
        l->facts_log[l->facts_end++ % FACTS_LOG] = node;
    ledger__node_log(l, node);
}

/* The node's numbers into the columns and the log, where every shortlist finds them. */
void ledger__node_log(struct ledger *l, uint32_t node)
{
    struct columns_row row;
    columns__row(l, ledger__node(l, node), &row);
    columns_put(&l->columns, node, &row);
    l->changes++;
    if (l->columns.is_logged && l->columns.log_end % (COLUMNS_LOG_LEAST / 8) == 0)
        shortlist__drop_behind(l);
}
