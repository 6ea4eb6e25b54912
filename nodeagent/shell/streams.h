/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.h -- logs and consoles that the control plane asked for, each an Agent/Stream call.
 *
 * WHAT   A log is read from its files in pieces as the other end takes them, and followed by looking again
 *        every FOLLOW_MS until its container's life is over; a console is a Unix socket, both ways.
 * OWNS   streams_new() to streams_free().
 * ASYNC  Everything after streams_open() goes over the link; an error is a frame on channel 3, then the end.
 * LIMITS link.h's LINK_STREAMS_MAX. A reader that takes nothing costs one file descriptor.
 */
#ifndef NODEAGENT_SHELL_STREAMS_H
#define NODEAGENT_SHELL_STREAMS_H

#include "nodeagent/core/agent.h"
#include "nodeagent/shell/link.h"

struct streams;

struct streams *streams_new(struct loop *l, const struct agent *agent, struct link *link);
void streams_free(struct streams *s); /* NULL is allowed. */
void streams_open(struct streams *s, const struct agent_fx_stream *fx);
void streams_end(struct streams *s); /* All of them, as link_shut() does. */
void streams_on_link(struct streams *s, const struct link_event *ev); /* LINK_STREAM_* only. */

#endif /* NODEAGENT_SHELL_STREAMS_H */
