/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h -- what names, labels and keys may look like.
 *
 * WHAT   Each rule answers with the sentences that say what is wrong; none: the text is fine.
 * WHY    The same rules serve object names, container names, label selectors and ConfigMap keys, and
 *        the sentences are what people read in 422 answers (RFC 1123 2.1; Kubernetes documentation,
 *        "Object Names and IDs" and "Labels and Selectors").
 * OWNS   The sentences are literals.
 */
#ifndef API_NAMES_H
#define API_NAMES_H

#include "api/status.h"

enum { NAME_SUBDOMAIN_MAX = 253, NAME_LABEL_MAX = 63, NAMES_WHY_MAX = 5 };

struct names_why {
    const char *at[NAMES_WHY_MAX];
    uint32_t count;
};

/* A rule looks at one text. */
struct names_why name_label(struct str s);      /* DNS label of at most 63: a namespace. */
struct names_why name_label_1035(struct str s); /* The same, beginning with a letter. */
struct names_why name_subdomain(struct str s);  /* Dotted labels of at most 253: most objects. */
struct names_why name_segment(struct str s);    /* Anything that fits into a URL's path. */
struct names_why name_qualified(struct str s);  /* [prefix/]name: label keys, finalizers. */
struct names_why name_label_value(struct str s);
struct names_why name_config_key(struct str s); /* A key of a ConfigMap or Secret. */
struct names_why name_port(struct str s);       /* An IANA service name. */
struct names_why name_env(struct str s);        /* Of an environment variable. */
struct names_why name_ip(struct str s);         /* An IPv4 or IPv6 address as text. */
struct names_why name_ipv4(struct str s);       /* The same, and not IPv6. */

/* Every sentence as CAUSE_INVALID at f. True when there was none. */
bool names_check(struct causes *c, const struct field *f, struct str value, struct names_why why);

#endif /* API_NAMES_H */
