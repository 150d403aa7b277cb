/* SPDX-License-Identifier: MIT */
/* Two things that libcurl leaves to OpenSSL and has no word for. OpenSSL is asked itself, by names looked up among what libcurl was linked
 * with: so it is the one that libcurl uses, and we link to none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "curl_parts.h"

enum { CTRL_CLEAR_MODE = 78, MODE_AUTO_RETRY = 4 }; /* openssl/ssl.h, since 0.9.6 and 1.0 */

static int (*ssl_pending)(const void *ssl);
static long (*ssl_ctx_ctrl)(void *ctx, int what, long value, void *more);

static void find(void) {
  curl_version_info_data *(*libcurl)(CURLversion) = curl_version_info;
  const char *library = curl_version_info(CURLVERSION_NOW)->ssl_version;
  Dl_info where;
  void *address, *handle, *found;
  memcpy(&address, &libcurl, sizeof address);
  if (!library || strncmp(library, "OpenSSL/", 8) != 0 || dladdr(address, &where) == 0) return;
  handle = dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (!handle) return;
  found = dlsym(handle, "SSL_CTX_ctrl");
  memcpy(&ssl_ctx_ctrl, &found, sizeof found);
  found = dlsym(handle, "SSL_pending");
  memcpy(&ssl_pending, &found, sizeof found);
  (void)dlclose(handle);
}

static bool found_all(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  return pthread_once(&once, find) == 0 && ssl_pending && ssl_ctx_ctrl;
}

/* libcurl reads no more than Content-Length says. The rest of that record stays inside OpenSSL, where nobody who looks at the socket sees
 * it, and would be the next answer. */
bool ha_curl_tls_rest(CURL *easy) {
  const struct curl_tlssessioninfo *session = NULL;
  if (!found_all() || curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK) return true;
  if (!session || session->backend != CURLSSLBACKEND_OPENSSL || !session->internals) return true;
  return ssl_pending(session->internals) != 0;
}

static CURLcode on_context(CURL *easy, void *ctx, void *ud) {
  (void)easy;
  (void)ud;
  (void)ssl_ctx_ctrl(ctx, CTRL_CLEAR_MODE, MODE_AUTO_RETRY, NULL);
  return CURLE_OK;
}

/* OpenSSL's own way is to read on, within one call, for as long as records come that hold no data (tickets, key updates): a server that sends
 * nothing else would never let libcurl look at the clock. Now each such record ends the call. */
CURLcode ha_curl_tls_setup(CURL *easy) { return found_all() ? curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context) : CURLE_OK; }
