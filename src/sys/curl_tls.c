/* SPDX-License-Identifier: MIT */
/* What TLS has taken from a connection and libcurl has not: libcurl reads no more than Content-Length says, so the rest of that record stays
 * inside the TLS library, where nobody who looks at the socket sees it, and would be the next answer. libcurl has no word for it; the
 * library is asked, by the name that libcurl itself sees it under, so that it is the one that libcurl uses and we link to none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "curl_parts.h"

static int (*openssl_pending)(const void *ssl);

static void find(void) {
  curl_version_info_data *(*libcurl)(CURLversion) = curl_version_info;
  Dl_info where;
  void *address, *handle, *found;
  memcpy(&address, &libcurl, sizeof address);
  handle = dladdr(address, &where) != 0 && where.dli_fname ? dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD) : NULL;
  if (!handle) return;
  found = dlsym(handle, "SSL_pending"); /* among what libcurl was linked with */
  memcpy(&openssl_pending, &found, sizeof found);
  (void)dlclose(handle);
}

bool ha_curl_tls_rest(CURL *easy) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const struct curl_tlssessioninfo *session = NULL;
  if (pthread_once(&once, find) != 0 || !openssl_pending) return true;
  if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || !session || !session->internals) return true;
  return session->backend != CURLSSLBACKEND_OPENSSL || openssl_pending(session->internals) != 0;
}
