/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http.h"

struct str http_header(const struct http_headers *h, const char *name)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (str_is(h->at[i].name, name))
            return h->at[i].value;
    return (struct str){NULL, 0};
}

void http_head_target(struct http_head *head, struct str target)
{
    size_t mark = str_find(target, '?', 0);

    head->target = target;
    head->path = str_slice(target, 0, mark);
    head->query =
        mark == target.len ? (struct str){NULL, 0} : str_slice(target, mark + 1, target.len);
}

bool http_unescape(struct str in, bool query, char *out, size_t *out_len)
{
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c == '%') {
            int high = i + 2 < in.len ? str_hex_digit(in.at[i + 1]) : -1;
            int low = i + 2 < in.len ? str_hex_digit(in.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && query) {
            c = ' ';
        }
        if (c == '\0')
            return false;
        out[len++] = c;
    }
    *out_len = len;
    return true;
}

static const struct {
    uint32_t status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_reason(uint32_t status)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
