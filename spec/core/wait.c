/*
 * wait - a thread that waits for the end of a context: who wakes it, when, and what is left
 *
 * On a clock that the test sets, where that says all; in real time where a thread has to
 * wake by itself: there "never early" is exact, and "in the end" is all that is said of late.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#ifdef SLOW
enum { WAITERS = 300, STACK = 512 * 1024, ROUNDS = 300, STORM = 500 };
#else
enum { WAITERS = 2000, STACK = 64 * 1024, ROUNDS = 3000, STORM = 3000 };
#endif

/* ---- a thread that waits ----------------------------------------------- */

struct waiter {
  ctx_context *c;
  int64_t timeout_ns;
  pthread_t thread;
  int64_t at_ns; /* when it was answered, on the clock of the engine; */
  int err;       /* what; */
  bool back;     /* atomic: that it was */
};

static void *wait_thread(void *arg)
{
  struct waiter *a = arg;
  a->err = ctx_wait(a->c, a->timeout_ns);
  a->at_ns = ctx_engine_now(ctx_engine_of(a->c));
  WRITE(a->back, true);
  return NULL;
}

static void wait_begin(struct waiter *a, ctx_context *c, int64_t timeout_ns)
{
  *a = (struct waiter){.c = c, .timeout_ns = timeout_ns};
  a->thread = start_sized(wait_thread, a, STACK);
}

/* Joins 'a', stating what it was answered. */
static void wait_is(struct waiter *a, int err)
{
  join(a->thread);
  CHECK_INT(a->err, err);
}

/* ---- who wakes it -------------------------------------------------------- */

static void wakes_by_cancel(ctx_driver driver)
{
  struct world w;
  struct waiter a;
  ctx_context *c = ctx_with_cancel(world_open(&w, driver, START));
  wait_begin(&a, c, CTX_NEVER);
  EVENTUALLY(counters(&w).hooks == 1);
  CHECK(!READ(a.back));
  CHECK(ctx_cancel(c));
  wait_is(&a, CTX_CANCELED);
  ctx_release(c);
  world_close(&w);
}

TEST(cancel_wakes)
{
  wakes_by_cancel(CTX_DRIVER_MANUAL);
  wakes_by_cancel(CTX_DRIVER_HOST);
  wakes_by_cancel(CTX_DRIVER_THREAD);
}

/* A thread waits on the parent, on a child and on a value context below. */
TEST(end_from_above_wakes)
{
  struct world w;
  struct waiter a[3];
  int key = 0;
  ctx_context *parent = ctx_with_cancel(manual(&w));
  ctx_context *child = ctx_with_timeout(parent, 1000);
  ctx_context *value = ctx_with_value(child, &key, NULL, NULL);
  wait_begin(&a[0], parent, CTX_NEVER);
  wait_begin(&a[1], child, CTX_NEVER);
  wait_begin(&a[2], value, CTX_SECONDS(1000));
  EVENTUALLY(counters(&w).hooks == 3);
  ctx_cancel(parent);
  for (int i = 0; i < 3; i++) wait_is(&a[i], CTX_CANCELED);
  ctx_release(value);
  ctx_release(child);
  ctx_release(parent);
  world_close(&w);
}

static struct waiter crowd[WAITERS];

TEST(thousands_wake)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  for (int i = 0; i < WAITERS; i++) wait_begin(&crowd[i], c, CTX_NEVER);
  EVENTUALLY(counters(&w).hooks == WAITERS);
  ctx_cancel(c);
  for (int i = 0; i < WAITERS; i++) wait_is(&crowd[i], CTX_CANCELED);
  ctx_release(c);
  world_close(&w);
}

/* The deadline comes with nobody there to drive: one of them ends the context for all. */
TEST(thousands_wake_at_the_deadline)
{
  struct world w;
  ctx_context *c = ctx_with_timeout(threaded(&w), CTX_MS(100));
  for (int i = 0; i < WAITERS; i++) wait_begin(&crowd[i], c, CTX_NEVER);
  for (int i = 0; i < WAITERS; i++) {
    wait_is(&crowd[i], CTX_DEADLINE_EXCEEDED);
    CHECK(crowd[i].at_ns >= ctx_deadline(c));
  }
  ctx_release(c);
  world_close(&w);
}

TEST(done_answers_at_once)
{
  struct world w;
  int key = 0;
  ctx_context *bg = threaded(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, 0);
  ctx_context *v = ctx_with_value(a, &key, NULL, NULL);
  ctx_cancel(a);
  for (int i = 0; i < 1000; i++) {
    CHECK_INT(ctx_wait(a, CTX_NEVER), CTX_CANCELED);
    CHECK_INT(ctx_wait(v, 0), CTX_CANCELED);
    CHECK_INT(ctx_wait(b, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
    CHECK_INT(ctx_wait(b, -1), CTX_DEADLINE_EXCEEDED);
  }
  ctx_release(v);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

/* ---- when its time is over ------------------------------------------------ */

TEST(no_time_only_asks)
{
  struct world w;
  ctx_context *c = ctx_with_timeout(host(&w), 50);
  int64_t calls = w.calls;
  CHECK_INT(ctx_wait(c, 0), 0);
  CHECK_INT(ctx_wait(c, -1), 0);
  CHECK_INT(ctx_wait(c, INT64_MIN), 0);
  CHECK_INT(counters(&w).hooks, 0);
  w.now_ns = 50;
  CHECK_INT(ctx_wait(c, 0), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(w.calls, calls);
  ctx_release(c);
  world_close(&w);
}

/* Waits for a millisecond, stating that it was one and that nothing is left. */
static void gives_up(const struct world *w, ctx_context *c)
{
  int64_t calls = w->calls, began_ns = real_now();
  CHECK_INT(ctx_wait(c, CTX_MS(1)), 0);
  CHECK(real_now() >= began_ns + CTX_MS(1));
  CHECK_INT(counters(w).hooks, 0);
  CHECK_INT(w->calls, calls);
}

TEST(gives_up_and_is_forgotten)
{
  struct world w;
  int key = 0;
  ctx_context *bg = threaded(&w);
  ctx_context *all[] = {bg,
                        ctx_engine_todo(w.engine),
                        ctx_without_cancel(bg),
                        ctx_with_value(bg, &key, NULL, NULL),
                        ctx_with_cancel(bg),
                        ctx_with_timeout(bg, CTX_SECONDS(1000))};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) gives_up(&w, all[i]);
  for (size_t i = 2; i < sizeof all / sizeof *all; i++) ctx_release(all[i]);
  world_close(&w);
}

/* A deadline of its own, one from above, and one seen through a value layer. */
TEST(wakes_by_itself_at_the_deadline)
{
  struct world w;
  int key = 0, before = threads_at_rest();
  ctx_context *bg = threaded(&w);
  for (int i = 0; i < 3; i++) {
    ctx_context *a = ctx_with_timeout(bg, CTX_MS(2)), *b = ctx_with_cancel(a);
    ctx_context *c = ctx_with_value(b, &key, NULL, NULL), *on[] = {a, b, c};
    CHECK_INT(ctx_wait(on[i], i == 0 ? CTX_NEVER : CTX_SECONDS(1000)), CTX_DEADLINE_EXCEEDED);
    CHECK(ctx_engine_now(w.engine) >= ctx_deadline(a));
    ctx_release(c);
    ctx_release(b);
    ctx_release(a);
  }
  CHECK_INT(threads(), before);
  world_close(&w);
}

/* ---- on other clocks ------------------------------------------------------- */

TEST(waits_on_a_manual_clock)
{
  struct world w;
  struct waiter a, b;
  ctx_context *c = ctx_with_timeout(manual(&w), 50);
  wait_begin(&a, c, CTX_NEVER);
  wait_begin(&b, c, 20);
  EVENTUALLY(counters(&w).hooks == 2);
  CHECK_INT(ctx_engine_advance(w.engine, 20), 0);
  wait_is(&b, 0);
  CHECK_INT(b.at_ns, START + 20);
  CHECK_INT(counters(&w).hooks, 1);
  CHECK_INT(ctx_engine_advance(w.engine, 29), 0);
  CHECK(!READ(a.back));
  CHECK_INT(ctx_engine_advance(w.engine, 1), 0);
  wait_is(&a, CTX_DEADLINE_EXCEEDED);
  CHECK_INT(a.at_ns, START + 50);
  ctx_release(c);
  world_close(&w);
}

/* Nobody polls: the waiter itself sees that the clock has come to the deadline. */
TEST(waits_on_the_clock_of_a_host)
{
  struct world w;
  struct waiter a, b;
  ctx_context *c = ctx_with_timeout(host(&w), 50);
  wait_begin(&a, c, CTX_NEVER);
  wait_begin(&b, ctx_engine_background(w.engine), 70);
  EVENTUALLY(counters(&w).hooks == 1);
  world_set(&w, START + 50);
  wait_is(&a, CTX_DEADLINE_EXCEEDED);
  world_set(&w, START + 200);
  wait_is(&b, 0);
  CHECK_INT(b.at_ns, START + 200);
  ctx_release(c);
  world_close(&w);
}

/* ---- where it waits --------------------------------------------------------- */

TEST(waits_on_a_closed_engine)
{
  struct world w;
  struct waiter a;
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg), *d = ctx_with_timeout(bg, CTX_MS(5));
  wait_begin(&a, c, CTX_NEVER);
  EVENTUALLY(counters(&w).hooks == 1);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK_INT(ctx_wait(d, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_wait(c, CTX_MS(1)), 0);
  CHECK(!READ(a.back));
  ctx_cancel(c);
  wait_is(&a, CTX_CANCELED);
  ctx_release(d);
  ctx_release(c);
  world_memory_is_back(&w);
}

struct delayed {
  ctx_context *other;
  int err, after; /* atomic */
};

static void wait_in_hook(ctx_context *c, void *arg)
{
  struct delayed *d = arg;
  (void)c;
  CHECK_INT(READ(d->after), 0);
  WRITE(d->err, ctx_wait(d->other, CTX_NEVER));
}

static void come_after(ctx_context *c, void *arg)
{
  struct delayed *d = arg;
  (void)c;
  CHECK_INT(READ(d->err), CTX_DEADLINE_EXCEEDED);
  WRITE(d->after, 1);
}

TEST(waits_in_a_hook)
{
  struct world w;
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg);
  struct delayed d = {.other = ctx_with_timeout(bg, CTX_MS(10))};
  ctx_hook *first = need(ctx_after_func(c, wait_in_hook, &d, 0));
  ctx_hook *second = need(ctx_after_func(c, come_after, &d, 0));
  ctx_cancel(c);
  EVENTUALLY(READ(d.after) == 1);
  ctx_hook_release(first);
  ctx_hook_release(second);
  ctx_release(d.other);
  ctx_release(c);
  EVENTUALLY(counters(&w).contexts == 0);
  world_close(&w);
}

/* ---- what does not wake it ---------------------------------------------------- */

static int handled; /* atomic */

static void handle(int number)
{
  (void)number;
  __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

/* Signals the thread of 'a', till STORM more have been handled there or it is back. */
static void storm(const struct waiter *a)
{
  int until = READ(handled) + STORM;
  while (READ(handled) < until && !READ(a->back)) {
    pthread_kill(a->thread, SIGUSR1);
    sched_yield();
  }
}

TEST(signals_end_no_wait)
{
  struct world w;
  struct waiter a, b;
  struct sigaction before, action = {.sa_handler = handle};
  ctx_context *c = ctx_with_cancel(threaded(&w));
  sigaction(SIGUSR1, &action, &before);
  wait_begin(&a, c, CTX_NEVER);
  EVENTUALLY(counters(&w).hooks == 1);
  storm(&a);
  CHECK(!READ(a.back));

  int64_t began_ns = real_now();
  wait_begin(&b, c, CTX_MS(50));
  storm(&b);
  wait_is(&b, 0);
  CHECK(b.at_ns >= began_ns + CTX_MS(50));

  ctx_cancel(c);
  wait_is(&a, CTX_CANCELED);
  sigaction(SIGUSR1, &before, NULL);
  ctx_release(c);
  world_close(&w);
}

/* ---- races ---------------------------------------------------------------------- */

struct race {
  ctx_context *c;
  pthread_barrier_t barrier;
  int64_t timeout_ns;
};

static void *race_thread(void *arg)
{
  struct race *r = arg;
  for (int i = 0; i < ROUNDS; i++) {
    pthread_barrier_wait(&r->barrier);
    int err = ctx_wait(r->c, r->timeout_ns);
    CHECK(err == CTX_CANCELED || (r->timeout_ns != CTX_NEVER && err == 0));
    pthread_barrier_wait(&r->barrier);
  }
  return NULL;
}

/* A wait begins while the context is canceled: each round ends. */
static void race_rounds(int64_t timeout_ns)
{
  struct world w;
  struct race r = {.timeout_ns = timeout_ns};
  ctx_context *bg = threaded(&w);
  pthread_barrier_init(&r.barrier, NULL, 2);
  pthread_t thread = start(race_thread, &r);
  for (int i = 0; i < ROUNDS; i++) {
    r.c = need(ctx_with_cancel(bg));
    pthread_barrier_wait(&r.barrier);
    for (int spin = 0; spin < i % 500; spin++) (void)READ(r.c);
    ctx_cancel(r.c);
    pthread_barrier_wait(&r.barrier);
    ctx_release(r.c);
  }
  join(thread);
  pthread_barrier_destroy(&r.barrier);
  world_close(&w);
}

TEST(wait_against_cancel)
{
  race_rounds(CTX_NEVER);
}

TEST(giving_up_against_cancel)
{
  race_rounds(20000);
}

/* It is done, and its time has passed, and the limit: the end counts. */
TEST(done_beats_limit)
{
  struct world w;
  ctx_context *c = ctx_with_timeout(host(&w), 50),
              *d = ctx_with_cancel(ctx_engine_background(w.engine));
  ctx_cancel(d);
  w.now_ns = 60;
  CHECK_INT(ctx_wait(c, 0), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_wait(d, 0), CTX_CANCELED);
  CHECK_INT(ctx_wait(d, -5), CTX_CANCELED);
  ctx_release(c);
  ctx_release(d);
  world_close(&w);
}

static const struct test tests[] = {
  T(done_beats_limit, "J5 done beats a limit that has passed as well"),
  T(cancel_wakes, "J1 a cancel wakes the thread, whatever the driver"),
  T(end_from_above_wakes, "J1 an end from above wakes it, on a value context too"),
  T(thousands_wake, "J2 a cancel wakes thousands"),
  T(thousands_wake_at_the_deadline, "J2 thousands wake at the deadline, none early"),
  T(done_answers_at_once, "B6 on a done context every wait returns at once"),
  T(no_time_only_asks, "J1 with no time, or less, it only asks"),
  T(gives_up_and_is_forgotten, "J2 who gives up has waited his time, and leaves nothing"),
  T(wakes_by_itself_at_the_deadline, "B8 it wakes at a deadline with no thread of ours"),
  T(waits_on_a_manual_clock, "J1 on a manual clock it waits for that to advance"),
  T(waits_on_the_clock_of_a_host, "J1 on the clock of a host it sees what that says"),
  T(waits_on_a_closed_engine, "J1 on a closed engine it wakes by cancel and deadline"),
  T(waits_in_a_hook, "a wait in a hook delays the hooks after it"),
  T(signals_end_no_wait, "J4 thousands of signals end no wait"),
  T(wait_against_cancel, "J1 no wake-up is lost between the wait and a cancel"),
  T(giving_up_against_cancel, "J2 to give up may race a cancel"),
};

int main(int argc, char **argv)
{
  if (no_proc("wait")) return 0;
  threads_at_rest();
  return check_run("wait", tests, sizeof tests / sizeof *tests, argc, argv);
}
