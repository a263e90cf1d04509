/*
 * stress - eight threads at one tree
 *
 * What a thread cannot know of contexts that it shares, it states of its own: C1 of those
 * that it has hung below another, H2 of its ring of hooks, which others stop as well.
 *
 * Lasts STRESS_CALLS calls of ctx.h on each engine; STRESS_SEED repeats the choices of a
 * run, though not its schedule.
 */
#include "storm.h"

#include <poll.h>

#ifdef SANITIZED_THREADS
enum { CALLS = 51000000 };
#else
enum { CALLS = 5000000 };
#endif
enum { STORM_S = 600, SLOWEST = 50000 }; /* what lasts longer, or does less a second, hangs */

/* B1, B8, D2, from any thread, of any context. */
static void look_at(ctx_context *c)
{
  ctx_engine *e = ctx_engine_of(c);
  int64_t before_ns = ctx_engine_now(e), deadline_ns = ctx_deadline(c);
  ctx_cause *cause = ctx_cause_of(c);
  int err = ctx_err(c);
  CHECK(err != 0 || cause == NULL);
  CHECK(err != 0 || deadline_ns > before_ns);
  if (err == 0) return;
  CHECK(ctx_done(c));
  CHECK_INT(ctx_err(c), err);
  CHECK(err != CTX_DEADLINE_EXCEEDED || ctx_engine_now(e) >= deadline_ns);
  cause = ctx_cause_of(c);
  if (!CHECK(cause != NULL)) return;
  const int *thing = ctx_cause_data(cause);
  CHECK_STR(ctx_cause_text(cause, NULL), thing != NULL ? "why" : ctx_strerror(err));
  if (thing == NULL) return;
  CHECK_INT(ctx_cause_code(cause), err);
  CHECK_INT(*thing, STAMP);
}

/* C1 and C2: whoever was first, what hangs below is done. */
static void cancel_tree(struct worker *w)
{
  ctx_context *chain[CHAIN];
  bool shared = below(&w->seed, 8) == 0;
  chain[0] = shared ? borrow_any(w) : NULL;
  if (!shared) {
    ctx_context *parent = borrow_any(w);
    chain[0] = need(ctx_with_cancel(parent));
    ctx_release(parent);
  }
  for (int i = 1; i < CHAIN; i++) chain[i] = child_of(w, chain[below(&w->seed, i)]);
  cancel_somehow(w, chain[0]);
  for (int i = 0; i < CHAIN; i++) CHECK(ctx_done(chain[i]));
  int first = (int)below(&w->seed, CHAIN);
  for (int i = 0; i < CHAIN; i++) {
    look_at(chain[(i + first) % CHAIN]);
    ctx_release(chain[(i + first) % CHAIN]);
  }
}

/* What is released alive leaves nothing behind: the counters tell, at the end. */
static void drop_alive(struct worker *w)
{
  ctx_context *c = borrow_any(w);
  for (int i = 0; i < CHAIN; i++) {
    ctx_context *child = below(&w->seed, 8) == 0 ? need(ctx_without_cancel(c)) : child_of(w, c);
    ctx_release(c);
    c = child;
  }
  const int *thing = ctx_value(c, &key);
  CHECK(thing == NULL || *thing == STAMP);
  ctx_release(c);
}

static void look(struct worker *w)
{
  ctx_context *c = borrow_any(w), *child = child_of(w, c);
  look_at(c);
  look_at(child);
  ctx_release(c);
  ctx_release(child);
}

/* The hot path: contexts that others cancel are asked what they can be asked. */
static void look_at_all(struct worker *w)
{
  for (int i = 0; i < PLACES; i++) {
    ctx_context *c = borrow_any(w);
    look_at(c);
    const int *thing = ctx_value(c, &key);
    CHECK(thing == NULL || *thing == STAMP);
    look_at(c);
    ctx_release(c);
  }
}

/* ---- waiting ------------------------------------------------------------- */

static void wait_for(struct worker *w)
{
  bool for_ever = below(&w->seed, 4) == 0;
  int64_t timeout_ns = for_ever ? CTX_NEVER : below(&w->seed, 300000);
  ctx_context *c = borrow_any(w);
  int64_t before_ns = ctx_engine_now(w->storm->engine);
  int err = ctx_wait(c, timeout_ns);
  if (err == 0)
    CHECK(ctx_engine_now(w->storm->engine) - before_ns >= timeout_ns);
  else
    CHECK_INT(err, ctx_err(c));
  ctx_release(c);
}

static void wait_for_signaled(struct worker *w)
{
  ctx_context *parent = borrow_any(w), *c = need(ctx_with_cancel(parent));
  if (ctx_cancel_from_signal(c)) CHECK(ctx_wait(c, CTX_NEVER) != 0);
  ctx_release(c);
  ctx_release(parent);
}

static void poll_one(struct worker *w)
{
  ctx_context *parent = borrow_any(w), *c = child_of(w, parent);
  struct pollfd fd = {.fd = ctx_fd(c), .events = POLLIN};
  CHECK(fd.fd >= 0);
  if (below(&w->seed, 2) == 0) ctx_cancel(c);
  bool done = ctx_done(c);
  int ready = poll(&fd, 1, done ? PATIENCE_S * 1000 : 0); /* the kernel is told after c is done */
  CHECK(ready == 1 || !done);
  CHECK(ready == 0 || ctx_done(c));
  ctx_release(c);
  ctx_release(parent);
}

/* ---- hooks --------------------------------------------------------------- */

/* H9, and what a hook may do; it runs on any thread. */
static void run_hook(ctx_context *c, void *arg)
{
  struct hooked *h = arg;
  ctx_context *child = need(ctx_with_cancel(c));
  CHECK(ctx_done(c));
  CHECK(ctx_done(child));
  ctx_release(child);
  count(&h->ran, 1);
}

static void stop(struct hooked *h, bool (*how)(ctx_hook *))
{
  if (how(h->heap != NULL ? h->heap : &h->own)) count(&h->stopped, 1);
}

/* H2, H6: after this stop the hook does not run, and has run or been stopped as often as
 * it was attached. */
static void settle(struct hooked *h)
{
  if (h->attached == 0) return;
  stop(h, ctx_hook_stop_wait);
  CHECK_INT(__atomic_load_n(&h->ran, __ATOMIC_RELAXED) +
              __atomic_load_n(&h->stopped, __ATOMIC_RELAXED),
            h->attached);
  if (h->heap != NULL) ctx_hook_release(h->heap);
  h->heap = NULL;
}

static void hook(struct worker *w)
{
  struct hooked *h = &w->hooks[below(&w->seed, RING)];
  unsigned flags = below(&w->seed, 2) == 0 ? CTX_HOOK_INLINE : 0;
  bool heap = below(&w->seed, 3) == 0;
  ctx_context *parent = borrow_any(w), *c = child_of(w, parent);
  pthread_rwlock_wrlock(&h->lock);
  settle(h);
  if (heap) h->heap = need(ctx_after_func(c, run_hook, h, flags));
  if (!heap) ctx_hook_init(&h->own, run_hook, h, flags);
  h->attached++;
  pthread_rwlock_unlock(&h->lock);
  if (!heap) CHECK_INT(ctx_hook_attach(&h->own, c), 0);
  if (below(&w->seed, 2) == 0) ctx_cancel(c);
  ctx_release(c);
  ctx_release(parent);
}

static void stop_of_other(struct worker *w)
{
  struct worker *other = &w->storm->workers[below(&w->seed, THREADS)];
  struct hooked *h = &other->hooks[below(&w->seed, RING)];
  if (pthread_rwlock_tryrdlock(&h->lock) != 0) return;
  if (h->attached > 0) stop(h, ctx_hook_stop);
  pthread_rwlock_unlock(&h->lock);
}

/* ---- timers -------------------------------------------------------------- */

static void fire(ctx_timer *timer, void *arg)
{
  struct timed *t = arg;
  CHECK(timer == &t->timer);
  CHECK(ctx_engine_now(t->engine) >= t->deadline_ns);
  count(&t->fired, 1);
}

static void disarm(struct timed *t, bool (*how)(ctx_timer *))
{
  if (how(&t->timer)) count(&t->disarmed, 1);
}

static void settle_timer(struct timed *t)
{
  if (t->armed == 0) return;
  disarm(t, ctx_timer_disarm_wait);
  CHECK_INT(__atomic_load_n(&t->fired, __ATOMIC_RELAXED) +
              __atomic_load_n(&t->disarmed, __ATOMIC_RELAXED),
            t->armed);
}

static void timer(struct worker *w)
{
  struct timed *t = &w->timers[below(&w->seed, RING)];
  pthread_rwlock_wrlock(&t->lock);
  settle_timer(t);
  t->engine = w->storm->engine;
  t->deadline_ns = ctx_engine_now(t->engine) + below(&w->seed, 500000);
  ctx_timer_init(&t->timer, t->engine, fire, t);
  t->armed++;
  pthread_rwlock_unlock(&t->lock);
  CHECK_INT(ctx_timer_arm(&t->timer, t->deadline_ns), 0);
}

static void disarm_of_other(struct worker *w)
{
  struct worker *other = &w->storm->workers[below(&w->seed, THREADS)];
  struct timed *t = &other->timers[below(&w->seed, RING)];
  if (pthread_rwlock_tryrdlock(&t->lock) != 0) return;
  if (t->armed > 0) disarm(t, ctx_timer_disarm);
  pthread_rwlock_unlock(&t->lock);
}

/* ---- the storm ----------------------------------------------------------- */

static void (*const deeds[])(struct worker *w) = {
  replace,         cancel_tree, drop_alive, look,          wait_for,      wait_for_signaled,
  poll_one,        hook,        hook,       stop_of_other, stop_of_other, timer,
  disarm_of_other, cancel_tree, look_at_all};

static void *work(void *arg)
{
  struct worker *w = arg;
  calls = 0;
  while (!__atomic_load_n(&w->storm->over, __ATOMIC_RELAXED)) {
    deeds[below(&w->seed, sizeof deeds / sizeof *deeds)](w);
    __atomic_store_n(&w->calls, calls, __ATOMIC_RELAXED);
  }
  return NULL;
}

static struct storm *storm_open(ctx_engine *e, uint64_t seed)
{
  struct storm *s = need(calloc(1, sizeof *s));
  s->engine = e;
  s->end = need(ctx_with_cancel(ctx_engine_background(e)));
  s->top = need(ctx_with_value(s->end, &key, new_thing(), drop_thing));
  for (int i = 0; i < PLACES; i++) {
    pthread_mutex_init(&s->places[i].lock, NULL);
    s->places[i].c = need(ctx_with_cancel(s->top));
  }
  s->reaper = (struct worker){.storm = s, .seed = seed};
  for (int i = 0; i < THREADS; i++) {
    struct worker *w = &s->workers[i];
    w->storm = s;
    w->seed = seed + (uint64_t)i * 977 + 1;
    for (int j = 0; j < RING; j++) {
      pthread_rwlock_init(&w->hooks[j].lock, NULL);
      pthread_rwlock_init(&w->timers[j].lock, NULL);
    }
  }
  return s;
}

static int64_t calls_of(struct storm *s)
{
  int64_t sum = 0;
  for (int i = 0; i < THREADS; i++) sum += __atomic_load_n(&s->workers[i].calls, __ATOMIC_RELAXED);
  return sum;
}

/* No thread but this one works on 's' any more. */
static void storm_close(struct storm *s)
{
  for (int i = 0; i < THREADS; i++) {
    for (int j = 0; j < RING; j++) {
      settle(&s->workers[i].hooks[j]);
      settle_timer(&s->workers[i].timers[j]);
    }
  }
  for (int i = 0; i < PLACES; i++) ctx_release(s->places[i].c);
  ctx_release(s->top);
  ctx_release(s->end);
  becomes_empty(s->engine);
  free(s);
}

static void storm(ctx_engine *e)
{
  int wanted = setting("STRESS_CALLS", CALLS), err = 0;
  int seed = setting("STRESS_SEED", (int)(ctx_engine_now(e) % 1000000000) + 1);
  printf("# STRESS_CALLS=%d STRESS_SEED=%d\n", wanted, seed);
  struct storm *s = storm_open(e, (uint64_t)seed);
  pthread_t workers[THREADS];
  alarm((unsigned)(STORM_S + wanted / SLOWEST));
  for (int i = 0; i < THREADS; i++) workers[i] = start(work, &s->workers[i]);
  ctx_context *never = need(ctx_with_cancel(ctx_engine_background(e)));
  for (; err == 0 && calls_of(s) < wanted; err = ctx_wait(never, 100000)) replace(&s->reaper);
  CHECK_INT(err, 0);
  ctx_release(never);
  __atomic_store_n(&s->over, true, __ATOMIC_RELAXED);
  ctx_cancel(s->end); /* whoever waits for ever comes back */
  for (int i = 0; i < THREADS; i++) join(workers[i]);
  printf("# %lld calls of ctx.h\n", (long long)calls_of(s));
  storm_close(s);
  alarm(0);
  CHECK_INT(__atomic_load_n(&things_dropped, __ATOMIC_RELAXED), things);
}

TEST(on_the_default_engine)
{
  CHECK_INT(ctx_engine_start(ctx_engine_of(ctx_background())), 0);
  struct holdings before = holdings();
  storm(ctx_engine_of(ctx_background()));
  holds_as(before);
}

TEST(on_an_engine_of_its_own)
{
  struct world w = {.now_ns = 0};
  ctx_engine_options o = {.alloc = world_alloc, .free = world_free, .arg = &w};
  struct holdings before = holdings();
  w.engine = need(ctx_engine_open(&o));
  storm(w.engine);
  world_close(&w);
  holds_as(before);
}

static const struct test tests[] = {
  T(on_the_default_engine,
    "B1 C1 C2 D2 H2 H6 hold for eight threads at one tree, and nothing is left of it"),
  T(on_an_engine_of_its_own,
    "B1 C1 C2 D2 H2 H6 hold on an engine that is opened, and its thread goes as it is closed"),
};

int main(int argc, char **argv)
{
  return check_run("stress", tests, sizeof tests / sizeof *tests, argc, argv);
}
