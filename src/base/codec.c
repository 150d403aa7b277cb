/* SPDX-License-Identifier: MIT */
#include "codec.h"

#include <stdint.h>

static const char HEX_UPPER[] = "0123456789ABCDEF";
static const char HEX_LOWER[] = "0123456789abcdef";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Undoes what was added since len: the encoders promise all or nothing. */
static enum ha_status undo(struct ha_buf *out, size_t len, enum ha_status rc) {
  out->len = len;
  if (out->data) out->data[len] = '\0';
  return rc;
}

static bool unreserved(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

enum ha_status ha_percent_encode(struct ha_buf *out, const void *p, size_t n) {
  const unsigned char *in = p;
  size_t i, start = out->len;
  enum ha_status rc = ha_buf_reserve(out, n);
  for (i = 0; i < n && rc == HA_OK; i++) {
    if (unreserved(in[i])) {
      rc = ha_buf_addc(out, (char)in[i]);
    } else {
      char escape[3] = {'%', HEX_UPPER[in[i] >> 4], HEX_UPPER[in[i] & 15]};
      rc = ha_buf_add(out, escape, sizeof escape);
    }
  }
  return rc == HA_OK ? rc : undo(out, start, rc);
}

enum ha_status ha_percent_decode(struct ha_buf *out, const char *p, size_t n, bool plus_is_space) {
  size_t i, start = out->len, room = out->max - out->len;
  enum ha_status rc = ha_buf_reserve(out, n < room ? n : room); /* what comes out may fit where the escapes would not */
  for (i = 0; i < n && rc == HA_OK; i++) {
    char c = p[i];
    if (c == '%') {
      int high = i + 2 < n ? hex_value(p[i + 1]) : -1, low = i + 2 < n ? hex_value(p[i + 2]) : -1;
      if (high < 0 || low < 0) return undo(out, start, HA_BAD);
      c = (char)(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    rc = ha_buf_addc(out, c);
  }
  return rc == HA_OK ? rc : undo(out, start, rc);
}

static enum ha_status encode64(struct ha_buf *out, const unsigned char *in, size_t n, const char *alphabet, bool pad) {
  size_t start = out->len;
  enum ha_status rc = HA_OK;
  while (n > 0 && rc == HA_OK) {
    size_t take = n < 3 ? n : 3;
    uint32_t v = (uint32_t)in[0] << 16 | (take > 1 ? (uint32_t)in[1] << 8 : 0) | (take > 2 ? in[2] : 0);
    char four[4] = {alphabet[v >> 18 & 63], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
    if (take < 3) four[3] = '=';
    if (take < 2) four[2] = '=';
    rc = ha_buf_add(out, four, pad ? 4 : take + 1);
    in += take;
    n -= take;
  }
  return rc == HA_OK ? rc : undo(out, start, rc);
}

enum ha_status ha_base64_encode(struct ha_buf *out, const void *p, size_t n) { return encode64(out, p, n, BASE64, true); }

enum ha_status ha_base64url_encode(struct ha_buf *out, const void *p, size_t n) { return encode64(out, p, n, BASE64URL, false); }

static int value64url(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

enum ha_status ha_base64url_decode(struct ha_buf *out, const char *p, size_t n) {
  size_t i, start = out->len;
  uint32_t held = 0;
  unsigned bits = 0;
  enum ha_status rc = HA_OK;
  if (n % 4 == 1) return HA_BAD;
  for (i = 0; i < n && rc == HA_OK; i++) {
    int v = value64url(p[i]);
    if (v < 0) return undo(out, start, HA_BAD);
    held = (held << 6 | (uint32_t)v) & 0xFFFF;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      rc = ha_buf_addc(out, (char)(unsigned char)(held >> bits & 0xFF));
    }
  }
  if (rc == HA_OK && (held & ((1u << bits) - 1)) != 0) rc = HA_BAD; /* two spellings of one value: refuse the odd one */
  return rc == HA_OK ? rc : undo(out, start, rc);
}

enum ha_status ha_hex_encode(struct ha_buf *out, const void *p, size_t n) {
  const unsigned char *in = p;
  size_t i, start = out->len;
  enum ha_status rc = HA_OK;
  for (i = 0; i < n && rc == HA_OK; i++) {
    char two[2] = {HEX_LOWER[in[i] >> 4], HEX_LOWER[in[i] & 15]};
    rc = ha_buf_add(out, two, sizeof two);
  }
  return rc == HA_OK ? rc : undo(out, start, rc);
}

enum ha_status ha_form_add(struct ha_buf *out, const char *name, size_t nlen, const char *value, size_t vlen) {
  size_t start = out->len;
  enum ha_status rc = start ? ha_buf_addc(out, '&') : HA_OK;
  if (rc == HA_OK) rc = ha_percent_encode(out, name, nlen);
  if (rc == HA_OK) rc = ha_buf_addc(out, '=');
  if (rc == HA_OK) rc = ha_percent_encode(out, value, vlen);
  return rc == HA_OK ? rc : undo(out, start, rc);
}
