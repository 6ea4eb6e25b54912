/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h -- the agent's command line.
 *
 * WHAT   argv as a struct, checked and with every default filled in; options_help is what --help prints.
 * OWNS   Text is borrowed from argv, which outlives the program's use of it.
 * FAILS  ERR_INVALID names the option, what it got and what it wants; nothing was opened or changed.
 */
#ifndef NODEAGENT_START_OPTIONS_H
#define NODEAGENT_START_OPTIONS_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_INSECURE_MAX = 16 };

struct options {
    const char *state;      /* --state DIR: everything the agent keeps. */
    const char *share;      /* --share DIR: baton-shim, pvh.elf. */
    const char *import;     /* --import DIR: images as OCI layouts and archives. */
    const char *server;     /* --server HOST:PORT */
    const char *token_file; /* --token-file FILE: read once, at the first join. */
    const char *node_name;  /* --node-name NAME; NULL: host name and cluster. */
    const char *address;    /* --address ADDRESS|INTERFACE; NULL: of the default route. */
    const char *topology;   /* --topology TEXT|FILE.xml: with --runtime fake only. */
    const char *devices; /* --devices FILE: what is given away (host/devices.h); NULL: nothing. */
    const char *device_root; /* --device-root DIR: DIR/sys and DIR/dev; with --runtime fake only. */
    const char *log_file;    /* --log-file FILE; NULL: standard error. */
    const char *command;     /* --oci-runtime PATH; NULL: crun, then runc. */
    const char *insecure[OPTIONS_INSECURE_MAX]; /* --insecure-registry HOST[:PORT], each. */
    uint32_t insecure_count;
    bool fake;   /* --runtime fake */
    bool clean;  /* --clean: end everything, take everything away, and exit. */
    bool doctor; /* --doctor: look at this node, say what is found as JSON, and exit. */
    bool fix;    /* --fix, with --doctor: remove what is left over. */
    bool record; /* --record, with --doctor: have the agent write its flight recording. */
    bool help, version;
    uint32_t shared_cores, system_cpu_millis, workloads_max, pull_stall_s;
    uint32_t image_high_percent, image_low_percent,
        image_age_s; /* --image-gc-...; shell/hostimages.h */
    uint64_t system_memory_bytes;
    uint64_t disk_reserve_bytes; /* --disk-reserve */
    bool disk_reserve_given;     /* No: a tenth of the disk, but not more than 4 GiB. */
    uint64_t flight_bytes;       /* --flight-kib; 0: nothing is recorded. */
};

MUST_USE enum err_code options_read(int argc, char **argv, struct options *out, struct err *e);
extern const char options_help[];

#endif /* NODEAGENT_START_OPTIONS_H */
