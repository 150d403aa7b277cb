/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "message.h"

static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const DAYS[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

enum { DAY_SECONDS = 86400, WINDOW_YEARS = 50 };

struct moment { int year, month, day, hour, minute, second; };

/* What is left of the text. Each take_ function either takes exactly what it names or answers false. */
struct rest { const char *p; size_t n; };

static bool take(struct rest *r, const char *text) {
  size_t n = strlen(text);
  if (r->n < n || memcmp(r->p, text, n) != 0) return false;
  r->p += n;
  r->n -= n;
  return true;
}

static bool take_digits(struct rest *r, size_t count, int *value) {
  size_t i;
  int v = 0;
  if (r->n < count) return false;
  for (i = 0; i < count; i++) {
    if (r->p[i] < '0' || r->p[i] > '9') return false;
    v = v * 10 + (r->p[i] - '0');
  }
  r->p += count;
  r->n -= count;
  *value = v;
  return true;
}

/* The names are case-sensitive (RFC 9110 5.6.7). */
static bool take_month(struct rest *r, int *month) {
  int i;
  for (i = 0; i < 12; i++) {
    if (r->n < 3 || memcmp(r->p, MONTHS + 3 * i, 3) != 0) continue;
    r->p += 3;
    r->n -= 3;
    *month = i + 1;
    return true;
  }
  return false;
}

static bool take_day_name(struct rest *r, bool whole) {
  size_t i;
  for (i = 0; i < sizeof DAYS / sizeof DAYS[0]; i++) {
    size_t n = whole ? strlen(DAYS[i]) : 3;
    if (r->n < n || memcmp(r->p, DAYS[i], n) != 0) continue;
    r->p += n;
    r->n -= n;
    return true;
  }
  return false;
}

static bool take_time(struct rest *r, struct moment *m) {
  return take_digits(r, 2, &m->hour) && take(r, ":") && take_digits(r, 2, &m->minute) && take(r, ":") && take_digits(r, 2, &m->second);
}

static bool leap_year(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

/* Days from 1970-01-01 in the Gregorian calendar; a 29 February that is none counts as 1 March. Years 0-9999 and some more. */
static int64_t days_from(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t seconds_of(const struct moment *m) {
  return days_from(m->year, m->month, m->day) * DAY_SECONDS + m->hour * 3600 + m->minute * 60 + m->second;
}

/* The day of now, kept within the years that a date can name, so that nothing wraps. */
static void date_of(int64_t now, struct moment *m) {
  int64_t days, era, of_era, year_of_era, of_year, month;
  const int64_t first = days_from(0, 1, 1) * DAY_SECONDS, last = days_from(9999, 12, 31) * DAY_SECONDS;
  if (now < first) now = first;
  if (now > last) now = last;
  days = now / DAY_SECONDS - (now % DAY_SECONDS < 0 ? 1 : 0) + 719468;
  era = (days >= 0 ? days : days - 146096) / 146097;
  of_era = days - era * 146097;
  year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  month = (5 * of_year + 2) / 153;
  m->day = (int)(of_year - (153 * month + 2) / 5 + 1);
  m->month = (int)(month < 10 ? month + 3 : month - 9);
  m->year = (int)(year_of_era + era * 400 + (m->month <= 2 ? 1 : 0));
}

/* Two digits name the latest year that is not more than fifty years ahead (RFC 9110 5.6.7). */
static void choose_century(struct moment *m, int64_t now) {
  struct moment limit = *m;
  int64_t within = now % DAY_SECONDS, horizon;
  date_of(now, &limit);
  horizon = days_from(limit.year + WINDOW_YEARS, limit.month, limit.day) * DAY_SECONDS + (within < 0 ? within + DAY_SECONDS : within);
  m->year += limit.year / 100 * 100 + 100;
  while (m->year >= 100 && seconds_of(m) > horizon) m->year -= 100;
}

static bool possible(const struct moment *m) {
  static const int LENGTH[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int days = LENGTH[m->month - 1] + (m->month == 2 && leap_year(m->year) ? 1 : 0);
  if (m->day < 1 || m->day > days || m->hour > 23 || m->minute > 59) return false;
  return m->second <= 59 || (m->second == 60 && m->hour == 23 && m->minute == 59); /* the leap second of a day */
}

static bool read_fixdate(struct rest r, struct moment *m) {
  return take_day_name(&r, false) && take(&r, ", ") && take_digits(&r, 2, &m->day) && take(&r, " ") && take_month(&r, &m->month) &&
         take(&r, " ") && take_digits(&r, 4, &m->year) && take(&r, " ") && take_time(&r, m) && take(&r, " GMT") && r.n == 0;
}

static bool read_rfc850(struct rest r, struct moment *m) {
  return take_day_name(&r, true) && take(&r, ", ") && take_digits(&r, 2, &m->day) && take(&r, "-") && take_month(&r, &m->month) &&
         take(&r, "-") && take_digits(&r, 2, &m->year) && take(&r, " ") && take_time(&r, m) && take(&r, " GMT") && r.n == 0;
}

static bool read_asctime(struct rest r, struct moment *m) {
  return take_day_name(&r, false) && take(&r, " ") && take_month(&r, &m->month) && take(&r, " ") &&
         (take(&r, " ") ? take_digits(&r, 1, &m->day) : take_digits(&r, 2, &m->day)) && take(&r, " ") && take_time(&r, m) &&
         take(&r, " ") && take_digits(&r, 4, &m->year) && r.n == 0;
}

bool ha_http_date(const char *p, size_t n, int64_t now, int64_t *seconds) {
  struct moment m;
  struct rest r;
  r.p = p;
  r.n = n;
  if (read_rfc850(r, &m)) choose_century(&m, now);
  else if (!read_fixdate(r, &m) && !read_asctime(r, &m)) return false;
  if (!possible(&m)) return false;
  *seconds = seconds_of(&m);
  return true;
}

bool ha_retry_after(const char *p, size_t n, int64_t now, int64_t *seconds) {
  int64_t value = 0;
  size_t i;
  while (n > 0 && (p[0] == ' ' || p[0] == '\t')) {
    p++;
    n--;
  }
  while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
  for (i = 0; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
    value = value * 10 + (p[i] - '0');
    if (value > HA_RETRY_AFTER_MAX) value = HA_RETRY_AFTER_MAX;
  }
  if (n == 0) return false;
  if (i < n) {
    if (!ha_http_date(p, n, now, &value)) return false;
    if (value <= now) value = 0;
    else value = now < value - HA_RETRY_AFTER_MAX ? HA_RETRY_AFTER_MAX : value - now;
  }
  *seconds = value;
  return true;
}
