/* SPDX-License-Identifier: Apache-2.0 */
#include "api/kinds_priv.h"
const struct kind kind_vmi = {.group = "kubevirt.io",
                              .plural = "virtualmachineinstances",
                              .name_rule = name_subdomain,
                              .flags = KIND_COUNTS | KIND_DELETED_BODY};
