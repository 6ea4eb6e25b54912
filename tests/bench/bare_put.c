/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bare_put.h"

#include "base/base64.h"
#include "base/check.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX = 4 << 20 };

struct bare_put {
    CURL *easy;
    char url[300];
};

static size_t forget(char *at, size_t size, size_t count, void *state)
{
    (void)at;
    (void)state;
    return size * count;
}

struct bare_put *bare_put_open(const char *endpoint)
{
    struct bare_put *b = calloc(1, sizeof *b);
    b->easy = curl_easy_init();
    snprintf(b->url, sizeof b->url, "%s/v3/kv/put", endpoint);
    curl_easy_setopt(b->easy, CURLOPT_URL, b->url);
    curl_easy_setopt(b->easy, CURLOPT_WRITEFUNCTION, forget);
    return b;
}

void bare_put(struct bare_put *b, struct str value)
{
    static unsigned long long number;
    struct buf body;
    char key[40];
    int len = snprintf(key, sizeof key, "/bare/%016llx", number++);
    long status = 0;
    buf_init(&body, BODY_MAX);
    buf_add(&body, STR("{\"key\":\""));
    buf_add_base64(&body, str_from(key, (size_t)len));
    buf_add(&body, STR("\",\"value\":\""));
    buf_add_base64(&body, value);
    buf_add(&body, STR("\"}"));
    curl_easy_setopt(b->easy, CURLOPT_POSTFIELDS, body.at);
    curl_easy_setopt(b->easy, CURLOPT_POSTFIELDSIZE, (long)body.len);
    CHECK(curl_easy_perform(b->easy) == CURLE_OK);
    curl_easy_getinfo(b->easy, CURLINFO_RESPONSE_CODE, &status);
    CHECK(status == 200);
    buf_free(&body);
}

void bare_put_close(struct bare_put *b)
{
    curl_easy_cleanup(b->easy);
    free(b);
}
