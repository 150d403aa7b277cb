/* SPDX-License-Identifier: MIT */
#include "crypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

bool ha_random(void *out, size_t n) {
  if (n <= INT_MAX && RAND_bytes(out, (int)n) == 1) return true;
  OPENSSL_cleanse(out, n);
  return false;
}

bool ha_sha256(const void *p, size_t n, unsigned char out[HA_SHA256_SIZE]) {
  unsigned int size = 0;
  if (EVP_Digest(p, n, out, &size, EVP_sha256(), NULL) == 1 && size == HA_SHA256_SIZE) return true;
  OPENSSL_cleanse(out, HA_SHA256_SIZE);
  return false;
}

bool ha_hmac_sha256(const void *key, size_t klen, const void *p, size_t n, unsigned char out[HA_SHA256_SIZE]) {
  unsigned int size = 0;
  if (klen <= INT_MAX && HMAC(EVP_sha256(), key, (int)klen, p, n, out, &size) && size == HA_SHA256_SIZE) return true;
  OPENSSL_cleanse(out, HA_SHA256_SIZE);
  return false;
}

bool ha_aead_seal(const unsigned char key[HA_AEAD_KEY], const unsigned char nonce[HA_AEAD_NONCE], const void *ad, size_t adlen,
                  const void *p, size_t n, unsigned char *out) {
  int len = 0, last = 0;
  bool fine = false;
  EVP_CIPHER_CTX *ctx = n <= INT_MAX && adlen <= INT_MAX ? EVP_CIPHER_CTX_new() : NULL;
  if (ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
      (adlen == 0 || EVP_EncryptUpdate(ctx, NULL, &len, ad, (int)adlen) == 1) &&
      EVP_EncryptUpdate(ctx, out, &len, p, (int)n) == 1 && EVP_EncryptFinal_ex(ctx, out + len, &last) == 1 &&
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, HA_AEAD_TAG, out + n) == 1)
    fine = true;
  EVP_CIPHER_CTX_free(ctx);
  if (!fine) OPENSSL_cleanse(out, n + HA_AEAD_TAG);
  return fine;
}

bool ha_aead_open(const unsigned char key[HA_AEAD_KEY], const unsigned char nonce[HA_AEAD_NONCE], const void *ad, size_t adlen,
                  const void *p, size_t n, unsigned char *out) {
  const unsigned char *in = p;
  int len = 0, last = 0;
  bool fine = false;
  EVP_CIPHER_CTX *ctx;
  unsigned char tag[HA_AEAD_TAG];
  size_t i;
  if (n < HA_AEAD_TAG || n > INT_MAX || adlen > INT_MAX) return false;
  n -= HA_AEAD_TAG;
  for (i = 0; i < HA_AEAD_TAG; i++) tag[i] = in[n + i];
  ctx = EVP_CIPHER_CTX_new();
  if (ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
      (adlen == 0 || EVP_DecryptUpdate(ctx, NULL, &len, ad, (int)adlen) == 1) &&
      EVP_DecryptUpdate(ctx, out, &len, in, (int)n) == 1 && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, HA_AEAD_TAG, tag) == 1 &&
      EVP_DecryptFinal_ex(ctx, out + len, &last) == 1)
    fine = true;
  EVP_CIPHER_CTX_free(ctx);
  if (!fine && n) OPENSSL_cleanse(out, n);
  return fine;
}
