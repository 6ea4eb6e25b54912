/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.h -- which Kubernetes clients take us for.
 *
 * WHAT   The version whose behaviour the API follows, as /version and a node's kubeletVersion print it: the
 *        version of Kubernetes, then ours as build metadata (Semantic Versioning 2.0.0, 10).
 * WHY    kubectl compares its own with the server's, other programs a node's with the server's.
 */
#ifndef API_VERSION_H
#define API_VERSION_H

#define KUBERNETES_MINOR "33"
#define KUBERNETES_VERSION "v1." KUBERNETES_MINOR ".0+baton-"

#endif /* API_VERSION_H */
