/* SPDX-License-Identifier: MIT */
/* libcrypto failing: each call of ours that it refuses makes the function answer false, with nothing left in the output. */
#include "faults.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "check.h"
#include "sys/crypto.h"

/* ---- stand-ins ---- */

static bool short_output; /* a digest that says it wrote less than it should */

int RAND_bytes(unsigned char *out, int n) {
  int (*next)(unsigned char *, int);
  if (faults_here()) return 0;
  FAULTS_NEXT(next, "RAND_bytes");
  return next(out, n);
}

int EVP_Digest(const void *p, size_t n, unsigned char *out, unsigned int *size, const EVP_MD *type, ENGINE *engine) {
  int (*next)(const void *, size_t, unsigned char *, unsigned int *, const EVP_MD *, ENGINE *), rc;
  if (faults_here()) return 0;
  FAULTS_NEXT(next, "EVP_Digest");
  rc = next(p, n, out, size, type, engine);
  if (short_output && size) *size = 20;
  return rc;
}

unsigned char *HMAC(const EVP_MD *type, const void *key, int klen, const unsigned char *p, size_t n, unsigned char *out, unsigned int *size) {
  unsigned char *(*next)(const EVP_MD *, const void *, int, const unsigned char *, size_t, unsigned char *, unsigned int *), *rc;
  if (faults_here()) return NULL;
  FAULTS_NEXT(next, "HMAC");
  rc = next(type, key, klen, p, n, out, size);
  if (short_output && size) *size = 20;
  return rc;
}

EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void) {
  EVP_CIPHER_CTX *(*next)(void);
  if (faults_here()) return NULL;
  FAULTS_NEXT(next, "EVP_CIPHER_CTX_new");
  return next();
}

typedef int init_function(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const unsigned char *, const unsigned char *);
typedef int update_function(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
typedef int final_function(EVP_CIPHER_CTX *, unsigned char *, int *);

#define STAND_IN_INIT(name)                                                                                                               \
  int name(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, ENGINE *engine, const unsigned char *key, const unsigned char *iv) {                \
    init_function *next;                                                                                                                  \
    if (faults_here()) return 0;                                                                                                          \
    FAULTS_NEXT(next, #name);                                                                                                             \
    return next(c, type, engine, key, iv);                                                                                                \
  }
#define STAND_IN_UPDATE(name)                                                                                                             \
  int name(EVP_CIPHER_CTX *c, unsigned char *out, int *size, const unsigned char *in, int n) {                                            \
    update_function *next;                                                                                                                \
    if (faults_here()) return 0;                                                                                                          \
    FAULTS_NEXT(next, #name);                                                                                                             \
    return next(c, out, size, in, n);                                                                                                     \
  }
#define STAND_IN_FINAL(name)                                                                                                              \
  int name(EVP_CIPHER_CTX *c, unsigned char *out, int *size) {                                                                            \
    final_function *next;                                                                                                                 \
    if (faults_here()) return 0;                                                                                                          \
    FAULTS_NEXT(next, #name);                                                                                                             \
    return next(c, out, size);                                                                                                            \
  }
STAND_IN_INIT(EVP_EncryptInit_ex)
STAND_IN_INIT(EVP_DecryptInit_ex)
STAND_IN_UPDATE(EVP_EncryptUpdate)
STAND_IN_UPDATE(EVP_DecryptUpdate)
STAND_IN_FINAL(EVP_EncryptFinal_ex)
STAND_IN_FINAL(EVP_DecryptFinal_ex)

int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *c, int type, int number, void *p) {
  int (*next)(EVP_CIPHER_CTX *, int, int, void *);
  if (faults_here()) return 0;
  FAULTS_NEXT(next, "EVP_CIPHER_CTX_ctrl");
  return next(c, type, number, p);
}

/* ---- the functions ---- */

static const unsigned char KEY[HA_AEAD_KEY] = "an unguessable key of 32 bytes..", NONCE[HA_AEAD_NONCE] = "twelve bytes";
static const char PLAIN[] = "a refresh token", AD[] = "key of the record";
enum { PLAIN_SIZE = sizeof PLAIN - 1, SEALED_SIZE = PLAIN_SIZE + HA_AEAD_TAG };
static unsigned char sealed[SEALED_SIZE];

static bool do_random(unsigned char *out) { return ha_random(out, SEALED_SIZE); }
static bool do_sha256(unsigned char *out) { return ha_sha256(PLAIN, PLAIN_SIZE, out); }
static bool do_hmac(unsigned char *out) { return ha_hmac_sha256(KEY, sizeof KEY, PLAIN, PLAIN_SIZE, out); }
static bool do_seal(unsigned char *out) { return ha_aead_seal(KEY, NONCE, AD, sizeof AD - 1, PLAIN, PLAIN_SIZE, out); }
static bool do_seal_plain(unsigned char *out) { return ha_aead_seal(KEY, NONCE, NULL, 0, PLAIN, PLAIN_SIZE, out); }
static bool do_open(unsigned char *out) { return ha_aead_open(KEY, NONCE, AD, sizeof AD - 1, sealed, SEALED_SIZE, out); }

static const struct row {
  const char *name;
  bool (*function)(unsigned char *out);
  size_t size, least; /* of the output; calls of libcrypto that can fail */
} ROWS[] = {
  {"random", do_random, SEALED_SIZE, 1},    {"sha256", do_sha256, HA_SHA256_SIZE, 1}, {"hmac", do_hmac, HA_SHA256_SIZE, 1},
  {"seal", do_seal, SEALED_SIZE, 6},        {"seal without associated data", do_seal_plain, SEALED_SIZE, 5},
  {"open", do_open, PLAIN_SIZE, 6},
};

static bool all(const unsigned char *p, size_t n, unsigned char byte) {
  size_t i;
  for (i = 0; i < n; i++)
    if (p[i] != byte) return false;
  return true;
}

static void each_call_fails(const struct row *row) {
  unsigned char out[128];
  size_t turn, calls;
  CHECK_CASE(row->name);
  for (turn = 1;; turn++) {
    bool fine;
    memset(out, 0x5A, sizeof out);
    faults_start(turn);
    fine = row->function(out);
    calls = faults_stop();
    if (calls < turn) { /* none failed */
      CHECK(fine);
      CHECK(!all(out, row->size, 0) && !all(out, row->size, 0x5A));
      break;
    }
    CHECK(!fine);
    CHECK(all(out, row->size, 0));
    CHECK(all(out + row->size, sizeof out - row->size, 0x5A)); /* and no byte further */
  }
  CHECK(turn > row->least);
}

static void lengths(void) {
  unsigned char out[64];
  CHECK_CASE("lengths");
  memset(out, 0x5A, sizeof out);
  CHECK(!ha_aead_open(KEY, NONCE, NULL, 0, sealed, HA_AEAD_TAG - 1, out)); /* not even a tag */
  CHECK(!ha_aead_open(KEY, NONCE, NULL, (size_t)INT_MAX + 1, sealed, SEALED_SIZE, out));
  CHECK(!ha_aead_open(KEY, NONCE, NULL, 0, sealed, (size_t)INT_MAX + 1, out));
  CHECK(all(out, sizeof out, 0x5A));
  CHECK(!ha_aead_seal(KEY, NONCE, AD, (size_t)INT_MAX + 1, PLAIN, PLAIN_SIZE, out));
  CHECK(all(out, SEALED_SIZE, 0));
  memset(out, 0x5A, sizeof out);
  CHECK(!ha_hmac_sha256(KEY, (size_t)INT_MAX + 1, PLAIN, PLAIN_SIZE, out));
  CHECK(all(out, HA_SHA256_SIZE, 0));
}

static void changed_bits(void) {
  unsigned char out[SEALED_SIZE], copy[SEALED_SIZE], empty[HA_AEAD_TAG], none = 0x5A;
  size_t i;
  CHECK_CASE("changed bits");
  CHECK(do_open(out));
  CHECK_EQ_MEM(out, PLAIN_SIZE, PLAIN, PLAIN_SIZE);
  for (i = 0; i < SEALED_SIZE * 8; i++) {
    memcpy(copy, sealed, SEALED_SIZE);
    copy[i / 8] ^= (unsigned char)(1U << i % 8);
    CHECK(!ha_aead_open(KEY, NONCE, AD, sizeof AD - 1, copy, SEALED_SIZE, out));
    CHECK(all(out, PLAIN_SIZE, 0));
  }
  CHECK(ha_aead_seal(KEY, NONCE, AD, sizeof AD - 1, "", 0, empty)); /* nothing but a tag */
  CHECK(ha_aead_open(KEY, NONCE, AD, sizeof AD - 1, empty, sizeof empty, &none));
  empty[0] ^= 1;
  CHECK(!ha_aead_open(KEY, NONCE, AD, sizeof AD - 1, empty, sizeof empty, &none));
  CHECK_EQ_INT(none, 0x5A);
}

static void short_digests(void) {
  unsigned char out[HA_SHA256_SIZE];
  CHECK_CASE("a digest of another size");
  short_output = true;
  memset(out, 0x5A, sizeof out);
  CHECK(!do_sha256(out) && all(out, sizeof out, 0));
  memset(out, 0x5A, sizeof out);
  CHECK(!do_hmac(out) && all(out, sizeof out, 0));
  short_output = false;
  CHECK(do_sha256(out) && do_hmac(out));
}

int main(void) {
  size_t i;
  CHECK(do_seal(sealed));
  for (i = 0; i < sizeof ROWS / sizeof *ROWS; i++) each_call_fails(&ROWS[i]);
  lengths();
  changed_bits();
  short_digests();
  return check_done();
}
