/* SPDX-License-Identifier: Apache-2.0 */
#include "io/h1.h"

#include <string.h>

enum { CHUNK_DIGITS_MAX = 15, LENGTH_DIGITS_MAX = 18, TARGET_MAX = 16 << 10 };

/* RFC 9110 5.6.2: what a token is made of. */
static bool is_token_char(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.at[i]))
            return false;
    return s.len > 0;
}

size_t h1_find_head(struct str in, size_t from)
{
    size_t begin = from < 3 ? 0 : from - 3; /* The end may straddle two reads. */
    const char *end = begin >= in.len ? NULL : memmem(in.at + begin, in.len - begin, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - in.at) + 4;
}

/* The next line without its CRLF; false at a bare CR or LF, which the caller refuses. */
static bool take_line(struct str *rest, struct str *out)
{
    const char *lf = memchr(rest->at, '\n', rest->len);
    size_t len = lf == NULL ? 0 : (size_t)(lf - rest->at);

    if (len == 0 || rest->at[len - 1] != '\r' || memchr(rest->at, '\r', len - 1) != NULL)
        return false;
    *out = str_slice(*rest, 0, len - 1);
    *rest = str_slice(*rest, len + 1, rest->len);
    return true;
}

static uint32_t parse_request_line(struct str line, struct http_head *head, const char **out_why)
{
    size_t first = str_find(line, ' ', 0), second = str_find(line, ' ', first + 1);
    struct str target = str_slice(line, first + 1, second);
    struct str version = str_slice(line, second + 1, line.len);

    head->method = str_slice(line, 0, first);
    *out_why = "malformed request line";
    if (second >= line.len || !is_token(head->method) || target.len == 0)
        return 400;
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] >= 0x7f)
            return 400;
    if (!str_is(version, "HTTP/1.1")) {
        *out_why = "only HTTP/1.1 and HTTP/2 are spoken here";
        return str_starts(version, STR("HTTP/")) ? 505 : 400;
    }
    if (target.len > TARGET_MAX) {
        *out_why = "request target is too long";
        return 414;
    }
    if (target.at[0] != '/' && !str_is(target, "*")) {
        *out_why = "request target is not a path";
        return 400;
    }
    http_head_target(head, target);
    return 0;
}

/* A field line (RFC 9112 5); the name is put into lower case where it stands. */
static bool parse_field(struct str line, struct http_header *out)
{
    size_t colon = str_find(line, ':', 0);
    struct str name = str_slice(line, 0, colon);
    struct str value = str_trim(str_slice(line, colon + 1, line.len));

    if (colon == line.len || !is_token(name)) /* Folded lines and blanks before ":" end here. */
        return false;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    char *letters = (char *)(uintptr_t)name.at;
    for (size_t i = 0; i < name.len; i++)
        if (letters[i] >= 'A' && letters[i] <= 'Z')
            letters[i] = (char)(letters[i] | 0x20);
    *out = (struct http_header){name, value};
    return true;
}

static bool parse_length(struct str value, uint64_t *out)
{
    return value.len > 0 && value.len <= LENGTH_DIGITS_MAX && str_parse_u64(value, out) == ERR_OK;
}

/* True when the comma-separated list holds word. */
static bool list_has(struct str list, const char *word)
{
    struct str item;
    while (str_split(&list, ',', &item))
        if (str_eq_nocase(str_trim(item), str_of(word)))
            return true;
    return false;
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] <= ' ' || host.at[i] >= 0x7f || strchr("/?#@\\\"<>", host.at[i]) != NULL)
            return false;
    return host.len > 0 && host.len <= 300;
}

/* What the fields say about the message itself. Anything said twice is refused. */
struct framing {
    uint32_t hosts, lengths, codings;
    struct str host, coding;
    struct str length;
};

static void note_field(struct framing *f, struct h1_request *q, const struct http_header *h)
{
    if (str_is(h->name, "host")) {
        f->hosts++;
        f->host = h->value;
    } else if (str_is(h->name, "content-length")) {
        f->lengths++;
        f->length = h->value;
    } else if (str_is(h->name, "transfer-encoding")) {
        f->codings++;
        f->coding = h->value;
    } else if (str_is(h->name, "connection")) {
        q->keep_alive = q->keep_alive && !list_has(h->value, "close");
    } else if (str_is(h->name, "expect")) {
        q->expects_continue = str_eq_nocase(h->value, STR("100-continue"));
    }
}

static uint32_t judge_framing(const struct framing *f, struct h1_request *q, const char **out_why)
{
    *out_why = "exactly one valid Host is needed";
    if (f->hosts != 1 || !is_host(f->host))
        return 400;
    q->head.authority = f->host;
    *out_why = "the body's length is said twice or not at all clearly";
    if (f->lengths > 1 || f->codings > 1 || f->lengths + f->codings > 1)
        return 400;
    if (f->codings == 1) {
        *out_why = "no transfer coding but chunked is known";
        q->body = H1_BODY_CHUNKED;
        return str_eq_nocase(f->coding, STR("chunked")) ? 0 : 501;
    }
    if (f->lengths == 1) {
        q->body = H1_BODY_LENGTH;
        return parse_length(f->length, &q->length) ? 0 : 400;
    }
    return 0;
}

uint32_t h1_parse_head(char *at, size_t len, struct h1_request *out, const char **out_why)
{
    struct str rest = str_from(at, len), line;
    struct framing framing = {0};

    out->head = (struct http_head){.proto = HTTP_1_1, .headers = {.at = out->headers}};
    out->body = H1_BODY_NONE;
    out->length = 0;
    out->keep_alive = true;
    out->expects_continue = false;
    *out_why = "bare CR or LF";
    if (!take_line(&rest, &line))
        return 400;
    uint32_t status = parse_request_line(line, &out->head, out_why);
    if (status != 0)
        return status;
    for (;;) {
        *out_why = "bare CR or LF";
        if (!take_line(&rest, &line))
            return 400;
        if (line.len == 0)
            break;
        *out_why = "too many headers";
        if (out->head.headers.count == HTTP_HEADERS_MAX)
            return 431;
        *out_why = "malformed header";
        struct http_header *h = &out->headers[out->head.headers.count++];
        if (!parse_field(line, h))
            return 400;
        note_field(&framing, out, h);
    }
    *out_why = "bytes behind the empty line";
    if (rest.len > 0)
        return 400;
    return judge_framing(&framing, out, out_why);
}

/* ---- bodies ---- */

void h1_reader_init(struct h1_reader *r, const struct h1_request *q)
{
    *r = (struct h1_reader){.left = q->length};
    r->state = q->body == H1_BODY_CHUNKED                   ? H1_R_SIZE
               : q->body == H1_BODY_LENGTH && q->length > 0 ? H1_R_LENGTH
                                                            : H1_R_DONE;
}

/* One byte of "size[;extension] CRLF" (RFC 9112 7.1). Extensions are skipped, as the RFC wants. */
static bool size_byte(struct h1_reader *r, char c)
{
    if (++r->line_len > H1_CHUNK_LINE_MAX)
        return false;
    if (r->saw_cr) {
        if (c != '\n' || r->digits == 0)
            return false;
        r->state = r->left > 0 ? H1_R_DATA : H1_R_TRAILER;
        r->line_len = 0;
        r->saw_cr = r->in_extension = false;
        r->digits = 0;
        r->line_empty = true;
        return true;
    }
    if (c == '\r') {
        r->saw_cr = true;
        return true;
    }
    if (r->in_extension)
        return c == '\t' || (c >= ' ' && c < 0x7f);
    if (c == ';') {
        r->in_extension = true;
        return r->digits > 0;
    }
    int digit = str_hex_digit(c);
    if (digit < 0 || ++r->digits > CHUNK_DIGITS_MAX)
        return false;
    r->left = r->left * 16 + (uint64_t)digit;
    return true;
}

static bool data_end_byte(struct h1_reader *r, char c)
{
    if (!r->saw_cr) {
        r->saw_cr = true;
        return c == '\r';
    }
    r->saw_cr = false;
    r->state = H1_R_SIZE;
    return c == '\n';
}

/* Trailers are read to their end and forgotten: nothing of ours looks at them. */
static bool trailer_byte(struct h1_reader *r, char c)
{
    if (++r->line_len > H1_TRAILER_MAX)
        return false;
    if (r->saw_cr) {
        r->saw_cr = false;
        if (r->line_empty)
            r->state = H1_R_DONE;
        r->line_empty = true;
        return c == '\n';
    }
    if (c == '\r') {
        r->saw_cr = true;
        return true;
    }
    r->line_empty = false;
    return c == '\t' || (unsigned char)c >= ' ';
}

static bool reader_byte(struct h1_reader *r, char c)
{
    if (r->state == H1_R_SIZE)
        return size_byte(r, c);
    return r->state == H1_R_DATA_END ? data_end_byte(r, c) : trailer_byte(r, c);
}

enum h1_step h1_reader_feed(struct h1_reader *r, struct str *in, struct str *out)
{
    *out = (struct str){NULL, 0};
    while (in->len > 0 && r->state != H1_R_DONE) {
        if (r->state == H1_R_LENGTH || r->state == H1_R_DATA) {
            *out = str_slice(*in, 0, (size_t)min_u64(r->left, in->len));
            *in = str_slice(*in, out->len, in->len);
            r->left -= out->len;
            if (r->left == 0)
                r->state = r->state == H1_R_LENGTH ? H1_R_DONE : H1_R_DATA_END;
            break;
        }
        char c = in->at[0];
        *in = str_slice(*in, 1, in->len);
        if (!reader_byte(r, c))
            return H1_BAD;
    }
    return r->state == H1_R_DONE ? H1_DONE : H1_MORE;
}

/* ---- responses ---- */

void h1_write_head(struct buf *out, const struct h1_response *r)
{
    buf_add(out, STR("HTTP/1.1 "));
    buf_add_u64(out, r->status);
    buf_add_char(out, ' ');
    buf_add(out, str_of(http_reason(r->status)));
    buf_add(out, STR("\r\n"));
    for (uint32_t i = 0; i < r->headers_count; i++) {
        buf_add(out, r->headers[i].name);
        buf_add(out, STR(": "));
        buf_add(out, r->headers[i].value);
        buf_add(out, STR("\r\n"));
    }
    if (r->chunked) {
        buf_add(out, STR("transfer-encoding: chunked\r\n"));
    } else if (!r->no_length) {
        buf_add(out, STR("content-length: "));
        buf_add_u64(out, r->length);
        buf_add(out, STR("\r\n"));
    }
    if (r->close)
        buf_add(out, STR("connection: close\r\n"));
    buf_add(out, STR("\r\n"));
}

void h1_write_chunk_head(struct buf *out, size_t len)
{
    buf_printf(out, "%zx\r\n", len);
}

void h1_write_last_chunk(struct buf *out)
{
    buf_add(out, STR("0\r\n\r\n"));
}
