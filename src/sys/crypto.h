/* crypto.h - what we take from libcrypto: random bytes, SHA-256, HMAC-SHA-256, AES-256-GCM.
 * No lua.h, nothing owned. Each function answers false when libcrypto fails, and its output is then wiped. */
#ifndef HA_CRYPTO_H
#define HA_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

enum { HA_SHA256_SIZE = 32, HA_AEAD_KEY = 32, HA_AEAD_NONCE = 12, HA_AEAD_TAG = 16 };

bool ha_random(void *out, size_t n);
bool ha_sha256(const void *p, size_t n, unsigned char out[HA_SHA256_SIZE]);
bool ha_hmac_sha256(const void *key, size_t klen, const void *p, size_t n, unsigned char out[HA_SHA256_SIZE]);

/* out has n + HA_AEAD_TAG bytes after seal, n - HA_AEAD_TAG after open. open is false for a wrong key, nonce, associated data or any changed bit. */
bool ha_aead_seal(const unsigned char key[HA_AEAD_KEY], const unsigned char nonce[HA_AEAD_NONCE], const void *ad, size_t adlen,
                  const void *p, size_t n, unsigned char *out);
bool ha_aead_open(const unsigned char key[HA_AEAD_KEY], const unsigned char nonce[HA_AEAD_NONCE], const void *ad, size_t adlen,
                  const void *p, size_t n, unsigned char *out);

#endif
