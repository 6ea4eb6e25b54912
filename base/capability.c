/* SPDX-License-Identifier: Apache-2.0 */
#include "base/capability.h"

#include <linux/capability.h>

/* By number. */
static const char *const names[CAPABILITY_COUNT] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

const char *capability_name(uint32_t number)
{
    return names[number];
}

bool capability_find(struct str name, uint32_t *out_number)
{
    if (name.len > 4 && str_eq_nocase(str_slice(name, 0, 4), STR("CAP_")))
        name = str_slice(name, 4, name.len);
    for (uint32_t i = 0; i < CAPABILITY_COUNT; i++)
        if (str_eq_nocase(name, str_of(names[i]))) {
            *out_number = i;
            return true;
        }
    return false;
}

uint64_t capability_default(void)
{
    return CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_DAC_OVERRIDE) |
           CAPABILITY_BIT(CAP_FSETID) | CAPABILITY_BIT(CAP_FOWNER) | CAPABILITY_BIT(CAP_NET_RAW) |
           CAPABILITY_BIT(CAP_SETGID) | CAPABILITY_BIT(CAP_SETUID) | CAPABILITY_BIT(CAP_SETFCAP) |
           CAPABILITY_BIT(CAP_SETPCAP) | CAPABILITY_BIT(CAP_NET_BIND_SERVICE) |
           CAPABILITY_BIT(CAP_SYS_CHROOT) | CAPABILITY_BIT(CAP_KILL) |
           CAPABILITY_BIT(CAP_AUDIT_WRITE);
}
