/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records.h -- what the agent believes, on its own disk: one file per workload.
 *
 * WHAT   DIR/records/UID, replaced whole and durably. Read once, at the start.
 *        One that is unsynced outlives the agent, and may be empty or missing after a power cut.
 * FAILS  As io/fs.h. A file that does not decode is the core's to refuse; an empty one is removed.
 */
#ifndef NODEAGENT_SHELL_RECORDS_H
#define NODEAGENT_SHELL_RECORDS_H

#include "base/err.h"
#include "base/str.h"

MUST_USE enum err_code records_save(const char *state, struct str uid, struct str bytes,
                                    bool unsynced, struct err *e);
MUST_USE enum err_code records_forget(const char *state, struct str uid, struct err *e);

/* Calls visit with every record, in order of uids. */
MUST_USE enum err_code records_load(const char *state, void (*visit)(void *arg, struct str bytes),
                                    void *arg, struct err *e);

#endif /* NODEAGENT_SHELL_RECORDS_H */
