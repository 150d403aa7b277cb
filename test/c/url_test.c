/* SPDX-License-Identifier: MIT */
/* The URL grammar: what is read and how it is written back, what is refused, joining, origins, and memory that runs out. */
#include "base/url.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "check.h"

struct good { const char *text, *canonical, *host; unsigned port; bool loopback; };

static const struct good GOOD[] = {
  {"https://example.com", "https://example.com/", "example.com", 443, false},
  {"https://example.com/", "https://example.com/", "example.com", 443, false},
  {"http://example.com", "http://example.com/", "example.com", 80, false},
  {"HTTPS://Example.COM/Path", "https://example.com/Path", "example.com", 443, false},
  {"HtTp://h", "http://h/", "h", 80, false},
  {"https://example.com:443/x", "https://example.com/x", "example.com", 443, false},
  {"http://example.com:80/x", "http://example.com/x", "example.com", 80, false},
  {"https://example.com:80/x", "https://example.com:80/x", "example.com", 80, false},
  {"http://example.com:443/x", "http://example.com:443/x", "example.com", 443, false},
  {"https://example.com:1", "https://example.com:1/", "example.com", 1, false},
  {"https://example.com:65535", "https://example.com:65535/", "example.com", 65535, false},
  {"https://example.com?x=1", "https://example.com/?x=1", "example.com", 443, false},
  {"https://example.com:8443?x", "https://example.com:8443/?x", "example.com", 8443, false},
  {"https://example.com/?", "https://example.com/?", "example.com", 443, false},
  {"https://example.com/a?b=c&d=e/f?g:@!$'()*+,;=-._~", "https://example.com/a?b=c&d=e/f?g:@!$'()*+,;=-._~", "example.com", 443, false},
  {"https://example.com/a?q=%0A%00%7f%2e%2E/../x", "https://example.com/a?q=%0A%00%7f%2e%2E/../x", "example.com", 443, false},
  {"https://example.com/-._~!$&'()*+,;=:@/x", "https://example.com/-._~!$&'()*+,;=:@/x", "example.com", 443, false},
  {"https://example.com/%D0%B0%d0%b1", "https://example.com/%D0%B0%d0%b1", "example.com", 443, false},
  {"https://example.com/%252e%252e/", "https://example.com/%252e%252e/", "example.com", 443, false},
  {"https://example.com/a%2Fb%5cc", "https://example.com/a%2Fb%5cc", "example.com", 443, false},
  {"https://example.com/a%20b%25", "https://example.com/a%20b%25", "example.com", 443, false},
  {"https://example.com/.../a./.b/..c/d..", "https://example.com/.../a./.b/..c/d..", "example.com", 443, false},
  {"https://example.com/a//b//", "https://example.com/a//b//", "example.com", 443, false},
  {"https://example.com/%2e%2e%2e", "https://example.com/%2e%2e%2e", "example.com", 443, false},
  {"https://example.com/a;p=..;q=./b", "https://example.com/a;p=..;q=./b", "example.com", 443, false},
  {"https://example.com/x@y", "https://example.com/x@y", "example.com", 443, false},
  {"https://example.com/https://evil.example/", "https://example.com/https://evil.example/", "example.com", 443, false},
  {"https://example.com/?u=https://evil@x", "https://example.com/?u=https://evil@x", "example.com", 443, false},
  {"https://a-b.c_d.e1", "https://a-b.c_d.e1/", "a-b.c_d.e1", 443, false},
  {"https://_dmarc.example", "https://_dmarc.example/", "_dmarc.example", 443, false},
  {"https://xn--e1afmkfd.xn--p1ai", "https://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai", 443, false},
  {"https://1.example", "https://1.example/", "1.example", 443, false},
  {"https://0x7f.example", "https://0x7f.example/", "0x7f.example", 443, false},
  {"https://127.0.0.1.example", "https://127.0.0.1.example/", "127.0.0.1.example", 443, false},
  {"https://1a", "https://1a/", "1a", 443, false},
  {"https://x0x1", "https://x0x1/", "x0x1", 443, false},
  {"http://127.0.0.1.evil.example", "http://127.0.0.1.evil.example/", "127.0.0.1.evil.example", 80, false},
  {"http://localhost.evil.example", "http://localhost.evil.example/", "localhost.evil.example", 80, false},
  {"http://evil.localhost", "http://evil.localhost/", "evil.localhost", 80, false},
  {"http://localhost1", "http://localhost1/", "localhost1", 80, false},
  {"http://xlocalhost", "http://xlocalhost/", "xlocalhost", 80, false},
  {"http://localhos", "http://localhos/", "localhos", 80, false},
  {"http://localhost", "http://localhost/", "localhost", 80, true},
  {"http://LOCALHOST:8080/cb", "http://localhost:8080/cb", "localhost", 8080, true},
  {"https://LocalHost", "https://localhost/", "localhost", 443, true},
  {"http://127.0.0.1", "http://127.0.0.1/", "127.0.0.1", 80, true},
  {"http://127.0.0.1:80", "http://127.0.0.1/", "127.0.0.1", 80, true},
  {"http://127.255.255.255:1/x", "http://127.255.255.255:1/x", "127.255.255.255", 1, true},
  {"http://127.1.2.3", "http://127.1.2.3/", "127.1.2.3", 80, true},
  {"http://128.0.0.1", "http://128.0.0.1/", "128.0.0.1", 80, false},
  {"http://126.0.0.1", "http://126.0.0.1/", "126.0.0.1", 80, false},
  {"http://0.0.0.0", "http://0.0.0.0/", "0.0.0.0", 80, false},
  {"http://255.255.255.255", "http://255.255.255.255/", "255.255.255.255", 80, false},
  {"http://[::1]", "http://[::1]/", "::1", 80, true},
  {"http://[::1]:8080/x", "http://[::1]:8080/x", "::1", 8080, true},
  {"http://[::1]?x", "http://[::1]/?x", "::1", 80, true},
  {"http://[0:0:0:0:0:0:0:1]", "http://[::1]/", "::1", 80, true},
  {"http://[0000:0000:0000:0000:0000:0000:0000:0001]", "http://[::1]/", "::1", 80, true},
  {"http://[::0.0.0.1]", "http://[::1]/", "::1", 80, true},
  {"http://[::0:1]", "http://[::1]/", "::1", 80, true},
  {"http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 80, false},
  {"http://[::FFFF:7F00:1]", "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 80, false},
  {"http://[0:0:0:0:0:ffff:1.2.3.4]", "http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", 80, false},
  {"http://[::127.0.0.1]", "http://[::7f00:1]/", "::7f00:1", 80, false},
  {"http://[64:ff9b::192.0.2.33]", "http://[64:ff9b::c000:221]/", "64:ff9b::c000:221", 80, false},
  {"http://[1:2:3:4:5:6:1.2.3.4]", "http://[1:2:3:4:5:6:102:304]/", "1:2:3:4:5:6:102:304", 80, false},
  {"http://[::]", "http://[::]/", "::", 80, false},
  {"http://[::2]", "http://[::2]/", "::2", 80, false},
  {"http://[1::1]", "http://[1::1]/", "1::1", 80, false},
  {"http://[1::]", "http://[1::]/", "1::", 80, false},
  {"http://[2001:DB8::1]", "http://[2001:db8::1]/", "2001:db8::1", 80, false},
  {"http://[2001:0db8:0000:0000:0000:0000:0002:0001]", "http://[2001:db8::2:1]/", "2001:db8::2:1", 80, false},
  {"http://[2001:db8:0:1:1:1:1:1]", "http://[2001:db8:0:1:1:1:1:1]/", "2001:db8:0:1:1:1:1:1", 80, false},
  {"http://[2001:db8::1:1:1:1:1]", "http://[2001:db8:0:1:1:1:1:1]/", "2001:db8:0:1:1:1:1:1", 80, false},
  {"http://[2001:0:0:1:0:0:0:1]", "http://[2001:0:0:1::1]/", "2001:0:0:1::1", 80, false},
  {"http://[2001:db8:0:0:1:0:0:1]", "http://[2001:db8::1:0:0:1]/", "2001:db8::1:0:0:1", 80, false},
  {"http://[1:2:3:4:5:6:7::]", "http://[1:2:3:4:5:6:7:0]/", "1:2:3:4:5:6:7:0", 80, false},
  {"http://[::2:3:4:5:6:7:8]", "http://[0:2:3:4:5:6:7:8]/", "0:2:3:4:5:6:7:8", 80, false},
  {"http://[1:2:3:4:5:6:7:8]", "http://[1:2:3:4:5:6:7:8]/", "1:2:3:4:5:6:7:8", 80, false},
  {"http://[1:0:0:4:5:6::]", "http://[1::4:5:6:0:0]/", "1::4:5:6:0:0", 80, false},
  {"http://[0:0:0:0:0:0:0:0]", "http://[::]/", "::", 80, false},
  {"http://[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]", "http://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/",
   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 80, false},
};

static const char *const BAD[] = {
  "", "h", "example.com", "/path", "//example.com", "http", "http:", "http:/", "http://", "https://", "http:///", "http:///x",
  "http://?x", "http:example.com", "http:/example.com", "ftp://example.com", "ws://example.com", "httpss://example.com", "http+unix://x",
  "file:///etc", "javascript:alert(1)", " https://example.com", "https://example.com ", "\thttps://example.com", "https://example.com\n",
  "https://exam\tple.com", "https://exam\nple.com", "https://exam\rple.com", "https://example.com/a\tb", "https://example.com/a\nb",
  "https://example.com/a\r\nX: y", "https://example.com/?a\nb", "ht\ntp://localhost", "https:/\t/example.com", "https://example.com/a b",
  "https://example.com/?a b", "https://example.com/\x01", "https://example.com/\x7F", "https://example.com/\x80",
  "https://ex\xC3\xA4mple.com", "https://example.com/\xD0\xB0", "https://example.com/?\xD0\xB0", "https://\xEF\xBC\x91.example",
  "https://example\xE3\x80\x82/", "http:\\\\127.0.0.1", "http:\\127.0.0.1", "http://127.0.0.1\\@evil.example",
  "https://example.com\\evil", "https://example.com/a\\b", "https://example.com/?a\\b", "https://example.com/#", "https://example.com#x",
  "https://example.com/a#b", "https://example.com/?a#b", "http://localhost#@evil.example", "https://user@example.com",
  "https://user:pass@example.com", "https://@example.com", "https://:@example.com", "http://localhost@evil.example",
  "http://127.0.0.1:80@evil", "http://127.0.0.1@evil.example", "http://evil.example@localhost", "http://[::1]@evil.example",
  "http://user@[::1]", "https://example.com:", "https://example.com:/", "https://example.com:0", "https://example.com:00",
  "https://example.com:0443", "https://example.com:+443", "https://example.com:-1", "https://example.com: 443",
  "https://example.com:443 ", "https://example.com:65536", "https://example.com:99999", "https://example.com:4294967739",
  "https://example.com:18446744073709551617", "https://example.com:443a", "https://example.com:0x1BB", "https://example.com:1:2",
  "https://example.com:443:443", "https://:443", "https://:443/x", "https://.", "https://..", "https://.example.com",
  "https://example.com.", "https://example.com./x", "https://localhost.", "http://127.0.0.1.", "https://a..b", "https://-a.example",
  "https://a-.example", "https://a.-b", "https://a.b-", "https://-", "http://localhost-", "http://127.0.0.1:0443",
  "https://exa%6dple.com", "https://example.com%00.evil", "https://%6c%6f%63alhost", "https://exam*ple.com", "https://a,b",
  "https://a;b", "https://a=b", "https://a&b", "https://a!b", "https://a$b", "https://a'b", "https://a(b)", "https://a+b", "https://a~b",
  "https://a\"b", "https://a<b>", "https://a|b", "https://a^b", "https://a`b", "https://a{b}", "http://2130706433", "http://0",
  "http://1", "http://127.1", "http://127.0.1", "http://127.0.0.0.1", "http://1.2.3.4.5", "http://256.0.0.1", "http://127.0.0.256",
  "http://127.0.0.999", "http://127.0.0.1000000000000", "http://0177.0.0.1", "http://127.0.0.01", "http://00.0.0.0", "http://127.00.0.1",
  "http://0x7f.1", "http://0x7f000001", "http://0X7F.0.0.1", "http://127.0.0.0x1", "http://127.0.0.0X1", "http://example.0x",
  "http://0x", "http://example.0xg", "http://example.1", "http://example.com.127", "http://a.0.0.1", "http://127.0.0.1a.1",
  "http://09.0.0.1", "http://127.0.0", "http://127..0.1", "http://1e3.1", "http://[", "http://[]", "http://[::1", "http://::1",
  "http://::1]", "http://[::1]]", "http://[[::1]]", "http://[::1]x", "http://[::1]:", "http://[::1]:0", "http://[::1]:080",
  "http://[::1]:65536", "http://[::1]80", "http://[::1%25lo]", "http://[::1%lo]", "http://[fe80::1%25eth0]", "http://[fe80::1%eth0]",
  "http://[:]", "http://[:::]", "http://[:::1]", "http://[1:::2]", "http://[1::2::3]", "http://[::1::]", "http://[:1]", "http://[1:]",
  "http://[1::2:]", "http://[:1::2]", "http://[1:2:3:4:5:6:7]", "http://[1:2:3:4:5:6:7:8:9]", "http://[1:2:3:4:5:6:7:8::]",
  "http://[::1:2:3:4:5:6:7:8]", "http://[1:2:3:4::5:6:7:8]", "http://[12345::]", "http://[00001::]", "http://[g::]", "http://[::1.2.3]",
  "http://[::1.2.3.4.5]", "http://[::256.0.0.1]", "http://[::01.2.3.4]", "http://[::1.2.3.4:5]", "http://[1.2.3.4]",
  "http://[1.2.3.4::]", "http://[1:2:3:4:5:6:7:1.2.3.4]", "http://[::0x1]", "http://[v1.x]", "http://[localhost]",
  "http://[::1]evil.example", "http://evil[::1]", "https://example.com//", "https://example.com//evil.example/", "https://example.com/.",
  "https://example.com/..", "https://example.com/./a", "https://example.com/../a", "https://example.com/a/.", "https://example.com/a/..",
  "https://example.com/a/./b", "https://example.com/a/../b", "https://example.com/a/..?x", "https://example.com/.?x",
  "https://example.com/%2e", "https://example.com/%2E%2E", "https://example.com/%2e%2e/a", "https://example.com/.%2e/",
  "https://example.com/%2E./", "https://example.com/a/%2e%2E/b", "https://example.com/a%2f..%2fb", "https://example.com/a%2F%2e%2e",
  "https://example.com/..%2fa", "https://example.com/a%5c..%5Cb", "https://example.com/..%5ca", "https://example.com/..;/a",
  "https://example.com/a/.;x=1/b", "https://example.com/..%3bx/a", "https://example.com/%", "https://example.com/%2",
  "https://example.com/%zz", "https://example.com/%2g", "https://example.com/%%20", "https://example.com/%u0041",
  "https://example.com/%00", "https://example.com/a%0d%0aX", "https://example.com/%1F", "https://example.com/%7f",
  "https://example.com/?%", "https://example.com/?%a", "https://example.com/?x=%zz", "https://example.com/\"", "https://example.com/<",
  "https://example.com/>", "https://example.com/^", "https://example.com/`", "https://example.com/{id}", "https://example.com/a|b",
  "https://example.com/[a]", "https://example.com/?a[]=1", "https://example.com/?\"", "https://example.com/?<x>",
  "https://example.com/?^", "https://example.com/?`", "https://example.com/?{}", "https://example.com/?|",
};

/* A copy without a byte behind it, so that the sanitizer sees a reader that goes too far. */
static char *exact(const char *text, size_t len) {
  char *copy = malloc(len ? len : 1);
  if (!copy) abort();
  memcpy(copy, text, len);
  return copy;
}

static void check_good(const struct good *g) {
  struct ha_url u, again;
  const char *why = "x";
  size_t mark;
  char *copy = exact(g->text, strlen(g->text));
  ha_url_init(&u);
  ha_url_init(&again);
  CHECK_EQ_INT(ha_url_parse(&u, copy, strlen(g->text), &why), HA_OK);
  free(copy);
  CHECK(why == NULL);
  CHECK_EQ_STR(u.text.data, g->canonical);
  if (!u.text.data) return;
  CHECK_EQ_MEM(u.text.data + u.host, u.host_len, g->host, strlen(g->host));
  CHECK_EQ_INT(u.port, g->port);
  CHECK_EQ_INT(u.loopback, g->loopback);
  CHECK_EQ_INT(u.https, strncmp(g->canonical, "https", 5) == 0);
  CHECK_EQ_INT(u.path, strcspn(g->canonical + 8, "/") + 8);
  mark = strcspn(g->canonical, "?");
  CHECK_EQ_INT(u.query, mark);
  CHECK_EQ_INT(ha_url_parse(&again, u.text.data, u.text.len, &why), HA_OK);
  CHECK_EQ_STR(again.text.data, u.text.data);
  CHECK(ha_url_same_origin(&u, &again));
  ha_url_free(&u);
  ha_url_free(&again);
}

static void check_bad(struct ha_url *kept, const char *text, size_t len) {
  const char *why = NULL;
  char *copy = exact(text, len);
  CHECK_EQ_INT(ha_url_parse(kept, copy, len, &why), HA_BAD);
  free(copy);
  CHECK(why != NULL && *why != '\0');
  CHECK_EQ_STR(kept->text.data, "https://kept.example/"); /* a refused text changes nothing */
}

static void test_tables(void) {
  struct ha_url kept;
  const char *why;
  size_t i;
  ha_url_init(&kept);
  CHECK_EQ_INT(ha_url_parse(&kept, "https://kept.example", 20, &why), HA_OK);
  for (i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
    CHECK_CASE(GOOD[i].text);
    check_good(&GOOD[i]);
  }
  for (i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
    CHECK_CASE(BAD[i]);
    check_bad(&kept, BAD[i], strlen(BAD[i]));
  }
  CHECK_CASE("NUL bytes");
  check_bad(&kept, "https://example.com\0.evil", 25);
  check_bad(&kept, "https://example.com/\0", 21);
  check_bad(&kept, "\0https://example.com/", 21);
  CHECK_CASE("");
  ha_url_free(&kept);
  ha_url_free(&kept);
  CHECK(kept.text.data == NULL && kept.path == 0);
}

/* Every byte in the host, the path and the query: the sets are exactly those of RFC 3986 (and of a host name). */
static void test_bytes(void) {
  int c;
  for (c = 1; c < 256; c++) {
    static const char NAME[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    bool alnum = strchr(NAME, c) != NULL;
    char text[] = "https://aXa.example/";
    struct ha_url u;
    const char *why;
    ha_url_init(&u);
    text[9] = (char)c;
    if (c != '/' && c != '?' && c != ':') CHECK_EQ_INT(ha_url_parse(&u, text, 20, &why) == HA_OK, alnum || strchr("-_.", c));
    memcpy(text, "https://a.example/aX", 20);
    text[19] = (char)c;
    CHECK_EQ_INT(ha_url_parse(&u, text, 20, &why) == HA_OK, alnum || strchr("-._~!$&'()*+,;=:@/?", c));
    memcpy(text, "https://a.example/?X", 20);
    text[19] = (char)c;
    CHECK_EQ_INT(ha_url_parse(&u, text, 20, &why) == HA_OK, alnum || strchr("-._~!$&'()*+,;=:@/?", c));
    ha_url_free(&u);
  }
}

static bool parses(const char *text, size_t len) {
  struct ha_url u;
  const char *why;
  bool fine;
  ha_url_init(&u);
  fine = ha_url_parse(&u, text, len, &why) == HA_OK;
  ha_url_free(&u);
  return fine;
}

static void test_lengths(void) {
  char text[HA_URL_MAX + 16], *label;
  size_t i;
  memset(text, 'a', sizeof text);
  memcpy(text, "https://", 8);
  CHECK(parses(text, 8 + 63));
  CHECK(!parses(text, 8 + 64));
  label = text + 8;
  for (i = 63; i < 300; i += 64) label[i] = '.';
  CHECK(parses(text, 8 + 253));
  CHECK(!parses(text, 8 + 254));
  memset(text + 8, 'a', sizeof text - 8);
  text[9] = '/';
  CHECK(parses(text, HA_URL_MAX));
  CHECK(!parses(text, HA_URL_MAX + 1));
  text[9] = '?'; /* the "/" that is written before it makes the text too long */
  CHECK(parses(text, HA_URL_MAX - 1));
  CHECK(!parses(text, HA_URL_MAX));
}

struct join { const char *base, *path, *joined; };

static const struct join JOINS[] = {
  {"https://h", "a", "https://h/a"},           {"https://h/", "a", "https://h/a"},          {"https://h/", "/a", "https://h/a"},
  {"https://h", "/a/b?c=d", "https://h/a/b?c=d"}, {"https://h/p", "a", "https://h/p/a"},    {"https://h/p/", "/a", "https://h/p/a"},
  {"https://h/p//", "/a", "https://h/p/a"},    {"https://h:8443/p", "a/", "https://h:8443/p/a/"}, {"https://h/p", "", "https://h/p/"},
  {"https://h/p", "/", "https://h/p/"},        {"https://h", "", "https://h/"},             {"https://h/p", "?x=1", "https://h/p/?x=1"},
  {"http://[::1]:1", "a", "http://[::1]:1/a"}, {"https://h", "https://evil/", "https://h/https://evil/"},
  {"https://h", "@evil/", "https://h/@evil/"},
  {"https://h", ":80/", "https://h/:80/"},     {"https://h", "//evil/", NULL},              {"https://h/p", "//x", NULL},
  {"https://h/p", "../x", NULL},               {"https://h/p", "/%2e%2e/x", NULL},          {"https://h/p", "a#b", NULL},
  {"https://h/p", "a b", NULL},                {"https://h/p", "\\x", NULL},               {"https://h/?q", "a", NULL},
  {"https://h/p?", "a", NULL},
};

static void test_path(void) {
  static const struct { const char *path; bool fine; } PATHS[] = {
      {"/", true}, {"/a/b?c=d", true}, {"/a%20b", true}, {"/a//b", true}, {"", false}, {"a", false}, {"?a", false}, {"//a", false},
      {"/a/../b", false}, {"/.", false}, {"/%2e%2E/", false}, {"/a#b", false}, {"/a b", false}, {"/a\\b", false}, {"/a%zz", false}, {"/\x7f", false}};
  const char *why;
  size_t i;
  for (i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
    CHECK_CASE(PATHS[i].path);
    CHECK_EQ_INT(ha_url_path(PATHS[i].path, strlen(PATHS[i].path), &why), PATHS[i].fine ? HA_OK : HA_BAD);
  }
  CHECK_CASE("");
}

static void test_join(void) {
  struct ha_url base, u;
  const char *why;
  char *big;
  size_t i;
  ha_url_init(&base);
  ha_url_init(&u);
  CHECK_EQ_INT(ha_url_join(&u, &base, "a", 1, &why), HA_BAD); /* base holds nothing yet */
  for (i = 0; i < sizeof JOINS / sizeof JOINS[0]; i++) {
    const struct join *j = &JOINS[i];
    CHECK_CASE(j->joined ? j->joined : j->path);
    CHECK_EQ_INT(ha_url_parse(&base, j->base, strlen(j->base), &why), HA_OK);
    CHECK_EQ_INT(ha_url_join(&u, &base, j->path, strlen(j->path), &why), j->joined ? HA_OK : HA_BAD);
    CHECK((why == NULL) == (j->joined != NULL));
    if (!j->joined) continue;
    CHECK_EQ_STR(u.text.data, j->joined);
    CHECK(ha_url_same_origin(&u, &base));
  }
  CHECK_CASE("onto itself");
  CHECK_EQ_INT(ha_url_parse(&u, "https://h/p", 11, &why), HA_OK);
  CHECK_EQ_INT(ha_url_join(&u, &u, "q", 1, &why), HA_OK);
  CHECK_EQ_STR(u.text.data, "https://h/p/q");
  CHECK_EQ_INT(ha_url_parse(&u, u.text.data, u.text.len, &why), HA_OK);
  CHECK_EQ_STR(u.text.data, "https://h/p/q");
  CHECK_CASE("too long");
  big = malloc(HA_URL_MAX);
  if (big) {
    memset(big, 'a', HA_URL_MAX);
    CHECK_EQ_INT(ha_url_join(&u, &u, big, HA_URL_MAX, &why), HA_BAD);
    CHECK_EQ_INT(ha_url_join(&u, &u, big, HA_URL_MAX - 14, &why), HA_OK);
    free(big);
  }
  CHECK_CASE("");
  ha_url_free(&base);
  ha_url_free(&u);
}

static void test_origins(void) {
  static const struct { const char *a, *b; bool same; } PAIRS[] = {
    {"https://h/a", "https://h:443/b?c", true},  {"https://H", "https://h", true},          {"http://[::1]", "http://[0::1]:80/x", true},
    {"https://h", "http://h", false},            {"https://h", "http://h:443", false},      {"https://h", "https://h:444", false},
    {"https://h", "https://hh", false},          {"https://h.example", "https://h", false}, {"http://localhost", "http://127.0.0.1", false},
    {"https://h:44", "https://h:443", false},
  };
  size_t i;
  struct ha_url a, b;
  const char *why;
  ha_url_init(&a);
  ha_url_init(&b);
  CHECK(!ha_url_same_origin(&a, &b)); /* two empty ones are no origin at all */
  for (i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
    CHECK_CASE(PAIRS[i].b);
    CHECK_EQ_INT(ha_url_parse(&a, PAIRS[i].a, strlen(PAIRS[i].a), &why), HA_OK);
    CHECK_EQ_INT(ha_url_parse(&b, PAIRS[i].b, strlen(PAIRS[i].b), &why), HA_OK);
    CHECK_EQ_INT(ha_url_same_origin(&a, &b), PAIRS[i].same);
    CHECK_EQ_INT(ha_url_same_origin(&b, &a), PAIRS[i].same);
  }
  CHECK_CASE("");
  ha_url_free(&a);
  ha_url_free(&b);
}

static int budget, blocks; /* allocations left before they fail; blocks not given back */

static void *scarce(size_t size) {
  if (budget-- <= 0) return NULL;
  blocks++;
  return malloc(size);
}

static void release(void *block, size_t size) {
  (void)size;
  blocks--;
  free(block);
}

static const struct ha_allocator SCARCE = {scarce, release};

static void test_memory(void) {
  int n, failed = 0;
  ha_alloc_use(&SCARCE);
  for (n = 0; n < 20; n++) {
    struct ha_url u, base;
    const char *why = NULL;
    enum ha_status rc;
    ha_url_init(&u);
    ha_url_init(&base);
    budget = n;
    rc = ha_url_parse(&base, "https://example.com:8443/p?", 26, &why);
    if (rc == HA_OK) rc = ha_url_join(&u, &base, "a/b?c", 5, &why);
    CHECK(rc == HA_OK || rc == HA_NOMEM);
    CHECK((rc == HA_OK) == (why == NULL));
    if (rc == HA_NOMEM) {
      failed++;
      CHECK(u.text.data == NULL);
    } else {
      CHECK_EQ_STR(u.text.data, "https://example.com:8443/p/a/b?c");
    }
    ha_url_free(&u);
    ha_url_free(&base);
    CHECK_EQ_INT(blocks, 0);
  }
  CHECK(failed > 0 && failed < 20);
  ha_alloc_use(NULL);
}

int main(void) {
  test_tables();
  test_bytes();
  test_lengths();
  test_path();
  test_join();
  test_origins();
  test_memory();
  return check_done();
}
