/*
 * await - to stop a hook, or to disarm a timer, and wait until its function has returned
 *
 * The functions run on the thread of an engine, or on one that cancels. What they use is
 * freed as soon as the wait is over: the sanitizers see who was too early.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef SLOW
enum { ROUNDS = 3000 };
#else
enum { ROUNDS = 100000 };
#endif

enum { CREW = 8 };

/* ---- a function at a gate ------------------------------------------------- */

struct gated {
  ctx_hook hook;
  ctx_timer timer;
  bool reached, open, finished; /* atomic */
};

static void pass(struct gated *g)
{
  WRITE(g->reached, true);
  while (!READ(g->open)) sched_yield();
  WRITE(g->finished, true);
}

static void gated_hook(ctx_context *c, void *arg)
{
  (void)c;
  pass(arg);
}

static void gated_timer(ctx_timer *t, void *arg)
{
  (void)t;
  pass(arg);
}

static struct gated *gated_new(ctx_engine *e)
{
  struct gated *g = need(calloc(1, sizeof *g));
  ctx_hook_init(&g->hook, gated_hook, g, 0);
  ctx_timer_init(&g->timer, e, gated_timer, g);
  return g;
}

/* Attaches the hook of 'g' to a context that is done, and waits till it stands at the gate. */
static void run_hook(ctx_context *bg, struct gated *g)
{
  ctx_context *c = need(ctx_with_cancel(bg));
  CHECK_INT(ctx_hook_attach(&g->hook, c), 0);
  ctx_cancel(c);
  ctx_release(c);
  EVENTUALLY(READ(g->reached));
}

static void run_timer(ctx_context *bg, struct gated *g)
{
  (void)bg;
  CHECK_INT(ctx_timer_arm(&g->timer, 0), 0);
  EVENTUALLY(READ(g->reached));
}

static void quiet_close(struct world *w)
{
  EVENTUALLY(counters(w).contexts == 0 && counters(w).hooks == 0);
  world_close(w);
}

/* ---- it waits --------------------------------------------------------------- */

struct stopper {
  struct gated *g;
  bool timer;
  bool began, back; /* atomic */
  pthread_t thread;
};

static bool stop_wait(struct gated *g, bool timer)
{
  return timer ? ctx_timer_disarm_wait(&g->timer) : ctx_hook_stop_wait(&g->hook);
}

static void *stop_thread(void *arg)
{
  struct stopper *s = arg;
  WRITE(s->began, true);
  CHECK(!stop_wait(s->g, s->timer));
  CHECK(READ(s->g->finished));
  WRITE(s->back, true);
  return NULL;
}

/* Eight wait for one function; a look at it that does not wait answers at once. */
static void waits(bool timer)
{
  struct world w;
  struct stopper s[CREW];
  ctx_context *bg = threaded(&w);
  struct gated *g = gated_new(w.engine);
  (timer ? run_timer : run_hook)(bg, g);
  for (int i = 0; i < CREW; i++) {
    s[i] = (struct stopper){.g = g, .timer = timer};
    s[i].thread = start(stop_thread, &s[i]);
  }
  for (int i = 0; i < CREW; i++) EVENTUALLY(READ(s[i].began));
  CHECK(!ctx_hook_stop(&g->hook));
  CHECK(!ctx_timer_disarm(&g->timer));
  for (int i = 0; i < CREW; i++) CHECK(!READ(s[i].back));
  WRITE(g->open, true);
  for (int i = 0; i < CREW; i++) join(s[i].thread);
  free(g);
  quiet_close(&w);
}

TEST(waits_for_a_hook)
{
  waits(false);
}

TEST(waits_for_a_timer)
{
  waits(true);
}

struct canceler {
  ctx_context *c;
  pthread_t thread;
};

static void *cancel_thread(void *arg)
{
  const struct canceler *k = arg;
  CHECK(ctx_cancel(k->c));
  return NULL;
}

/* The hook runs on the thread that cancels, in an engine without one. */
TEST(waits_for_an_inline_hook)
{
  struct world w;
  struct canceler k = {.c = ctx_with_cancel(manual(&w))};
  struct gated *g = gated_new(w.engine);
  struct stopper s = {.g = g};
  ctx_hook_init(&g->hook, gated_hook, g, CTX_HOOK_INLINE);
  CHECK_INT(ctx_hook_attach(&g->hook, k.c), 0);
  k.thread = start(cancel_thread, &k);
  EVENTUALLY(READ(g->reached));
  s.thread = start(stop_thread, &s);
  EVENTUALLY(READ(s.began));
  CHECK(!READ(s.back));
  WRITE(g->open, true);
  join(s.thread);
  free(g);
  join(k.thread);
  ctx_release(k.c);
  world_close(&w);
}

/* ---- it need not wait ---------------------------------------------------------- */

TEST(answers_as_stop)
{
  struct world w;
  ctx_context *bg = manual(&w), *c = ctx_with_cancel(bg);
  struct gated *g = gated_new(w.engine);
  g->open = true;
  CHECK(!ctx_hook_stop_wait(&g->hook));
  CHECK(!ctx_timer_disarm_wait(&g->timer));

  CHECK_INT(ctx_hook_attach(&g->hook, c), 0);
  CHECK_INT(ctx_timer_arm(&g->timer, START + 5), 0);
  CHECK(ctx_hook_stop_wait(&g->hook));
  CHECK(!ctx_hook_stop_wait(&g->hook));
  CHECK(ctx_timer_disarm_wait(&g->timer));
  CHECK(!ctx_timer_disarm_wait(&g->timer));

  CHECK_INT(ctx_hook_attach(&g->hook, c), 0);
  CHECK_INT(ctx_timer_arm(&g->timer, START + 5), 0);
  ctx_cancel(c);
  CHECK_INT(ctx_engine_advance(w.engine, 5), 0);
  CHECK(g->finished);
  CHECK(!ctx_hook_stop_wait(&g->hook));
  CHECK(!ctx_timer_disarm_wait(&g->timer));

  CHECK_INT(ctx_hook_attach(&g->hook, bg), 0);
  CHECK(ctx_hook_stop_wait(&g->hook));
  free(g);
  ctx_release(c);
  world_close(&w);
}

TEST(hook_of_the_heap)
{
  struct world w;
  struct gated g = {.open = false};
  ctx_context *c = ctx_with_cancel(threaded(&w));
  ctx_hook *h = need(ctx_after_func(c, gated_hook, &g, 0));
  ctx_cancel(c);
  ctx_release(c);
  EVENTUALLY(READ(g.reached));
  WRITE(g.open, true);
  CHECK(!ctx_hook_stop_wait(h));
  CHECK(READ(g.finished));
  ctx_hook_release(h);
  quiet_close(&w);
}

/* ---- inside hooks and timers ------------------------------------------------------ */

struct nosy {
  struct gated *own, *other; /* both run */
  bool over;                 /* atomic */
};

static void stop_both(struct nosy *n)
{
  CHECK(!ctx_hook_stop_wait(&n->own->hook));
  CHECK(!ctx_timer_disarm_wait(&n->own->timer));
  CHECK(!ctx_hook_stop_wait(&n->other->hook));
  CHECK(!READ(n->other->finished));
  WRITE(n->over, true);
}

static void stop_both_hook(ctx_context *c, void *arg)
{
  (void)c;
  stop_both(arg);
}

static void stop_both_timer(ctx_timer *t, void *arg)
{
  (void)t;
  stop_both(arg);
}

/* Asks for itself, and for a hook that stands at a gate in another engine. */
static void asks_inside(bool timer)
{
  struct world w, v;
  ctx_context *here = threaded(&w), *there = threaded(&v);
  struct nosy n = {.own = gated_new(w.engine), .other = gated_new(v.engine)};
  ctx_hook_init(&n.own->hook, stop_both_hook, &n, 0);
  ctx_timer_init(&n.own->timer, w.engine, stop_both_timer, &n);
  run_hook(there, n.other);
  ctx_context *c = need(ctx_with_cancel(here));
  if (timer)
    CHECK_INT(ctx_timer_arm(&n.own->timer, 0), 0);
  else
    CHECK_INT(ctx_hook_attach(&n.own->hook, c), 0);
  ctx_cancel(c);
  ctx_release(c);
  EVENTUALLY(READ(n.over));
  WRITE(n.other->open, true);
  stop_wait(n.own, timer);
  stop_wait(n.other, false);
  free(n.own);
  free(n.other);
  quiet_close(&w);
  quiet_close(&v);
}

TEST(asks_inside_a_hook)
{
  asks_inside(false);
}

TEST(asks_inside_a_timer)
{
  asks_inside(true);
}

/* Each stops the other, when both run. */
struct rival {
  ctx_hook hook;
  struct rival *other;
  bool runs, over; /* atomic */
};

static void rival_hook(ctx_context *c, void *arg)
{
  struct rival *r = arg;
  (void)c;
  WRITE(r->runs, true);
  while (!READ(r->other->runs)) sched_yield();
  CHECK(!ctx_hook_stop_wait(&r->other->hook));
  WRITE(r->over, true);
}

TEST(two_stop_each_other)
{
  struct world w[2];
  struct rival r[2];
  for (int i = 0; i < 2; i++) {
    r[i] = (struct rival){.other = &r[1 - i]};
    ctx_hook_init(&r[i].hook, rival_hook, &r[i], 0);
  }
  for (int i = 0; i < 2; i++) {
    ctx_context *c = ctx_with_cancel(threaded(&w[i]));
    CHECK_INT(ctx_hook_attach(&r[i].hook, c), 0);
    ctx_cancel(c);
    ctx_release(c);
  }
  EVENTUALLY(READ(r[0].over) && READ(r[1].over));
  for (int i = 0; i < 2; i++) quiet_close(&w[i]);
}

/* ---- functions that come again ------------------------------------------------------ */

struct again {
  ctx_hook hook;
  ctx_timer timer;
  ctx_engine *engine;
  int ran; /* atomic */
};

static void attach_again(ctx_context *c, void *arg)
{
  struct again *a = arg;
  __atomic_fetch_add(&a->ran, 1, __ATOMIC_RELAXED);
  CHECK_INT(ctx_hook_attach(&a->hook, c), 0);
  __atomic_fetch_add(&a->ran, 1, __ATOMIC_RELAXED);
}

static void arm_again(ctx_timer *t, void *arg)
{
  struct again *a = arg;
  __atomic_fetch_add(&a->ran, 1, __ATOMIC_RELAXED);
  CHECK_INT(ctx_timer_arm(t, 0), 0);
  __atomic_fetch_add(&a->ran, 1, __ATOMIC_RELAXED);
}

/* Comes again and again, until it is stopped, and then never. */
static void stops_what_comes_again(bool timer)
{
  struct world w;
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg);
  ctx_cancel(c);
  for (int i = 0; i < ROUNDS / 100; i++) {
    struct again *a = need(calloc(1, sizeof *a));
    ctx_hook_init(&a->hook, attach_again, a, 0);
    ctx_timer_init(&a->timer, w.engine, arm_again, a);
    CHECK_INT(timer ? ctx_timer_arm(&a->timer, 0) : ctx_hook_attach(&a->hook, c), 0);
    EVENTUALLY(READ(a->ran) > i % 8);
    CHECK(timer ? ctx_timer_disarm_wait(&a->timer) : ctx_hook_stop_wait(&a->hook));
    CHECK_INT(counters(&w).hooks, 0);
    CHECK_INT(counters(&w).timers, 0);
    free(a);
  }
  ctx_release(c);
  quiet_close(&w);
}

TEST(hook_that_comes_again)
{
  stops_what_comes_again(false);
}

TEST(timer_that_comes_again)
{
  stops_what_comes_again(true);
}

/* ---- races ---------------------------------------------------------------------------- */

struct mortal {
  ctx_hook hook;
  ctx_timer timer;
  int64_t *ran;
  int work;
};

static void live(struct mortal *m)
{
  count(m->ran, 1);
  m->work++;
}

static void mortal_hook(ctx_context *c, void *arg)
{
  (void)c;
  live(arg);
}

static void mortal_timer(ctx_timer *t, void *arg)
{
  (void)t;
  live(arg);
}

/* Lets the thread of the engine come nearer, a little more each time. */
static void dally(int round)
{
  for (volatile int spin = 0; spin < round % 256 * 8; spin++) continue;
  if (round % 512 == 0) sched_yield();
}

/* Each runs or is stopped, and is freed at once. */
TEST(stop_wait_against_the_thread)
{
  struct world w;
  int64_t ran = 0, stopped = 0;
  ctx_context *bg = threaded(&w);
  for (int i = 0; i < ROUNDS; i++) {
    struct mortal *m = need(malloc(sizeof *m));
    ctx_context *c = need(ctx_with_cancel(bg));
    *m = (struct mortal){.ran = &ran};
    ctx_hook_init(&m->hook, mortal_hook, m, 0);
    CHECK_INT(ctx_hook_attach(&m->hook, c), 0);
    ctx_cancel(c);
    dally(i);
    bool prevented = ctx_hook_stop_wait(&m->hook);
    CHECK_INT(m->work, !prevented);
    stopped += prevented;
    free(m);
    ctx_release(c);
  }
  quiet_close(&w);
  CHECK_INT(ran + stopped, ROUNDS);
}

TEST(disarm_wait_against_the_thread)
{
  struct world w;
  int64_t ran = 0, stopped = 0;
  threaded(&w);
  for (int i = 0; i < ROUNDS; i++) {
    struct mortal *m = need(malloc(sizeof *m));
    *m = (struct mortal){.ran = &ran};
    ctx_timer_init(&m->timer, w.engine, mortal_timer, m);
    CHECK_INT(ctx_timer_arm(&m->timer, ctx_engine_now(w.engine) + i % 3 * 5000), 0);
    dally(i);
    bool prevented = ctx_timer_disarm_wait(&m->timer);
    CHECK_INT(m->work, !prevented);
    stopped += prevented;
    free(m);
  }
  quiet_close(&w);
  CHECK_INT(ran + stopped, ROUNDS);
}

struct duel {
  ctx_context *c;
  pthread_barrier_t barrier;
};

static void *duel_thread(void *arg)
{
  struct duel *d = arg;
  for (int i = 0; i < ROUNDS / 20; i++) {
    pthread_barrier_wait(&d->barrier);
    ctx_cancel(d->c);
    pthread_barrier_wait(&d->barrier);
  }
  return NULL;
}

TEST(stop_wait_against_cancel)
{
  struct world w;
  struct duel d = {.c = NULL};
  int64_t ran = 0, stopped = 0;
  ctx_context *bg = manual(&w);
  pthread_barrier_init(&d.barrier, NULL, 2);
  pthread_t thread = start(duel_thread, &d);
  for (int i = 0; i < ROUNDS / 20; i++) {
    struct mortal *m = need(malloc(sizeof *m));
    *m = (struct mortal){.ran = &ran};
    d.c = need(ctx_with_cancel(bg));
    ctx_hook_init(&m->hook, mortal_hook, m, CTX_HOOK_INLINE);
    CHECK_INT(ctx_hook_attach(&m->hook, d.c), 0);
    pthread_barrier_wait(&d.barrier);
    dally(i);
    bool prevented = ctx_hook_stop_wait(&m->hook);
    CHECK_INT(m->work, !prevented);
    stopped += prevented;
    free(m);
    pthread_barrier_wait(&d.barrier);
    ctx_release(d.c);
  }
  join(thread);
  pthread_barrier_destroy(&d.barrier);
  world_close(&w);
  CHECK_INT(ran + stopped, ROUNDS / 20);
}

static const struct test tests[] = {
  T(waits_for_a_hook, "H6 stop_wait returns when the function has, for all who wait"),
  T(waits_for_a_timer, "H6 so does disarm_wait"),
  T(waits_for_an_inline_hook, "H6 it waits for a function on a thread that cancels"),
  T(answers_as_stop, "H6 where nothing runs it answers as stop"),
  T(hook_of_the_heap, "H6 it waits for a hook of after_func"),
  T(asks_inside_a_hook, "H6 inside a hook it does not wait, for other engines neither"),
  T(asks_inside_a_timer, "H6 inside a timer it does not wait either"),
  T(two_stop_each_other, "H6 two hooks that stop each other both go on"),
  T(hook_that_comes_again, "H6 a hook that attaches itself again is stopped for good"),
  T(timer_that_comes_again, "H6 a timer that arms itself again is disarmed for good"),
  T(stop_wait_against_the_thread, "H6 the memory of a hook may go, a hundred thousand times"),
  T(disarm_wait_against_the_thread, "H6 the memory of a timer may go, a hundred thousand times"),
  T(stop_wait_against_cancel, "H6 the memory of an inline hook may go beside a cancel"),
};

int main(int argc, char **argv)
{
  return check_run("await", tests, sizeof tests / sizeof *tests, argc, argv);
}
