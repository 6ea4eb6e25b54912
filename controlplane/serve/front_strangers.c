/* SPDX-License-Identifier: Apache-2.0 */
/* What people without a name of ours do is written down, but not as often as they like (base/seldom.h). */
#include "base/log.h"
#include "controlplane/serve/front_priv.h"

static const struct metric withheld = {
    .name = "baton_log_withheld_total",
    .help = "Lines about strangers that were counted instead of written; by what they did.",
    .kind = METRIC_COUNTER};

static const char *const does_names[STRANGER__COUNT] = {
    [STRANGER_ASKS] = "ask", [STRANGER_JOINS] = "join"};

bool front_stranger(struct front *f, enum front_stranger does)
{
    char text[METRICS_LABELS_MAX];
    struct buf labels = {.at = text, .size = sizeof text, .limit = sizeof text};
    bool writes = seldom_may(&f->strangers[does], loop_now(f->loop));

    metrics_label(&labels, "does", str_of(does_names[does]));
    metrics_add(f->metrics, &withheld, buf_str(&labels), writes ? 0 : 1);
    front_expect(f, seldom_deadline(&f->strangers[does]));
    return writes;
}

void front_strangers_sum(struct front *f, struct instant now)
{
    for (int i = 0; i < STRANGER__COUNT; i++) {
        uint64_t count = seldom_withheld(&f->strangers[i], now);
        if (count > 0)
            log_event(LOG_WARN, "strangers.withheld", "does=%s lines=%llu then=%s", does_names[i],
                      (unsigned long long)count, "\"counted; baton_log_withheld_total\"");
        front_expect(f, seldom_deadline(&f->strangers[i]));
    }
}
