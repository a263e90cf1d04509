/*
 * extend - a deadline that is moved: who follows, what wakes, and what it may meet
 *
 * Small trees by hand; trees made by chance against a model; chains and fans of a million on
 * a stack of 64 KiB; threads that cancel, ask, let go and bear children meanwhile.
 */
#define _GNU_SOURCE 1

#include "context.h"
#include "system.h"
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif

#ifdef SLOW
enum { MILLION = 50000, STACK = 512 * 1024, ROUNDS = 20000 / SLOW, TREES = 40 };
#else
enum { MILLION = 1000000, STACK = 64 * 1024, ROUNDS = 20000, TREES = 400 };
#endif

static int key;

static void count_run(ctx_context *c, void *times)
{
  CHECK(ctx_done(c));
  count(times, 1);
}

/* ---- who follows ------------------------------------------------------- */

/* The word that ctx_err reads: whether the clock is to be asked. */
static uint32_t word(const ctx_context *c)
{
  return *(const uint32_t *)(const void *)c;
}

TEST(all_below_follow)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50);
  ctx_context *b = ctx_with_cancel(a);
  ctx_context *v = ctx_with_value(b, &key, NULL, NULL);
  ctx_context *c = ctx_with_cancel(v);
  ctx_context *sooner = ctx_with_timeout(c, 20);
  CHECK_INT(ctx_extend(a, 80), 0);
  CHECK_INT(ctx_deadline(a), 80);
  CHECK_INT(ctx_deadline(b), 80);
  CHECK_INT(ctx_deadline(v), 80);
  CHECK_INT(ctx_deadline(c), 80);
  CHECK_INT(ctx_deadline(sooner), 20);
  CHECK_INT(ctx_extend(a, 10), 0);
  CHECK_INT(ctx_deadline(c), 10);
  CHECK_INT(ctx_deadline(sooner), 10);
  CHECK_INT(counters(&w).timers, 1);
  CHECK_INT(ctx_extend(a, 40), 0);
  CHECK_INT(ctx_deadline(sooner), 20);
  CHECK_INT(counters(&w).timers, 2);
  ctx_engine_advance(w.engine, 39);
  CHECK_INT(ctx_err(sooner), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_err(c), 0);
  ctx_engine_advance(w.engine, 1);
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_err(v), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_extend(a, 90), ECANCELED);
  CHECK_INT(ctx_deadline(a), 40);
  ctx_release(sooner);
  ctx_release(c);
  ctx_release(v);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(never_and_back)
{
  struct world w;
  int64_t ran = 0;
  ctx_context *a = ctx_with_timeout(manual(&w), CTX_NEVER);
  ctx_context *b = ctx_with_cancel(a);
  ctx_hook *h = ctx_after_func(b, count_run, &ran, CTX_HOOK_INLINE);
  CHECK_INT(ctx_extend(a, 30), 0);
  CHECK_INT(ctx_deadline(b), 30);
  CHECK_INT(ctx_extend(a, CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(b), CTX_NEVER);
  CHECK_INT(word(b), CTX__LIVE);
  CHECK_INT(counters(&w).timers, 0);
  ctx_engine_advance(w.engine, 1000);
  CHECK_INT(ctx_err(b), 0);
  CHECK_INT(ctx_extend(a, 2000), 0);
  ctx_engine_advance(w.engine, 999);
  CHECK_INT(ran, 0);
  ctx_engine_advance(w.engine, 1);
  CHECK_INT(ran, 1);
  ctx_hook_release(h);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(others_refuse)
{
  struct world w;
  ctx_context *bg = manual(&w), *parent = ctx_with_timeout(bg, 100);
  ctx_context *c = ctx_with_cancel(parent), *v = ctx_with_value(parent, &key, NULL, NULL);
  ctx_context *d = ctx_without_cancel(parent);
  CHECK_INT(ctx_extend(bg, 10), EINVAL);
  CHECK_INT(ctx_extend(ctx_engine_todo(w.engine), 10), EINVAL);
  CHECK_INT(ctx_extend(c, 10), EINVAL);
  CHECK_INT(ctx_extend(v, 10), EINVAL);
  CHECK_INT(ctx_extend(d, 10), EINVAL);
  CHECK_INT(ctx_deadline(c), 100);
  ctx_cancel(parent);
  CHECK_INT(ctx_extend(parent, 200), ECANCELED);
  CHECK_INT(ctx_deadline(parent), 100);
  ctx_release(d);
  ctx_release(v);
  ctx_release(c);
  ctx_release(parent);
  world_close(&w);
}

/* ---- what counts ------------------------------------------------------- */

TEST(covered_wish_counts_later)
{
  struct world w;
  ctx_context *a = ctx_with_deadline(manual(&w), 10);
  ctx_context *b = ctx_with_deadline_cause(a, 20, cause("b"));
  CHECK_INT(counters(&w).timers, 1);
  CHECK_INT(ctx_extend(b, 30), 0);
  CHECK_INT(ctx_deadline(b), 10);
  CHECK_INT(counters(&w).timers, 1);
  CHECK_INT(ctx_extend(a, 100), 0);
  CHECK_INT(ctx_deadline(b), 30);
  CHECK_INT(counters(&w).timers, 2);
  CHECK_INT(ctx_extend(a, 30), 0);
  CHECK_INT(counters(&w).timers, 1);
  CHECK_INT(ctx_extend(a, 31), 0);
  CHECK_INT(counters(&w).timers, 2);
  ctx_engine_advance(w.engine, 29);
  CHECK_INT(ctx_err(b), 0);
  ctx_engine_advance(w.engine, 1);
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  CHECK_STR(ctx_cause_text(ctx_cause_of(b), NULL), "b");
  CHECK_INT(ctx_err(a), 0);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(equal_is_the_parents)
{
  struct world w;
  ctx_context *a = ctx_with_deadline_cause(manual(&w), 10, cause("a"));
  ctx_context *b = ctx_with_deadline_cause(a, 5, cause("b"));
  CHECK_INT(ctx_extend(b, 10), 0);
  CHECK_INT(counters(&w).timers, 1);
  ctx_engine_advance(w.engine, 10);
  CHECK_STR(ctx_cause_text(ctx_cause_of(b), NULL), "a");
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(past_ends_at_once)
{
  struct world w;
  int64_t ran = 0;
  ctx_context *a = ctx_with_deadline(host(&w), 50);
  ctx_context *b = ctx_with_cancel(a);
  ctx_hook *h = ctx_after_func(b, count_run, &ran, CTX_HOOK_INLINE);
  w.now_ns = 20;
  CHECK_INT(ctx_extend(a, 20), 0);
  CHECK_INT(word(b), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(counters(&w).timers, 0);
  ctx_origin o;
  CHECK(ctx_origin_of(b, &o) && o.context == a && o.at_ns == 20);
  CHECK_INT(o.kind, CTX_ORIGIN_DEADLINE);
  CHECK_INT(ctx_deadline(b), 20);
  CHECK_INT(ran, 0);
  ctx_engine_poll(w.engine);
  CHECK_INT(ran, 1);
  ctx_hook_release(h);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(passed_cannot_be_moved)
{
  struct world w;
  ctx_context *a = ctx_with_deadline(host(&w), 50);
  w.now_ns = 50;
  CHECK_INT(ctx_extend(a, 100), ECANCELED);
  CHECK_INT(ctx_err(a), CTX_DEADLINE_EXCEEDED);
  ctx_release(a);
  world_close(&w);
}

static int order[3], ordered;

static void note(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  order[ordered++] = *(const int *)arg;
}

TEST(moving_arms_anew)
{
  struct world w;
  int number[3] = {0, 1, 2};
  ctx_context *bg = manual(&w), *c[3];
  ctx_hook *h[3];
  ordered = 0;
  for (int i = 0; i < 3; i++) c[i] = ctx_with_deadline(bg, 50);
  for (int i = 0; i < 3; i++) h[i] = ctx_after_func(c[i], note, &number[i], CTX_HOOK_INLINE);
  CHECK_INT(ctx_extend(c[0], 70), 0);
  CHECK_INT(ctx_extend(c[0], 50), 0);
  CHECK_INT(ctx_extend(c[1], 50), 0);
  ctx_engine_advance(w.engine, 50);
  CHECK_INT(order[0], 2);
  CHECK_INT(order[1], 0);
  CHECK_INT(order[2], 1);
  for (int i = 0; i < 3; i++) {
    ctx_hook_release(h[i]);
    ctx_release(c[i]);
  }
  world_close(&w);
}

TEST(closed_engine_too)
{
  struct world w;
  ctx_context *a = ctx_with_deadline(host(&w), 50);
  ctx_context *b = ctx_with_cancel(a);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK_INT(ctx_extend(a, 80), 0);
  w.now_ns = 79;
  CHECK_INT(ctx_err(b), 0);
  w.now_ns = 80;
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  ctx_release(b);
  ctx_release(a);
  world_memory_is_back(&w);
}

/* Closes a world whose thread may still hold what it has just ended. */
static void close_threaded(struct world *w)
{
  EVENTUALLY(counters(w).contexts == 0);
  world_close(w);
}

/* ---- who sleeps, and who is told ------------------------------------------ */

struct waiter {
  ctx_context *c;
  int64_t at_ns;
  int err;
};

static void *wait_thread(void *arg)
{
  struct waiter *a = arg;
  a->err = ctx_wait(a->c, CTX_NEVER);
  a->at_ns = ctx_engine_now(ctx_engine_of(a->c));
  return NULL;
}

static void sleeper_wakes(ctx_driver driver)
{
  struct world w;
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = driver}));
  w.engine = e;
  ctx_context *a = ctx_with_timeout(ctx_engine_background(e), CTX_SECONDS(3600));
  ctx_context *b = ctx_with_cancel(a);
  struct waiter waiter[2] = {{.c = a}, {.c = b}};
  pthread_t thread[2];
  CHECK(ctx_fd(b) >= 0); /* so that there is an annex before the sleeper */
  for (int i = 0; i < 2; i++) thread[i] = start_sized(wait_thread, &waiter[i], STACK);
  EVENTUALLY(counters(&w).hooks == 2);
  int64_t soon_ns = ctx_engine_now(e) + CTX_MS(2);
  CHECK_INT(ctx_extend(a, soon_ns), 0);
  for (int i = 0; i < 2; i++) {
    join(thread[i]);
    CHECK_INT(waiter[i].err, CTX_DEADLINE_EXCEEDED);
    CHECK(waiter[i].at_ns >= soon_ns);
  }
  ctx_release(b);
  ctx_release(a);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(sleepers_wake)
{
  sleeper_wakes(CTX_DRIVER_HOST);
  sleeper_wakes(CTX_DRIVER_THREAD);
}

TEST(the_thread_is_told)
{
  struct world w;
  int64_t ran = 0;
  ctx_context *a = ctx_with_timeout(threaded(&w), CTX_SECONDS(3600));
  ctx_context *b = ctx_with_cancel(a);
  ctx_hook *h = ctx_after_func(b, count_run, &ran, 0);
  CHECK_INT(ctx_extend(a, ctx_engine_now(w.engine) + CTX_MS(1)), 0);
  EVENTUALLY(READ(ran) == 1);
  ctx_hook_release(h);
  ctx_release(b);
  ctx_release(a);
  close_threaded(&w);
}

/* An inline hook needs no thread for a cancel; for the first deadline it does. */
TEST(the_thread_is_started)
{
  struct world w;
  int64_t ran = 0;
  ctx_context *a = ctx_with_timeout(threaded(&w), CTX_NEVER);
  ctx_context *b = ctx_with_cancel(a);
  ctx_hook *h = ctx_after_func(b, count_run, &ran, CTX_HOOK_INLINE);
  CHECK_INT(ctx_extend(a, CTX_NEVER), 0); /* as before */
  CHECK_INT(counters(&w).threads, 0);
  CHECK_INT(ctx_extend(a, ctx_engine_now(w.engine) + CTX_MS(1)), 0);
  EVENTUALLY(READ(ran) == 1);
  ctx_hook_release(h);
  ctx_release(b);
  ctx_release(a);
  close_threaded(&w);
}

/* What the kernel has been told of the descriptor of 'c': the time left. */
static int64_t told_ns(ctx_context *c)
{
#if defined(__linux__) && !defined(CTX__PORTABLE)
  struct itimerspec left;
  CHECK_INT(timerfd_gettime(ctx_fd(c), &left), 0);
  return CTX_SECONDS(left.it_value.tv_sec) + left.it_value.tv_nsec;
#else
  return ctx_deadline(c) - ctx_engine_now(ctx_engine_of(c));
#endif
}

TEST(descriptors_are_armed_anew)
{
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST}));
  ctx_context *a = ctx_with_timeout(ctx_engine_background(e), CTX_SECONDS(100));
  ctx_context *b = ctx_with_cancel(a);
  CHECK(told_ns(b) <= CTX_SECONDS(100));
  CHECK_INT(ctx_extend(a, ctx_engine_now(e) + CTX_SECONDS(5000)), 0);
  CHECK(told_ns(b) > CTX_SECONDS(4000));
  CHECK(!readable(ctx_fd(b)));
  CHECK_INT(ctx_extend(a, ctx_engine_now(e) + CTX_MS(1)), 0);
#ifdef CTX__PORTABLE /* the kernel knows no instant: who drives says so */
  EVENTUALLY((ctx_engine_poll(e), readable(ctx_fd(b))));
#endif
  CHECK(wait_readable(ctx_fd(b)));
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  ctx_release(b);
  ctx_release(a);
  CHECK_INT(ctx_engine_close(e), 0);
}

/* ---- a million, on a small stack ------------------------------------------ */

struct large {
  struct world w;
  ctx_context **c;
  bool chain;
};

static ctx_context *large_child(const struct large *l, int i)
{
  ctx_context *up = l->c[l->chain ? i - 1 : 0];
  return need(i % 3 == 0 ? ctx_with_deadline(up, 1000 + i) : ctx_with_cancel(up));
}

static void *large_run(void *arg)
{
  struct large *l = arg;
  int64_t calls = l->w.calls;
  CHECK_INT(ctx_extend(l->c[0], 70), 0);
  for (int i = 0; i < MILLION; i++) {
    if (!CHECK_INT(ctx_deadline(l->c[i]), 70)) break;
  }
  CHECK_INT(counters(&l->w).timers, 1);
  CHECK_INT(ctx_extend(l->c[0], CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(l->c[2]), CTX_NEVER);
  CHECK_INT(ctx_deadline(l->c[3]), 1003);
  CHECK_INT(ctx_deadline(l->c[4]), l->chain ? 1003 : CTX_NEVER);
  CHECK_INT(counters(&l->w).timers, l->chain ? 1 : (MILLION - 1) / 3);
  CHECK_INT(ctx_extend(l->c[0], 60), 0);
  l->w.now_ns = 60;
  CHECK_INT(ctx_err(l->c[MILLION - 1]), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(l->w.calls, calls);
  for (int i = 0; i < MILLION; i++) ctx_release(l->c[i]);
  return NULL;
}

static void on_small_stack(bool chain)
{
  struct large l = {.chain = chain};
  ctx_context *bg = host(&l.w);
  l.c = need(calloc(MILLION, sizeof *l.c));
  l.c[0] = need(ctx_with_deadline(bg, 50));
  for (int i = 1; i < MILLION; i++) l.c[i] = large_child(&l, i);
  join(start_sized(large_run, &l, STACK));
  free(l.c);
  world_close(&l.w);
}

TEST(chain_of_a_million)
{
  on_small_stack(true);
}

TEST(fan_of_a_million)
{
  on_small_stack(false);
}

enum { CROWD = 1000 };

/* So seldom others get at the lock over those that are done, and are not worth a step each. */
static void count_steps(ctx_context *a, int few, int many)
{
  struct list dead;
  struct node *n = &a->node;
  int steps = 0;
  list_init(&dead);
  while ((n = tree_step(&a->node, n, n == &a->node, &dead)) != NULL) steps++;
  CHECK(list_empty(&dead));
  CHECK(few <= steps && steps <= many);
}

TEST(past_many_that_are_done)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b[CROWD];
  for (int i = 0; i < CROWD; i++) {
    b[i] = need(ctx_with_cancel(a));
    ctx_cancel(b[i]);
  }
  ctx_context *last = ctx_with_cancel(a);
  count_steps(a, 10, 100);
  CHECK_INT(ctx_extend(a, 80), 0);
  CHECK_INT(ctx_deadline(last), 80);
  CHECK_INT(ctx_deadline(b[63]), 50);
  ctx_release(last);
  for (int i = 0; i < CROWD; i++) ctx_release(b[i]);
  ctx_release(a);
  world_close(&w);
}

/* ---- by chance, against a model --------------------------------------------- */

enum { NODES = 60, MOVES = 200 };

struct model {
  struct world w;
  uint64_t seed;
  ctx_context *c[NODES];
  int up[NODES];       /* -1: the background */
  int64_t wish[NODES]; /* CTX_NEVER: a cancel context */
  bool timed[NODES];
};

static int64_t some_deadline(struct model *m)
{
  return below(&m->seed, 8) == 0 ? CTX_NEVER : 1 + below(&m->seed, 20);
}

static void model_grow(struct model *m, ctx_context *bg)
{
  for (int i = 0; i < NODES; i++) {
    m->up[i] = (int)below(&m->seed, i + 1) - 1;
    ctx_context *up = m->up[i] < 0 ? bg : m->c[m->up[i]];
    m->timed[i] = below(&m->seed, 3) != 0;
    m->wish[i] = m->timed[i] ? some_deadline(m) : CTX_NEVER;
    m->c[i] = need(m->timed[i] ? ctx_with_deadline(up, m->wish[i]) : ctx_with_cancel(up));
  }
}

static void model_compare(const struct model *m)
{
  int64_t effective[NODES], timers = 0;
  for (int i = 0; i < NODES; i++) {
    int64_t above = m->up[i] < 0 ? CTX_NEVER : effective[m->up[i]];
    effective[i] = m->wish[i] < above ? m->wish[i] : above;
    timers += m->wish[i] < above;
    CHECK_INT(ctx_deadline(m->c[i]), effective[i]);
  }
  CHECK_INT(counters(&m->w).timers, timers);
}

static void model_run(uint64_t seed)
{
  struct model m = {.seed = seed};
  model_grow(&m, manual(&m.w));
  for (int i = 0; i < MOVES; i++) {
    int n = (int)below(&m.seed, NODES);
    int64_t to = some_deadline(&m);
    CHECK_INT(ctx_extend(m.c[n], to), m.timed[n] ? 0 : EINVAL);
    if (m.timed[n]) m.wish[n] = to;
    if (i % 8 == 0) model_compare(&m);
  }
  model_compare(&m);
  for (int i = 0; i < NODES; i++) ctx_release(m.c[i]);
  world_close(&m.w);
}

TEST(as_a_model_says)
{
  for (uint64_t seed = 1; seed <= TREES; seed++) model_run(seed);
}

/* ---- races ------------------------------------------------------------------- */

struct race {
  ctx_engine *engine;
  ctx_context *a, *b;
  int64_t moved_ns; /* by the last extend that has succeeded */
  int err;          /* of the last */
  bool canceled;
  pthread_barrier_t barrier;
};

static int64_t ahead_ns = 100000;

static void *race_extend(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  int64_t to_ns = ctx_engine_now(r->engine) + ahead_ns;
  r->err = ctx_extend(r->a, to_ns);
  if (r->err == 0) r->moved_ns = to_ns;
  return NULL;
}

static void *race_ask(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  while (!ctx_done(r->b)) continue;
  return NULL;
}

static void *race_cancel(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  r->canceled = ctx_cancel(r->a);
  return NULL;
}

/* A birth below 'a': the child has the deadline that 'a' has. */
static void *race_bear(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  r->b = ctx_with_cancel(r->a);
  return NULL;
}

static void race_run(struct race *r, void *(*with)(void *))
{
  pthread_barrier_init(&r->barrier, NULL, 2);
  pthread_t t = start_sized(with, r, STACK);
  race_extend(r);
  join(t);
  pthread_barrier_destroy(&r->barrier);
}

TEST(asked_meanwhile)
{
  struct world w;
  ctx_context *bg = threaded(&w);
  int raced = 0;
  for (int i = 0; i < ROUNDS; i++) {
    struct race r = {.engine = w.engine};
    r.moved_ns = ctx_engine_now(w.engine) + ahead_ns;
    r.a = ctx_with_deadline(bg, r.moved_ns);
    r.b = ctx_with_cancel(r.a);
    bool late = ctx_done(r.a); /* born too late to be moved */
    race_run(&r, race_ask);
    ctx_origin o;
    CHECK(r.err == 0 || r.err == ECANCELED);
    CHECK(ctx_origin_of(r.b, &o));
    CHECK(late || o.at_ns == r.moved_ns);
    CHECK_INT(ctx_deadline(r.b), r.moved_ns);
    CHECK(ctx_engine_now(w.engine) >= r.moved_ns);
    raced += r.err == 0;
    if (raced == 0 && i % 100 == 99) ahead_ns *= 2; /* no thread starts as fast as that here */
    ctx_release(r.b);
    ctx_release(r.a);
  }
  CHECK(raced > 0);
  close_threaded(&w);
}

TEST(canceled_meanwhile)
{
  struct world w;
  ctx_context *bg = host(&w);
  for (int i = 0; i < ROUNDS; i++) {
    struct race r = {.engine = w.engine, .moved_ns = 5};
    r.a = ctx_with_deadline(bg, 5);
    r.b = ctx_with_cancel(r.a);
    race_run(&r, race_cancel);
    CHECK(r.canceled && (r.err == 0 || r.err == ECANCELED));
    CHECK_INT(ctx_deadline(r.a), r.err == 0 ? r.moved_ns : 5);
    CHECK_INT(ctx_deadline(r.b), ctx_deadline(r.a));
    CHECK_INT(counters(&w).timers, 0);
    ctx_release(r.b);
    ctx_release(r.a);
  }
  world_close(&w);
}

TEST(born_meanwhile)
{
  struct world w;
  ctx_context *bg = host(&w);
  for (int i = 0; i < ROUNDS; i++) {
    struct race r = {.engine = w.engine};
    r.a = ctx_with_deadline(bg, 5);
    race_run(&r, race_bear);
    CHECK_INT(r.err, 0);
    CHECK_INT(ctx_deadline(r.b), r.moved_ns);
    ctx_release(r.b);
    ctx_release(r.a);
  }
  world_close(&w);
}

/* Children are canceled and let go while the deadline of their parent is moved. */
enum { FAN = 200 };

struct fan {
  ctx_context *child[FAN];
};

static void *cancel_fan(void *arg)
{
  struct fan *f = arg;
  for (int i = 0; i < FAN; i++) {
    if (i % 2 == 0) ctx_cancel(f->child[i]);
    ctx_release(f->child[i]);
  }
  return NULL;
}

TEST(let_go_meanwhile)
{
  struct world w;
  ctx_context *bg = threaded(&w);
  for (int i = 0; i < ROUNDS / 20; i++) {
    struct fan f;
    ctx_context *a = ctx_with_timeout(bg, CTX_SECONDS(3600));
    for (int k = 0; k < FAN; k++)
      f.child[k] = k % 3 == 0 ? ctx_with_timeout(a, CTX_SECONDS(k)) : ctx_with_cancel(a);
    pthread_t t = start_sized(cancel_fan, &f, STACK);
    for (int k = 1; k < 40; k++)
      CHECK_INT(ctx_extend(a, ctx_engine_now(w.engine) + CTX_SECONDS(1000 * k)), 0);
    join(t);
    ctx_release(a);
  }
  close_threaded(&w);
}

static const struct test tests[] = {
  T(all_below_follow, "D13 all below follow, at once"),
  T(never_and_back, "B9 D13 a deadline may be taken away and come back"),
  T(others_refuse, "D13 other contexts have no deadline to move; a done one has none any more"),
  T(covered_wish_counts_later, "D5 D13 a wish that was covered counts when it is uncovered"),
  T(equal_is_the_parents, "D5 D13 a wish moved to the parent's deadline is the parent's"),
  T(past_ends_at_once,
    "D13 moved to the past it ends at once, and its hooks are left to the driver"),
  T(passed_cannot_be_moved, "B8 D13 what has passed cannot be moved"),
  T(moving_arms_anew, "D10 D13 moving a deadline arms it anew"),
  T(closed_engine_too, "D13 a deadline moves in an engine that is closed"),
  T(sleepers_wake, "D13 J1 who waits below looks again"),
  T(the_thread_is_told, "D13 the thread is told"),
  T(the_thread_is_started, "D13 H1 the first deadline starts the thread"),
  T(descriptors_are_armed_anew, "D13 J3 descriptors below are armed anew"),
  T(chain_of_a_million, "D13 C10 a chain of a million follows, on a small stack, with no memory"),
  T(fan_of_a_million, "D13 C10 and so does a fan"),
  T(past_many_that_are_done, "D13 and past many that are done, while others are let in"),
  T(as_a_model_says, "D5 D13 trees made by chance have the deadlines and timers of a model"),
  T(asked_meanwhile, "D2 D13 a question and a move may meet: it never ends before its deadline"),
  T(canceled_meanwhile, "D8 D13 a cancel and a move may meet: no timer is left"),
  T(born_meanwhile, "C6 D13 who is born meanwhile has the deadline of its parent"),
  T(let_go_meanwhile, "D13 children may end and go while their deadline is moved"),
};

int main(int argc, char **argv)
{
  return check_run("extend", tests, sizeof tests / sizeof *tests, argc, argv);
}
