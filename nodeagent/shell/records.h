/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records.h -- what the agent believes, on its own disk: one file per workload.
 *
 * WHAT   DIR/records/UID, replaced whole and durably. Read once, at the start.
 *        One that is saved unsynced outlives the agent; after a power cut it may be missing, empty or torn.
 *        One that is forgotten is back after a power cut unless records_sync() came between.
 * FAILS  As io/fs.h. A file that is no record is removed by records_mend(), which says so in the log; one whose
 *        Placement or workload does not decode is the core's to refuse.
 */
#ifndef NODEAGENT_SHELL_RECORDS_H
#define NODEAGENT_SHELL_RECORDS_H

#include "base/err.h"
#include "base/str.h"

MUST_USE enum err_code records_save(const char *state, struct str uid, struct str bytes,
                                    bool unsynced, struct err *e);

/* Gone, and gone for good: one sync is good for all that were forgotten before it. */
MUST_USE enum err_code records_forget(const char *state, struct str uid, struct err *e);
MUST_USE enum err_code records_sync(const char *state, struct err *e);

/* Before anybody asks which workloads are recorded: what a power cut or a crash made of records goes. */
MUST_USE enum err_code records_mend(const char *state, struct err *e);

/* Calls visit with every record, in order of uids. */
MUST_USE enum err_code records_load(const char *state, void (*visit)(void *arg, struct str bytes),
                                    void *arg, struct err *e);

#endif /* NODEAGENT_SHELL_RECORDS_H */
