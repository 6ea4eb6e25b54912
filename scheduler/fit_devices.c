/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices serve a request: whole ones, or parts of those that may be shared, never both of one device.
 *
 * Parts of one class stand by falling size. What serves a part serves every smaller one, so there is a device for
 * each exactly when, at every size, as many devices serve it as parts of at least that size are wanted (Hall's
 * theorem for nested sets), and taking them in that order never takes one away from a later part.
 */
#include "scheduler/search_priv.h"

static uint32_t serving(const struct node *n, const struct request_device *want, bool empty)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < n->devices_count; k++)
        count += fit__device_serves(&n->devices[k], want, empty);
    return count;
}

/* The most thousandths that each of needed devices has free, for the message: less than wanted. */
static uint32_t most_each(const struct node *n, const struct request_device *want, uint32_t needed,
                          bool empty)
{
    struct request_device less = *want;
    uint32_t fits = 0, over = want->units;
    while (fits + 1 < over) {
        less.units = (fits + over) / 2;
        if (serving(n, &less, empty) >= needed)
            fits = less.units;
        else
            over = less.units;
    }
    return fits;
}

enum explain_reason fit__devices(const struct node *n, const struct request *r, bool empty,
                                 struct fit *out)
{
    for (uint32_t i = 0; i < r->devices_count; i++) {
        const struct request_device *want = &r->devices[i];
        uint32_t needed = fit__devices_needed(r, i), free = serving(n, want, empty);
        if (free >= needed)
            continue;
        bool whole = want->units == 0;
        out->reason = whole ? EXPLAIN_DEVICE : EXPLAIN_PART;
        out->about = (struct explain_about){.name = want->class_name};
        out->wanted = whole ? needed : want->units;
        out->free = whole ? free : most_each(n, want, needed, empty);
        return out->reason;
    }
    return EXPLAIN_FITS;
}

static bool is_taken(const struct fit *f, uint32_t device)
{
    for (uint32_t k = 0; k < f->devices_count; k++)
        if (f->devices[k].index == device)
            return true;
    return false;
}

/* A part goes to the device with the least left, so that whole ones stay whole; whole devices are
 * taken in order, those first that cannot be shared. */
static uint32_t best_device(const struct node *n, const struct request_device *want, bool empty,
                            uint32_t set, const struct fit *taken)
{
    uint32_t best = n->devices_count;
    for (uint32_t i = 0; i < n->devices_count; i++) {
        const struct node_device *d = &n->devices[i];
        if (!fit__device_serves(d, want, empty) ||
            (d->numa != NODE_NUMA_ANY && !(set >> d->numa & 1)) || is_taken(taken, i))
            continue;
        if (best == n->devices_count ||
            (!empty && d->units - d->used < n->devices[best].units - n->devices[best].used))
            best = i;
    }
    return best;
}

void fit__devices_take(const struct node *n, const struct request *r, bool empty, uint32_t set,
                       struct fit *out)
{
    for (uint32_t i = 0; i < r->devices_count; i++) {
        const struct request_device *want = &r->devices[i];
        for (uint32_t k = 0; k < want->count; k++) {
            uint32_t d = best_device(n, want, empty, set, out);
            CHECK(d < n->devices_count);
            uint32_t units = want->units == 0 ? n->devices[d].units : want->units;
            out->devices[out->devices_count++] = (struct fit_device){(uint16_t)d, (uint16_t)units};
        }
    }
}
