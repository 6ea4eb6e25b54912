/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the POST of a pod to the first instruction of its container, which reports its own clock; and how
 * many store transactions there were from the POST to Running. start-pod.sh brings the cluster up.
 *
 *   start-pod-client URL PKI BARE_P50 ROUNDS      PKI holds ca.crt, admin.crt, admin.key
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS_MAX = 1000, BODY_MAX = 1 << 20 };

struct client {
    CURL *curl;
    const char *url;
    char body[BODY_MAX];
    size_t len;
};

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static size_t take(char *bytes, size_t one, size_t count, void *arg)
{
    struct client *c = arg;
    size_t len = one * count;
    if (c->len + len >= sizeof c->body)
        return 0;
    memcpy(c->body + c->len, bytes, len);
    c->len += len;
    c->body[c->len] = '\0';
    return len;
}

static long call(struct client *c, const char *method, const char *path, const char *body)
{
    char url[512];
    long code = 0;
    snprintf(url, sizeof url, "%s%s", c->url, path);
    c->len = 0;
    c->body[0] = '\0';
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c->curl, CURLOPT_POST, body != NULL ? 1L : 0L);
    if (body == NULL)
        curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode rc = curl_easy_perform(c->curl);
    if (rc != CURLE_OK) {
        fprintf(stderr, "start-pod: %s %s: %s\n", method, url, curl_easy_strerror(rc));
        exit(1);
    }
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static long transactions(struct client *c)
{
    call(c, "GET", "/metrics", NULL);
    const char *at = strstr(c->body, "\nbaton_store_transactions_total ");
    return at == NULL ? 0 : strtol(at + sizeof "\nbaton_store_transactions_total" - 1, NULL, 10);
}

/* Until the body of path holds text. */
static void wait_for(struct client *c, const char *path, const char *text)
{
    for (int i = 0; i < 2000; i++) {
        if (call(c, "GET", path, NULL) == 200 && strstr(c->body, text) != NULL)
            return;
        pause_ms(5);
    }
    fprintf(stderr, "start-pod: %s never held %s:\n%s\n", path, text, c->body);
    exit(1);
}

static const char pod[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"b%d\"},\"spec\":{"
    "\"restartPolicy\":"
    "\"Never\",\"terminationGracePeriodSeconds\":0,\"containers\":[{\"name\":\"main\",\"image\":"
    "\"oci:first:latest\",\"command\":[\"/bin/first\"%s]}]}}";

static void create(struct client *c, int i, const char *more)
{
    char body[1024];
    snprintf(body, sizeof body, pod, i, more);
    long code = call(c, "POST", "/api/v1/namespaces/default/pods", body);
    if (code != 201) {
        fprintf(stderr, "start-pod: POST: %ld %s\n", code, c->body);
        exit(1);
    }
}

static void forget(struct client *c, int i)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/namespaces/default/pods/b%d", i);
    call(c, "DELETE", path, NULL);
    for (int n = 0; n < 2000 && call(c, "GET", path, NULL) != 404; n++)
        pause_ms(5);
}

static double first_instruction(struct client *c, int i, double *out_posted)
{
    char path[128];
    double begin = now_ms();
    create(c, i, "");
    *out_posted = now_ms() - begin;
    snprintf(path, sizeof path, "/api/v1/namespaces/default/pods/b%d", i);
    wait_for(c, path, "\"Succeeded\"");
    strncat(path, "/log", sizeof path - strlen(path) - 1);
    wait_for(c, path, "\n");
    double first = strtod(c->body, NULL) / 1e6 - begin;
    forget(c, i);
    return first;
}

/* One that stays: from the POST to Running and nothing behind it. */
static long writes_to_running(struct client *c, int i)
{
    char path[128];
    pause_ms(300);
    long before = transactions(c);
    create(c, i, ",\"stay\"");
    snprintf(path, sizeof path, "/api/v1/namespaces/default/pods/b%d", i);
    wait_for(c, path, "\"phase\":\"Running\"");
    pause_ms(300);
    long after = transactions(c);
    forget(c, i);
    return after - before;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static struct client c;
    static double first[ROUNDS_MAX], posted[ROUNDS_MAX];
    char path[3][512];
    if (argc != 5) {
        fputs("start-pod-client URL PKI BARE_P50 ROUNDS\n", stderr);
        return 2;
    }
    int rounds = (int)strtol(argv[4], NULL, 10);
    double bare = strtod(argv[3], NULL);
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    static const char *const files[] = {"ca.crt", "admin.crt", "admin.key"};
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", argv[2], files[i]);
    curl_global_init(CURL_GLOBAL_ALL);
    c.curl = curl_easy_init();
    c.url = argv[1];
    curl_easy_setopt(c.curl, CURLOPT_CAINFO, path[0]);
    curl_easy_setopt(c.curl, CURLOPT_SSLCERT, path[1]);
    curl_easy_setopt(c.curl, CURLOPT_SSLKEY, path[2]);
    curl_easy_setopt(c.curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c.curl, CURLOPT_WRITEDATA, &c);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(c.curl, CURLOPT_HTTPHEADER, headers);

    double unused;
    first_instruction(&c, ROUNDS_MAX,
                      &unused); /* Unpacks the image, warms what there is to warm. */
    for (int i = 0; i < rounds; i++)
        first[i] = first_instruction(&c, i, &posted[i]);
    long writes = writes_to_running(&c, ROUNDS_MAX + 1);
    qsort(first, (size_t)rounds, sizeof *first, compare);
    qsort(posted, (size_t)rounds, sizeof *posted, compare);
    double p50 = first[rounds / 2], p99 = first[(rounds - 1) * 99 / 100];
    printf("start-pod baton_p50 %.2f ms\n", p50);
    printf("start-pod baton_p99 %.2f ms\n", p99);
    printf("start-pod post_p50 %.2f ms\n", posted[rounds / 2]);
    printf("start-pod overhead_p50 %.2f ms\n", p50 - bare);
    printf("start-pod overhead_p99 %.2f ms\n", p99 - bare);
    printf("start-pod durable_writes %ld transactions\n", writes);
    curl_slist_free_all(headers);
    curl_easy_cleanup(c.curl);
    return 0;
}
