/*
 * clock - what time it is
 *
 * One face for three clocks: the monotonic one, one of the host, and a manual
 * one, which stands still until it is set. Time is int64_t nanoseconds.
 *
 * Knows platform.h. A manual clock may be read by any thread while one sets it.
 */
#ifndef CTX_CLOCK_H
#define CTX_CLOCK_H

#include "platform.h"

struct clock {
  int64_t (*read)(void *arg); /* the host's; NULL: monotonic or manual */
  void *arg;
  bool manual;
  ctx__atomic64 manual_ns;
};

void clock_init_monotonic(struct clock *k);
void clock_init_host(struct clock *k, int64_t (*read)(void *arg), void *arg);
void clock_init_manual(struct clock *k, int64_t start_ns);

/* The instant now. Calls the host's function: hold no lock. */
int64_t clock_now(const struct clock *k);

/* The same for what only people read: the monotonic clock may lag by 10 ms. */
int64_t clock_recent(const struct clock *k);

/* Sets a manual clock; an instant before the present one changes nothing. */
void clock_set(struct clock *k, int64_t now_ns);

/* True where the kernel's monotonic timers run on the same clock. */
bool clock_is_monotonic(const struct clock *k);

/* start + duration, held at both ends of the range; INT64_MAX stands for never. */
int64_t clock_after(int64_t start_ns, int64_t duration_ns);

#endif
