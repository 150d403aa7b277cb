/* SPDX-License-Identifier: MIT */
/* json_judge_main - the judge as a program, for test/json_agree.py and for timing.
 * Standard input: documents, each as its length in decimal, a newline, and that many bytes. One verdict word and offset a line for each.
 * `json_judge_main DEPTH VALUES` sets the limits; `json_judge_main time FILE` prints how fast FILE is judged. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/json.h"

enum { DOCUMENT_MAX = 64 * 1024 * 1024, ROUNDS = 20 };

static const char *const WORDS[] = {"fine", "syntax", "utf8", "duplicate", "number", "depth", "count", "nomem"};

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int time_file(const char *name) {
  struct ha_json_limits limits = {1000, DOCUMENT_MAX};
  struct ha_json_verdict v = {HA_JSON_SYNTAX, 0, 0};
  double best = 1e9;
  int i;
  size_t len;
  FILE *f = fopen(name, "rb");
  char *text = ha_alloc(DOCUMENT_MAX);
  if (!f || !text) {
    if (f) (void)fclose(f);
    ha_free(text, DOCUMENT_MAX);
    return 2;
  }
  len = fread(text, 1, DOCUMENT_MAX, f);
  (void)fclose(f);
  for (i = 0; i < ROUNDS; i++) {
    double start = seconds(), took;
    v = ha_json_judge(text, len, &limits);
    took = seconds() - start;
    if (took < best) best = took;
  }
  printf("%s: %s, %zu bytes, %.3f ms, %.0f MB/s\n", name, WORDS[v.fault], len, best * 1e3, (double)len / best / 1e6);
  ha_free(text, DOCUMENT_MAX);
  return 0;
}

int main(int argc, char **argv) {
  struct ha_json_limits limits = {32, 100000};
  size_t len;
  if (argc == 3 && strcmp(argv[1], "time") == 0) return time_file(argv[2]);
  if (argc == 3) {
    limits.depth = strtoul(argv[1], NULL, 10);
    limits.values = strtoul(argv[2], NULL, 10);
  }
  while (scanf("%zu", &len) == 1) {
    struct ha_json_verdict v;
    char *text = len <= DOCUMENT_MAX ? ha_alloc(len) : NULL; /* exact size: a sanitizer sees the first byte read too far */
    if (!text || getchar() != '\n' || fread(text, 1, len, stdin) != len) return 2;
    v = ha_json_judge(text, len, &limits);
    printf("%s %zu\n", WORDS[v.fault], v.offset);
    ha_free(text, len);
  }
  return feof(stdin) ? 0 : 2;
}
