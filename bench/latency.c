/*
 * latency - how late what is due comes, and how long a waiter takes to wake
 *
 *   latency [SAMPLES]     a table: p50, p99 and the greatest of each, in microseconds
 *   latency cancel        cancels that nobody waits for, to be counted by strace
 *
 * Each measure of ours stands below a bare one of the kernel, taken in the same run: what a
 * sleep or a futex costs here with nothing of ours. Nothing is asserted.
 */
#define _GNU_SOURCE 1

#include "ctx.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int samples = 3000;

static ctx_engine *engine;

static int64_t now(void)
{
  return ctx_engine_now(engine);
}

/* ---- what was measured ----------------------------------------------------- */

static int compare(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void report(const char *what, int64_t *ns)
{
  qsort(ns, (size_t)samples, sizeof *ns, compare);
  printf("| %-58s | %7.1f | %7.1f | %8.1f |\n", what, (double)ns[samples / 2] / 1000,
         (double)ns[samples - 1 - samples / 100] / 1000, (double)ns[samples - 1] / 1000);
  fflush(stdout);
}

static void head(const char *title)
{
  printf("\n| %-58s | %7s | %7s | %8s |\n| --- | ---: | ---: | ---: |\n", title, "p50", "p99",
         "max");
}

/* ---- late after a deadline -------------------------------------------------- */

/* From 200 to 1200 microseconds ahead: what sleeps has fallen asleep by then. */
static int64_t soon(int i)
{
  return now() + 200000 + (int64_t)i * 7919 % 1000000;
}

static ctx_context *until(int64_t deadline_ns)
{
  ctx_context *c = ctx_with_deadline(ctx_engine_background(engine), deadline_ns);
  if (c == NULL) abort();
  return c;
}

static int64_t sleep_to(int64_t deadline_ns)
{
  struct timespec t = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
  return now();
}

static int64_t wait_to(int64_t deadline_ns)
{
  ctx_context *c = until(deadline_ns);
  ctx_wait(c, CTX_NEVER);
  int64_t at_ns = now();
  ctx_release(c);
  return at_ns;
}

static int64_t poll_to(int64_t deadline_ns)
{
  ctx_context *c = until(deadline_ns);
  struct pollfd fd = {.fd = ctx_fd(c), .events = POLLIN};
  poll(&fd, 1, -1);
  int64_t at_ns = now();
  ctx_release(c);
  return at_ns;
}

/* What the engine's thread has seen, and a context that it cancels then. */
struct seen {
  int64_t at_ns;
  ctx_context *told;
};

static void see_timer(ctx_timer *t, void *arg)
{
  struct seen *s = arg;
  (void)t;
  s->at_ns = now();
  ctx_cancel(s->told);
}

static void see_hook(ctx_context *c, void *arg)
{
  struct seen *s = arg;
  (void)c;
  s->at_ns = now();
  ctx_cancel(s->told);
}

static int64_t timer_to(int64_t deadline_ns)
{
  struct seen s = {0, until(CTX_NEVER)};
  ctx_timer t;
  ctx_timer_init(&t, engine, see_timer, &s);
  ctx_timer_arm(&t, deadline_ns);
  ctx_wait(s.told, CTX_NEVER);
  ctx_release(s.told);
  return s.at_ns;
}

static int64_t hook_to(int64_t deadline_ns)
{
  struct seen s = {0, until(CTX_NEVER)};
  ctx_context *c = until(deadline_ns);
  ctx_hook_release(ctx_after_func(c, see_hook, &s, 0));
  ctx_wait(s.told, CTX_NEVER);
  ctx_release(s.told);
  ctx_release(c);
  return s.at_ns;
}

static void late(const char *what, int64_t (*to)(int64_t deadline_ns), int64_t *ns)
{
  for (int i = 0; i < samples; i++) {
    int64_t deadline_ns = soon(i);
    ns[i] = to(deadline_ns) - deadline_ns;
  }
  report(what, ns);
}

/* ---- from a cancel to who waits ---------------------------------------------- */

/* One sample: the waiter sleeps, the main thread wakes it. */
struct ping {
  void *(*wait)(void *ping);
  void (*wake)(struct ping *p);
  ctx_context *c;
  uint32_t word;
  int epoll;
  int64_t woken_ns;
};

/* For a word that somebody sets who says himself when that was. */
static void *word_wait(void *arg)
{
  struct ping *p = arg;
  while (__atomic_load_n(&p->word, __ATOMIC_ACQUIRE) == 0)
    syscall(SYS_futex, &p->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return NULL;
}

static void *futex_wait(void *arg)
{
  struct ping *p = arg;
  word_wait(p);
  p->woken_ns = now();
  return NULL;
}

static void futex_wake(struct ping *p)
{
  __atomic_store_n(&p->word, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &p->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *context_wait(void *arg)
{
  struct ping *p = arg;
  ctx_wait(p->c, CTX_NEVER);
  p->woken_ns = now();
  return NULL;
}

static void *epoll_wait_for(void *arg)
{
  struct ping *p = arg;
  struct epoll_event event;
  while (epoll_wait(p->epoll, &event, 1, -1) < 1) continue;
  p->woken_ns = now();
  return NULL;
}

static void context_wake(struct ping *p)
{
  ctx_cancel(p->c);
}

static void hook_woken(ctx_context *c, void *arg)
{
  struct ping *p = arg;
  (void)c;
  p->woken_ns = now();
  futex_wake(p);
}

static int64_t ping(struct ping *p)
{
  pthread_t waiter;
  p->word = 0;
  if (pthread_create(&waiter, NULL, p->wait, p) != 0) abort();
  sleep_to(now() + 150000);
  int64_t before_ns = now();
  p->wake(p);
  pthread_join(waiter, NULL);
  return before_ns;
}

static void wakes(const char *what, struct ping p, int64_t *ns)
{
  for (int i = 0; i < samples; i++) {
    p.c = until(CTX_NEVER);
    p.epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    if (p.wait == epoll_wait_for) epoll_ctl(p.epoll, EPOLL_CTL_ADD, ctx_fd(p.c), &event);
    if (p.wait == word_wait) ctx_hook_release(ctx_after_func(p.c, hook_woken, &p, 0));
    int64_t before_ns = ping(&p);
    ns[i] = p.woken_ns - before_ns;
    ctx_release(p.c);
    close(p.epoll);
  }
  report(what, ns);
}

/* ---- cancels that nobody waits for --------------------------------------------- */

static void cancel_many(void)
{
  ctx_context *parent = until(now() + CTX_SECONDS(3600));
  for (int i = 0; i < 100000; i++) {
    ctx_context *c = ctx_with_cancel(parent), *below = ctx_with_timeout(c, CTX_SECONDS(7200));
    ctx_context *timed = ctx_with_timeout(parent, CTX_SECONDS(1800) + i);
    ctx_cancel(c);
    ctx_cancel(timed);
    ctx_release(timed);
    ctx_release(below);
    ctx_release(c);
  }
  ctx_release(parent);
}

int main(int argc, char **argv)
{
  engine = ctx_engine_of(ctx_background());
  if (ctx_engine_start(engine) != 0) return 1;
  if (argc > 1 && strcmp(argv[1], "cancel") == 0) {
    cancel_many();
    return 0;
  }
  if (argc > 1 && atoi(argv[1]) > 0) samples = atoi(argv[1]);
  int64_t *ns = calloc((size_t)samples, sizeof *ns);
  if (ns == NULL) return 1;
  printf("%d samples each, in microseconds\n", samples);

  head("from a deadline to");
  late("the return of clock_nanosleep (the kernel's, bare)", sleep_to, ns);
  late("the return of ctx_wait", wait_to, ns);
  late("the return of poll on ctx_fd", poll_to, ns);
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  late("the return of clock_nanosleep, timer slack 1 ns", sleep_to, ns);
  late("the return of ctx_wait, timer slack 1 ns", wait_to, ns);
  late("the return of poll on ctx_fd, timer slack 1 ns", poll_to, ns);
  late("the start of a timer, on the engine's thread", timer_to, ns);
  late("the start of a hook, on the engine's thread", hook_to, ns);

  head("from before ctx_cancel to");
  wakes("the return of a futex wait, woken bare",
        (struct ping){.wait = futex_wait, .wake = futex_wake}, ns);
  wakes("the return of ctx_wait", (struct ping){.wait = context_wait, .wake = context_wake}, ns);
  wakes("the return of epoll_wait on ctx_fd",
        (struct ping){.wait = epoll_wait_for, .wake = context_wake}, ns);
  wakes("the start of a hook, on the engine's thread",
        (struct ping){.wait = word_wait, .wake = context_wake}, ns);
  free(ns);
  return 0;
}
