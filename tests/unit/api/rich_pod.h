/* SPDX-License-Identifier: Apache-2.0 */
/* rich_pod.h -- a pod that has a bit of everything, for tests that change it anywhere. */
#ifndef UNIT_API_RICH_POD_H
#define UNIT_API_RICH_POD_H

static const char rich_pod[] =
    "{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"default\",\"labels\":{\"app\":\"web\"},"
    "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"the-owner\",\"uid\":"
    "\"0f0e0d0c\",\"controller\":true}]},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":"
    "\"busybox:1\",\"args\":[\"sleep\",\"1000\"],\"env\":[{\"name\":\"A\",\"value\":\"1\"}],"
    "\"resources\":{\"limits\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}},{\"name\":\"side\","
    "\"image\":\"registry.example.com/team/"
    "side:2\",\"tty\":true,\"ports\":[{\"containerPort\":80}]}],"
    "\"nodeName\":\"node-1\",\"priority\":7,\"volumes\":[{\"name\":\"token\",\"projected\":{"
    "\"sources\":[{\"serviceAccountToken\":{\"path\":\"token\",\"expirationSeconds\":3600}}]}}],"
    "\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":"
    "\"NoExecute\",\"tolerationSeconds\":300},{\"key\":\"node.kubernetes.io/unreachable\","
    "\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],\"affinity\":{"
    "\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":["
    "{\"matchExpressions\":[{\"key\":\"disk\",\"operator\":\"In\",\"values\":[\"ssd\"]}]}]}}}},"
    "\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"main\",\"ready\":true,"
    "\"restartCount\":1,\"image\":\"busybox:1\",\"imageID\":\"\",\"state\":{\"running\":{"
    "\"startedAt\":\"2026-01-02T03:04:05Z\"}},\"lastState\":{}}]}}";

#endif /* UNIT_API_RICH_POD_H */
