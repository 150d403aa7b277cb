/* SPDX-License-Identifier: MIT */
/* bare.c - the yardstick: the same token POST as healthauth sends, by a program of libcurl alone, one easy handle, one connection.
 * bare URL CA COUNT -> microseconds per request. No judgement, no JSON: what libcurl and the server cost, nothing else. */
#define _POSIX_C_SOURCE 200809L
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char BODY[] = "client_id=client&grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA";

struct sink {
  char data[4096];
  size_t len;
};

static size_t take(char *p, size_t size, size_t n, void *to) {
  struct sink *s = to;
  size_t all = size * n;
  if (all > sizeof s->data - s->len) return 0;
  memcpy(s->data + s->len, p, all);
  s->len += all;
  return all;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  struct curl_slist *headers = NULL;
  struct sink sink;
  long count, i, status = 0;
  double start;
  CURL *easy;
  if (argc != 4) return 2;
  count = strtol(argv[3], NULL, 10);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  easy = curl_easy_init();
  if (!easy) return 1;
  headers = curl_slist_append(headers, "Content-Type: application/x-www-form-urlencoded");
  headers = curl_slist_append(headers, "Accept: application/json");
  curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
  curl_easy_setopt(easy, CURLOPT_CAINFO, argv[2]);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, BODY);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &sink);
  start = now();
  for (i = 0; i < count; i++) {
    sink.len = 0;
    if (curl_easy_perform(easy) != CURLE_OK) return 1;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) return 1;
  }
  printf("%.2f\n", (now() - start) / (double)count * 1e6);
  curl_slist_free_all(headers);
  curl_easy_cleanup(easy);
  curl_global_cleanup();
  return 0;
}
