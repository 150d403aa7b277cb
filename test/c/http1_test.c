/* SPDX-License-Identifier: MIT */
/* The HTTP/1.1 response reader: each sample is fed whole, byte by byte and cut at every point; the answer must not change. */
#include "base/http1.h"

#include "check.h"
#include "failing.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_LINE "Transfer-Encoding: chunked\r\n\r\n"

enum { MAX_HEADERS = 512, MAX_BODY = 64 };

enum verdict { WHOLE, WHOLE_AT_END, WRONG, CUT };

struct sample {
  const char *name, *text;
  enum verdict verdict;
  enum ha_http1_fault fault; /* for WRONG */
  int status;
  const char *body;
  size_t fields;
  enum ha_http1_framing framing;
  size_t extra; /* bytes behind the response */
  bool head;
};

#define GOOD(name, text, status, body, fields, framing) {name, text, WHOLE, HA_HTTP1_FINE, status, body, fields, framing, 0, false}
#define BAD(name, text, fault) {name, text, WRONG, fault, 0, "", 0, HA_HTTP1_NONE, 0, false}
#define SHORT(name, text) {name, text, CUT, HA_HTTP1_CUT, 0, "", 0, HA_HTTP1_NONE, 0, false}

static const struct sample SAMPLES[] = {
  GOOD("length", OK_LINE "Content-Length: 2\r\n\r\n{}", 200, "{}", 1, HA_HTTP1_LENGTH),
  GOOD("length zero", OK_LINE "Content-Length: 0\r\n\r\n", 200, "", 1, HA_HTTP1_LENGTH),
  GOOD("length with leading zeros", OK_LINE "Content-Length: 0002\r\n\r\n{}", 200, "{}", 1, HA_HTTP1_LENGTH),
  GOOD("length said twice alike", OK_LINE "Content-Length: 2\r\ncontent-LENGTH:2\r\n\r\n{}", 200, "{}", 2, HA_HTTP1_LENGTH),
  GOOD("length of exactly the limit", OK_LINE "Content-Length: 64\r\n\r\n"
       "0123456789012345678901234567890123456789012345678901234567890123", 200,
       "0123456789012345678901234567890123456789012345678901234567890123", 1, HA_HTTP1_LENGTH),
  GOOD("chunked", CHUNKED "2\r\n{}\r\n0\r\n\r\n", 200, "{}", 1, HA_HTTP1_CHUNKED),
  GOOD("chunked in capitals", OK_LINE "Transfer-Encoding: CHUNKED\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200, "{}", 1, HA_HTTP1_CHUNKED),
  GOOD("chunk sizes in hex", CHUNKED "a\r\n0123456789\r\n0B\r\n0123456789a\r\n0\r\n\r\n", 200, "01234567890123456789a", 1, HA_HTTP1_CHUNKED),
  GOOD("chunk size with zeros", CHUNKED "0000000000000002\r\n{}\r\n000\r\n\r\n", 200, "{}", 1, HA_HTTP1_CHUNKED),
  GOOD("chunk extensions", CHUNKED "2;a=b;c=\"d\"\r\n{}\r\n0 ;x\r\n\r\n", 200, "{}", 1, HA_HTTP1_CHUNKED),
  GOOD("chunk extension behind spaces and with tabs", CHUNKED "2 \t;a\tb \r\n{}\r\n0\r\n\r\n", 200, "{}", 1, HA_HTTP1_CHUNKED),
  GOOD("chunks of exactly the limit", CHUNKED "20\r\n01234567890123456789012345678901\r\n20\r\n01234567890123456789012345678901\r\n"
       "0\r\n\r\n", 200, "0123456789012345678901234567890101234567890123456789012345678901", 1, HA_HTTP1_CHUNKED),
  GOOD("500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 500, "", 1, HA_HTTP1_LENGTH),
  GOOD("599", "HTTP/1.1 599 What\r\nContent-Length: 0\r\n\r\n", 599, "", 1, HA_HTTP1_LENGTH),
  GOOD("eight interims",
       "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
       "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n" OK_LINE "Content-Length: 0\r\n\r\n", 200, "", 1,
       HA_HTTP1_LENGTH),
  GOOD("trailers dropped", CHUNKED "2\r\n{}\r\n0\r\nContent-Length: 7\r\nX: y\r\n\r\n", 200, "{}", 1, HA_HTTP1_CHUNKED),
  GOOD("204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 0, HA_HTTP1_NONE),
  GOOD("204 with length 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "", 1, HA_HTTP1_NONE),
  GOOD("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99999\r\n\r\n", 304, "", 1, HA_HTTP1_NONE),
  GOOD("interim first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\n" OK_LINE
       "Content-Length: 1\r\n\r\nx", 200, "x", 1, HA_HTTP1_LENGTH),
  GOOD("no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, "", 1, HA_HTTP1_LENGTH),
  GOOD("no reason, no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", 1, HA_HTTP1_LENGTH),
  GOOD("HTTP/1.0 with length", "HTTP/1.0 404 Nope\r\nContent-Length: 1\r\n\r\nx", 404, "x", 1, HA_HTTP1_LENGTH),
  GOOD("identity", OK_LINE "Content-Encoding: Identity\r\nContent-Length: 1\r\n\r\nx", 200, "x", 2, HA_HTTP1_LENGTH),
  GOOD("empty value", OK_LINE "X-Empty:\r\nX-Blank: \t \r\nContent-Length: 0\r\n\r\n", 200, "", 3, HA_HTTP1_LENGTH),
  GOOD("bytes above 0x7F in a value", OK_LINE "X: caf\xC3\xA9\r\nContent-Length: 0\r\n\r\n", 200, "", 2, HA_HTTP1_LENGTH),
  {"answer to HEAD", OK_LINE "Content-Length: 1000000\r\n\r\n", WHOLE, HA_HTTP1_FINE, 200, "", 1, HA_HTTP1_NONE, 0, true},
  {"answer to HEAD, chunked", CHUNKED, WHOLE, HA_HTTP1_FINE, 200, "", 1, HA_HTTP1_NONE, 0, true},
  {"bytes behind a length", OK_LINE "Content-Length: 2\r\n\r\n{}HTTP", WHOLE, HA_HTTP1_FINE, 200, "{}", 1, HA_HTTP1_LENGTH, 4, false},
  {"bytes behind a chunked body", CHUNKED "0\r\n\r\n\r\n", WHOLE, HA_HTTP1_FINE, 200, "", 1, HA_HTTP1_CHUNKED, 2, false},
  {"bytes behind a 204", "HTTP/1.1 204 x\r\n\r\nbody", WHOLE, HA_HTTP1_FINE, 204, "", 0, HA_HTTP1_NONE, 4, false},
  {"until the end", OK_LINE "X: y\r\n\r\n{\"a\":1}", WHOLE_AT_END, HA_HTTP1_FINE, 200, "{\"a\":1}", 1, HA_HTTP1_CLOSE, 0, false},
  {"until the end, empty", OK_LINE "\r\n", WHOLE_AT_END, HA_HTTP1_FINE, 200, "", 0, HA_HTTP1_CLOSE, 0, false},
  {"HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nx", WHOLE_AT_END, HA_HTTP1_FINE, 200, "x", 0, HA_HTTP1_CLOSE, 0, false},

  SHORT("nothing", ""),
  SHORT("half a version", "HTT"),
  SHORT("half a status line", "HTTP/1.1 200 OK"),
  SHORT("head without its empty line", OK_LINE "Content-Length: 0\r\n"),
  SHORT("head without its last LF", OK_LINE "Content-Length: 0\r\n\r"),
  SHORT("body too short", OK_LINE "Content-Length: 3\r\n\r\n{}"),
  SHORT("no last chunk", CHUNKED "2\r\n{}\r\n"),
  SHORT("no end of trailers", CHUNKED "2\r\n{}\r\n0\r\n"),
  SHORT("chunk data cut", CHUNKED "3\r\n{}"),
  SHORT("chunk CRLF cut", CHUNKED "2\r\n{}\r"),
  SHORT("chunk size cut", CHUNKED "2"),
  SHORT("only an interim", "HTTP/1.1 100 Continue\r\n\r\n"),

  BAD("HTTP/0.9", "<html>hello</html>\n", HA_HTTP1_MALFORMED),
  BAD("HTTP/2", "HTTP/2 200\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("lower case version", "http/1.1 200 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("empty line first", "\r\n" OK_LINE "\r\n", HA_HTTP1_MALFORMED),
  BAD("two spaces", "HTTP/1.1  200 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("letter in the status", "HTTP/1.1 2x0 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("letter at the status's end", "HTTP/1.1 20x OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("two digits", "HTTP/1.1 20 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("four digits", "HTTP/1.1 2000 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("status 000", "HTTP/1.1 000 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("status 600", "HTTP/1.1 600 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("status +20", "HTTP/1.1 +20 OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("status glued to the reason", "HTTP/1.1 200OK\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("status only", "HTTP/1.1 \r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("control byte in the reason", "HTTP/1.1 200 O\033K\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("bare LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("bare LF behind a header", OK_LINE "Content-Length: 0\n\r\n", HA_HTTP1_MALFORMED),
  BAD("bare LF as the empty line", OK_LINE "Content-Length: 0\r\n\n", HA_HTTP1_MALFORMED),
  BAD("bare CR in a value", OK_LINE "X: a\rb\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("CR CR LF", OK_LINE "X: a\r\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("folded line", OK_LINE "X: a\r\n b\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("folded with a tab", OK_LINE "X: a\r\n\tb\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("space before the first header", OK_LINE " X: a\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("space before the colon", OK_LINE "Content-Length : 0\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("no colon", OK_LINE "nonsense\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("no name", OK_LINE ": x\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("bad name", OK_LINE "X(y): x\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("DEL in a value", OK_LINE "X: a\177b\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("length with letters", OK_LINE "Content-Length: 12abc\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("length with a sign", OK_LINE "Content-Length: +2\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("length negative", OK_LINE "Content-Length: -2\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("length empty", OK_LINE "Content-Length:\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("length hex", OK_LINE "Content-Length: 0x2\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("length fraction", OK_LINE "Content-Length: 2.0\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("length list", OK_LINE "Content-Length: 2, 2\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("length inner space", OK_LINE "Content-Length: 2 0\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("lengths in conflict", OK_LINE "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", HA_HTTP1_MALFORMED),
  BAD("length and coding", OK_LINE "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("coding twice", OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("coding list", OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("coding identity", OK_LINE "Transfer-Encoding: identity\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("coding xchunked", OK_LINE "Transfer-Encoding: xchunked\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("204 with a body", "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n{}", HA_HTTP1_MALFORMED),
  BAD("204 chunked", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("gzip", OK_LINE "Content-Encoding: gzip\r\n\r\n", HA_HTTP1_CODING),
  BAD("coding empty", OK_LINE "Content-Encoding:\r\n\r\n", HA_HTTP1_CODING),
  BAD("coding twice over", OK_LINE "Content-Encoding: identity, identity\r\n\r\n", HA_HTTP1_CODING),
  BAD("101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", HA_HTTP1_INTERIM),
  BAD("interim in HTTP/1.0", "HTTP/1.0 100 Continue\r\n\r\n", HA_HTTP1_INTERIM),
  BAD("nine interims",
      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n", HA_HTTP1_INTERIM),
  BAD("garbage in an interim", "HTTP/1.1 100 C\r\nbad line\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("length above the limit", OK_LINE "Content-Length: 65\r\n\r\n", HA_HTTP1_BODY_BIG),
  BAD("length above 2^64", OK_LINE "Content-Length: 99999999999999999999999999999999\r\n\r\n", HA_HTTP1_BODY_BIG),
  BAD("length that wraps to 2", OK_LINE "Content-Length: 18446744073709551618\r\n\r\n{}", HA_HTTP1_BODY_BIG),
  BAD("chunk above the limit", CHUNKED "41\r\n", HA_HTTP1_BODY_BIG),
  BAD("chunk size of 2^64 - 1", CHUNKED "ffffffffffffffff\r\n", HA_HTTP1_BODY_BIG),
  BAD("chunk size that wraps", CHUNKED "10000000000000002\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size empty", CHUNKED "\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size with 0x", CHUNKED "0x2\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size signed", CHUNKED "+2\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size negative", CHUNKED "-2\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size after a space", CHUNKED " 2\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size before a space", CHUNKED "2 \r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size with junk", CHUNKED "2zz\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size with junk and an extension", CHUNKED "2x;a\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size with CR and junk", CHUNKED "2\rX{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size with a bare LF", CHUNKED "2\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk size with a bare CR", CHUNKED "2\r{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk extension with a bare LF", CHUNKED "2;a\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk extension with a control byte", CHUNKED "2;a\001\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk longer than its size", CHUNKED "1\r\n{}\r\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk data ended by LF", CHUNKED "2\r\n{}\n0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("chunk data ended by CR alone", CHUNKED "2\r\n{}\r0\r\n\r\n", HA_HTTP1_CHUNK),
  BAD("trailer without a colon", CHUNKED "0\r\njunk\r\n\r\n", HA_HTTP1_MALFORMED),
  BAD("trailer with a bare LF", CHUNKED "0\r\nX: y\n\r\n", HA_HTTP1_MALFORMED),
  BAD("trailers ended by a bare LF", CHUNKED "0\r\n\n", HA_HTTP1_MALFORMED)
};

static void compare(const struct sample *s, struct ha_http1 *r, enum ha_status rc, size_t used, size_t len) {
  if (s->verdict == WHOLE_AT_END || s->verdict == CUT) {
    CHECK_EQ_INT(rc, HA_MORE);
    CHECK(!ha_http1_complete(r));
    CHECK_EQ_INT(used, len);
    rc = ha_http1_end(r);
  }
  if (s->verdict == CUT || s->verdict == WRONG) {
    size_t again = 7;
    CHECK(rc != HA_OK && rc != HA_MORE);
    CHECK_EQ_INT(r->fault, s->fault);
    CHECK(!ha_http1_complete(r));
    CHECK_EQ_INT(r->head.count, 0);
    CHECK_EQ_INT(r->body.len, 0);
    CHECK_EQ_INT(ha_http1_feed(r, OK_LINE, sizeof OK_LINE - 1, &again), rc); /* stays failed */
    CHECK_EQ_INT(again, 0);
    CHECK_EQ_INT(ha_http1_end(r), rc);
    return;
  }
  CHECK_EQ_INT(rc, HA_OK);
  CHECK_EQ_INT(r->fault, HA_HTTP1_FINE);
  CHECK(ha_http1_complete(r));
  CHECK_EQ_INT(r->head.status, s->status);
  CHECK_EQ_INT(r->head.count, s->fields);
  CHECK_EQ_INT(r->head.framing, s->framing);
  CHECK_EQ_INT(ha_http1_close_delimited(r), s->framing == HA_HTTP1_CLOSE);
  CHECK_EQ_MEM(r->body.data, r->body.len, s->body, strlen(s->body));
  CHECK_EQ_INT(used, len - s->extra);
  CHECK_EQ_INT(ha_http1_end(r), HA_OK);
}

/* Feeds the text in pieces: up to cut at once, then step bytes a time. */
static void run(const struct sample *s, size_t cut, size_t step) {
  struct ha_http1 r;
  size_t len = strlen(s->text), at = 0, used = 0;
  enum ha_status rc = HA_MORE;
  ha_http1_init(&r, MAX_HEADERS, MAX_BODY, s->head);
  CHECK(!ha_http1_started(&r));
  while (at < len && rc == HA_MORE) {
    size_t n = at == 0 && cut > 0 ? cut : step;
    if (n > len - at) n = len - at;
    rc = ha_http1_feed(&r, s->text + at, n, &used);
    CHECK(ha_http1_started(&r));
    at += used;
    if (rc == HA_OK && at < len) CHECK_EQ_INT(r.extra, used < n);
  }
  compare(s, &r, rc, at, len);
  ha_http1_free(&r);
  ha_http1_free(&r);
}

static void samples(void) {
  size_t i, cut;
  for (i = 0; i < sizeof SAMPLES / sizeof *SAMPLES; i++) {
    size_t len = strlen(SAMPLES[i].text);
    CHECK_CASE(SAMPLES[i].name);
    run(&SAMPLES[i], 0, 1);
    for (cut = 1; cut <= len; cut++) run(&SAMPLES[i], cut, len);
  }
  CHECK_CASE("");
}

/* Feeds head, then piece again and again until the reader answers. */
static enum ha_http1_fault flood(const char *head, const char *piece, size_t max_headers, size_t max_body) {
  struct ha_http1 r;
  enum ha_http1_fault fault;
  size_t used, turns = 0;
  enum ha_status rc;
  ha_http1_init(&r, max_headers, max_body, false);
  rc = ha_http1_feed(&r, head, strlen(head), &used);
  while (rc == HA_MORE && turns++ < 100000) rc = ha_http1_feed(&r, piece, strlen(piece), &used);
  CHECK(rc != HA_MORE && rc != HA_OK);
  fault = r.fault;
  ha_http1_free(&r);
  return fault;
}

static void floods(void) {
  CHECK_EQ_INT(flood(OK_LINE, "x", 1000, 10), HA_HTTP1_HEADERS_BIG);
  CHECK_EQ_INT(flood("", "HTTP/1.1 200 ", 1000, 10), HA_HTTP1_HEADERS_BIG);
  CHECK_EQ_INT(flood(OK_LINE, "a:b\r\n", 1000000, 10), HA_HTTP1_HEADERS_BIG);
  CHECK_EQ_INT(flood(OK_LINE, "a:b\r\n", 1000, 10), HA_HTTP1_HEADERS_BIG);
  CHECK_EQ_INT(flood(CHUNKED "0\r\n", "a:b\r\n", 1000000, 10), HA_HTTP1_HEADERS_BIG);
  CHECK_EQ_INT(flood(CHUNKED "0\r\n", "a:b\r\n", 1000, 10), HA_HTTP1_HEADERS_BIG);
  CHECK_EQ_INT(flood(CHUNKED, "1\r\nx\r\n", 1000, 100), HA_HTTP1_BODY_BIG);
  CHECK_EQ_INT(flood(CHUNKED "1;", "x", 1000, 100), HA_HTTP1_CHUNK);
  CHECK_EQ_INT(flood(CHUNKED, "1;yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\nx\r\n", 1000, 100000), HA_HTTP1_CHUNK);
  CHECK_EQ_INT(flood(CHUNKED "1 ", " ", 1000, 100), HA_HTTP1_CHUNK);
  CHECK_EQ_INT(flood(CHUNKED, "0", 1000, 100), HA_HTTP1_CHUNK);
  CHECK_EQ_INT(flood(OK_LINE "\r\n", "xx", 1000, 101), HA_HTTP1_BODY_BIG);
  CHECK_EQ_INT(flood("", "HTTP/1.1 102 x\r\n\r\n", 1000000, 10), HA_HTTP1_INTERIM);
  CHECK_EQ_INT(flood("", "HTTP/1.1 200 OK\r\n", 0, 10), HA_HTTP1_HEADERS_BIG);
}

/* One feed of a text of a head, a fill of so many bytes, and a tail. */
static enum ha_status filled(const char *head, size_t fill, const char *tail, size_t max_headers) {
  static char text[8192];
  struct ha_http1 r;
  size_t used, n = strlen(head), m = strlen(tail);
  enum ha_status rc;
  memcpy(text, head, n);
  memset(text + n, 'x', fill);
  memcpy(text + n + fill, tail, m);
  ha_http1_init(&r, max_headers, MAX_BODY, false);
  rc = ha_http1_feed(&r, text, n + fill + m, &used);
  ha_http1_free(&r);
  return rc;
}

static void exactly_the_limits(void) {
  static const char lines[] = OK_LINE "Content-Length: 0\r\nX:";
  size_t around = sizeof lines - 1 + 4, i;
  char text[2048] = OK_LINE "Content-Length: 0\r\n";
  struct ha_http1 r;
  size_t used;
  CHECK_EQ_INT(filled(lines, 100, "\r\n\r\n", around + 100), HA_OK); /* a head of as many bytes as are allowed, and one more */
  CHECK_EQ_INT(filled(lines, 101, "\r\n\r\n", around + 100), HA_TOOBIG);
  CHECK_EQ_INT(filled(CHUNKED "1;", 4094, "\r\nx\r\n0\r\n\r\n", 512), HA_OK); /* the extension's bytes with its CR are 4095 */
  CHECK_EQ_INT(filled(CHUNKED "1;", 4095, "\r\nx\r\n0\r\n\r\n", 512), HA_OK);
  CHECK_EQ_INT(filled(CHUNKED "1;", 4096, "\r\nx\r\n0\r\n\r\n", 512), HA_BAD);
  for (i = 0; i < HA_HTTP1_LINES - 3; i++) memcpy(text + strlen(text), "a:b\r\n", 6); /* with the status line, the length and the empty line */
  ha_http1_init(&r, 4096, MAX_BODY, false);
  CHECK_EQ_INT(ha_http1_feed(&r, text, strlen(text), &used), HA_MORE);
  CHECK_EQ_INT(ha_http1_feed(&r, "\r\n", 2, &used), HA_OK);
  ha_http1_free(&r);
  ha_http1_init(&r, 4096, MAX_BODY, false);
  CHECK_EQ_INT(ha_http1_feed(&r, text, strlen(text), &used), HA_MORE);
  CHECK_EQ_INT(ha_http1_feed(&r, "a:b\r\n\r\n", 7, &used), HA_TOOBIG);
  ha_http1_free(&r);
}

/* What is no HTTP is told by its first bytes, however long its first line is; a beginning that could be HTTP waits. */
static void first_bytes(void) {
  static const char *const wrong[] = {"<", "H<", "HTTP/2", "HTTP/1x", "http", "\n", " HTTP/1.1"};
  struct ha_http1 r;
  size_t i, used;
  for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    ha_http1_init(&r, MAX_HEADERS, MAX_BODY, false);
    CHECK_CASE(wrong[i]);
    CHECK_EQ_INT(ha_http1_feed(&r, wrong[i], strlen(wrong[i]), &used), HA_BAD);
    CHECK_EQ_INT(r.fault, HA_HTTP1_MALFORMED);
    ha_http1_free(&r);
  }
  CHECK_CASE("");
  for (i = 1; i < sizeof OK_LINE; i++) {
    ha_http1_init(&r, MAX_HEADERS, MAX_BODY, false);
    CHECK_EQ_INT(ha_http1_feed(&r, OK_LINE, i, &used), HA_MORE);
    ha_http1_free(&r);
  }
}

static void nul_bytes(void) {
  static const char in_value[] = OK_LINE "X: a\0b\r\n\r\n", in_name[] = OK_LINE "X\0: a\r\n\r\n", in_status[] = "HTTP/1.1 200 O\0K\r\n\r\n";
  struct ha_http1 r;
  size_t used;
  ha_http1_init(&r, MAX_HEADERS, MAX_BODY, false);
  CHECK_EQ_INT(ha_http1_feed(&r, in_value, sizeof in_value - 1, &used), HA_BAD);
  ha_http1_init(&r, MAX_HEADERS, MAX_BODY, false);
  CHECK_EQ_INT(ha_http1_feed(&r, in_name, sizeof in_name - 1, &used), HA_BAD);
  ha_http1_init(&r, MAX_HEADERS, MAX_BODY, false);
  CHECK_EQ_INT(ha_http1_feed(&r, in_status, sizeof in_status - 1, &used), HA_BAD);
}

static void fields(void) {
  static const char text[] = OK_LINE "Content-Type:application/json\r\nX-Two: \ta b\t \r\nX-None:\r\nContent-Length: 0\r\n\r\n";
  static const char *const wanted[][2] = {
    {"Content-Type", "application/json"}, {"X-Two", "a b"}, {"X-None", ""}, {"Content-Length", "0"}};
  struct ha_http1 r;
  size_t used, i;
  ha_http1_init(&r, MAX_HEADERS, MAX_BODY, false);
  CHECK_EQ_INT(ha_http1_feed(&r, text, sizeof text - 1, &used), HA_OK);
  CHECK_EQ_INT(r.head.count, 4);
  for (i = 0; i < r.head.count && i < 4; i++) {
    size_t n;
    const char *p = ha_http1_name(&r, i, &n);
    CHECK_EQ_MEM(p, n, wanted[i][0], strlen(wanted[i][0]));
    p = ha_http1_value(&r, i, &n);
    CHECK_EQ_MEM(p, n, wanted[i][1], strlen(wanted[i][1]));
  }
  ha_http1_free(&r);
}

/* Every allocation fails in turn: no half answer, no leak, nothing left unwiped. */
static void no_memory(void) {
  size_t i;
  for (i = 0; i < sizeof SAMPLES / sizeof *SAMPLES; i++) {
    size_t turn;
    bool done = false;
    if (SAMPLES[i].verdict != WHOLE) continue;
    CHECK_CASE(SAMPLES[i].name);
    for (turn = 1; turn < 200 && !done; turn++) {
      struct ha_http1 r;
      size_t used;
      enum ha_status rc;
      failing_start(turn);
      ha_http1_init(&r, MAX_HEADERS, MAX_BODY, SAMPLES[i].head);
      rc = ha_http1_feed(&r, SAMPLES[i].text, strlen(SAMPLES[i].text), &used);
      CHECK(rc == HA_OK || (rc == HA_NOMEM && r.fault == HA_HTTP1_NO_MEMORY));
      done = rc == HA_OK;
      ha_http1_free(&r);
      CHECK_EQ_INT(failing_stop(), 0);
      CHECK_EQ_INT(failing_bad, 0);
    }
    CHECK(done);
  }
  CHECK_CASE("");
}

int main(void) {
  samples();
  floods();
  exactly_the_limits();
  first_bytes();
  nul_bytes();
  fields();
  no_memory();
  return check_done();
}
