/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.h -- from a workload's name to the stream on its node.
 *
 * WHAT   GET .../pods/NAME/log and .../virtualmachineinstances/NAME/log, with kubectl's options; and the way
 *        from a path to the Placement, which consoles share.
 */
#ifndef CONTROLPLANE_SERVE_LOGS_H
#define CONTROLPLANE_SERVE_LOGS_H

#include "controlplane/serve/front.h"
#include "controlplane/serve/relay.h"

/* Node and Placement of the workload at names into *out. False: *out_why says what is not there. */
bool logs_find(struct front *f, const struct rest_path *at, struct arena *a, struct relay_wish *out,
               struct str *out_why);

/* /apis/subresources.kubevirt.io/v1/namespaces/NS/virtualmachineinstances/NAME/console */
bool console_path(struct str path, struct arena *a, struct rest_path *out);

#endif /* CONTROLPLANE_SERVE_LOGS_H */
