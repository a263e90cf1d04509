/*
 * hook - what runs at the end of a context, when, where, and how often
 *
 * On a manual clock, or on one that the test sets; the last part with threads.
 * Each test ends with nothing left in its engine and in its allocator.
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef SLOW
enum { ROUNDS = 500, MANY = 50000 };
#else
enum { ROUNDS = 2000, MANY = 100000 };
#endif

/* ---- a hook that counts ------------------------------------------------ */

static void tally(ctx_context *c, void *times)
{
  CHECK(ctx_done(c));
  CHECK(ctx_cause_of(c) != NULL);
  ++*(int *)times;
}

static ctx_hook *tallied(ctx_context *c, int *times, unsigned flags)
{
  return need(ctx_after_func(c, tally, times, flags));
}

static void release(ctx_context *c, ctx_hook *h)
{
  ctx_hook_release(h);
  ctx_release(c);
}

/* ---- when it runs ----------------------------------------------------- */

TEST(left_to_the_driver)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook *h = tallied(a, &ran, 0);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  ctx_cancel(a);
  CHECK_INT(ran, 0);
  CHECK_INT(counters(&w).hooks, 1);
  CHECK(ctx_engine_next(w.engine) <= w.now_ns);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK_INT(ran, 1);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  CHECK_INT(ran, 1);
  release(a, h);
  world_close(&w);
}

TEST(left_to_advance)
{
  struct world w;
  int ran = 0;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  ctx_hook *h = tallied(a, &ran, 0), *g = tallied(b, &ran, 0);
  ctx_cancel(a);
  CHECK_INT(ran, 0);
  CHECK_INT(ctx_engine_advance(w.engine, 0), 0);
  CHECK_INT(ran, 1);
  ctx_cancel(b);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK_INT(ran, 2);
  release(a, h), release(b, g);
  world_close(&w);
}

static void note_thread(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  *(pthread_t *)arg = pthread_self();
}

static void *cancel_thread(void *c)
{
  return ctx_cancel(c) ? c : NULL;
}

TEST(inline_runs_where_canceled)
{
  struct world w;
  pthread_t thread, ran_on = pthread_self();
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  ctx_hook *h = need(ctx_after_func(b, note_thread, &ran_on, CTX_HOOK_INLINE));
  if (pthread_create(&thread, NULL, cancel_thread, a) != 0) abort();
  pthread_join(thread, NULL);
  CHECK(pthread_equal(ran_on, thread));
  ctx_release(a);
  release(b, h);
  world_close(&w);
}

TEST(inline_runs_before_cancel_returns)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_timeout(a, 50);
  ctx_hook *h = tallied(b, &ran, CTX_HOOK_INLINE);
  CHECK(ctx_cancel(a));
  CHECK_INT(ran, 1);
  CHECK_INT(counters(&w).hooks, 0);
  CHECK(!ctx_cancel(a) && !ctx_cancel(b));
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  CHECK_INT(ran, 1);
  ctx_release(a);
  release(b, h);
  world_close(&w);
}

TEST(done_already)
{
  struct world w;
  int driven = 0, inlined = 0;
  ctx_context *a = ctx_with_timeout(host(&w), 0);
  ctx_hook *h = tallied(a, &driven, 0), *g = tallied(a, &inlined, CTX_HOOK_INLINE);
  CHECK_INT(inlined, 1);
  CHECK_INT(driven, 0);
  CHECK(ctx_engine_next(w.engine) <= w.now_ns);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK_INT(driven, 1);
  ctx_hook_release(g);
  release(a, h);
  world_close(&w);
}

TEST(overdue_already)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_timeout(host(&w), 50);
  w.now_ns = 50;
  ctx_hook *h = tallied(a, &ran, CTX_HOOK_INLINE), *g = tallied(a, &ran, 0);
  ctx_engine_poll(w.engine);
  CHECK_INT(ran, 2);
  ctx_hook_release(g);
  release(a, h);
  world_close(&w);
}

TEST(at_the_deadline)
{
  struct world w;
  int driven = 0, inlined = 0;
  ctx_context *a = ctx_with_timeout(manual(&w), 50);
  ctx_context *b = ctx_with_cancel(a);
  ctx_hook *h = tallied(b, &driven, 0), *g = tallied(b, &inlined, CTX_HOOK_INLINE);
  ctx_engine_advance(w.engine, 49);
  CHECK_INT(driven + inlined, 0);
  ctx_engine_advance(w.engine, 1);
  CHECK(driven == 1 && inlined == 1);
  ctx_release(a);
  ctx_hook_release(g);
  release(b, h);
  world_close(&w);
}

TEST(question_runs_no_hook)
{
  struct world w;
  int driven = 0, inlined = 0;
  ctx_context *a = ctx_with_timeout(host(&w), 50), *b = ctx_with_cancel(a);
  ctx_hook *h = tallied(b, &driven, 0), *g = tallied(b, &inlined, CTX_HOOK_INLINE);
  w.now_ns = 60;
  CHECK(ctx_done(b) && ctx_err(a) == CTX_DEADLINE_EXCEEDED && ctx_cause_of(b) != NULL);
  CHECK_INT(driven + inlined, 0);
  CHECK_INT(counters(&w).hooks, 2);
  CHECK(ctx_engine_next(w.engine) <= 60);
  CHECK_INT(ctx_engine_poll(w.engine), 2);
  CHECK(driven == 1 && inlined == 1);
  ctx_release(a);
  ctx_hook_release(g);
  release(b, h);
  world_close(&w);
}

TEST(never_ending)
{
  struct world w;
  int ran = 0;
  ctx_context *bg = manual(&w);
  ctx_context *v = ctx_with_value(bg, &w, &w, NULL), *a = ctx_with_cancel(bg);
  ctx_context *d = ctx_without_cancel(a), *all[] = {bg, v, d};
  ctx_cancel(a);
  for (size_t i = 0; i < 3; i++) {
    ctx_hook *h = tallied(all[i], &ran, i % 2 ? CTX_HOOK_INLINE : 0);
    ctx_engine_advance(w.engine, CTX_SECONDS(1));
    CHECK_INT(counters(&w).hooks, 1);
    CHECK(ctx_hook_stop(h));
    CHECK(!ctx_hook_stop(h));
    ctx_hook_release(h);
  }
  CHECK_INT(ran, 0);
  ctx_release(v), ctx_release(a), ctx_release(d);
  world_close(&w);
}

/* ---- in which order, with what ---------------------------------------- */

struct entry {
  struct journal *journal;
  int i;
};

struct journal {
  struct entry entry[16];
  int ran[16];
  size_t n;
};

static void enter(ctx_context *c, void *arg)
{
  const struct entry *e = arg;
  CHECK(ctx_done(c));
  e->journal->ran[e->journal->n++ % 16] = e->i;
}

static ctx_hook *entered(ctx_context *c, struct journal *j, int i, unsigned flags)
{
  j->entry[i] = (struct entry){j, i};
  return need(ctx_after_func(c, enter, &j->entry[i], flags));
}

static void ran_are(struct journal *j, const int *expected, size_t n)
{
  CHECK_INT(j->n, n);
  for (size_t i = 0; i < n && i < j->n; i++) CHECK_INT(j->ran[i], expected[i]);
  j->n = 0;
}

#define RAN_ARE(j, ...) \
  ran_are((j), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void release_hooks(ctx_hook **h, size_t n)
{
  for (size_t i = 0; i < n; i++) ctx_hook_release(h[i]);
}

TEST(order_of_registration)
{
  struct world w;
  struct journal j = {.n = 0};
  ctx_hook *h[8];
  ctx_context *a = ctx_with_cancel(host(&w)), *v = ctx_with_value(a, &w, &w, NULL);
  for (int i = 0; i < 8; i++) h[i] = entered(i % 3 ? a : v, &j, i, i % 2 ? CTX_HOOK_INLINE : 0);
  ctx_cancel(a);
  RAN_ARE(&j, 1, 3, 5, 7);
  ctx_engine_poll(w.engine);
  RAN_ARE(&j, 0, 2, 4, 6);
  release_hooks(h, 8);
  ctx_release(a), ctx_release(v);
  world_close(&w);
}

TEST(order_of_ends)
{
  struct world w;
  struct journal j = {.n = 0};
  ctx_context *bg = host(&w), *c[4];
  ctx_hook *h[4];
  for (int i = 0; i < 4; i++) {
    c[i] = ctx_with_cancel(bg);
    h[i] = entered(c[i], &j, i, 0);
  }
  ctx_cancel(c[2]), ctx_cancel(c[0]), ctx_cancel(c[3]), ctx_cancel(c[1]);
  ctx_engine_poll(w.engine);
  RAN_ARE(&j, 2, 0, 3, 1);
  for (int i = 0; i < 4; i++) release(c[i], h[i]);
  world_close(&w);
}

static void note_context(ctx_context *c, void *arg)
{
  *(ctx_context **)arg = c;
}

TEST(given_context)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(host(&w)), *v = ctx_with_value(a, &w, &w, NULL);
  ctx_context *u = ctx_with_value(v, &w, NULL, NULL), *got[3] = {NULL, NULL, NULL};
  ctx_hook *h[] = {ctx_after_func(a, note_context, &got[0], CTX_HOOK_INLINE),
                   ctx_after_func(v, note_context, &got[1], CTX_HOOK_INLINE),
                   ctx_after_func(u, note_context, &got[2], 0)};
  ctx_cancel(a);
  ctx_engine_poll(w.engine);
  CHECK(got[0] == a && got[1] == v && got[2] == u);
  release_hooks(h, 3);
  ctx_release(a), ctx_release(v), ctx_release(u);
  world_close(&w);
}

/* ---- stopping --------------------------------------------------------- */

static void check_stopped_before(unsigned flags)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook *h = tallied(a, &ran, flags);
  CHECK(ctx_hook_stop(h));
  CHECK_INT(counters(&w).hooks, 0);
  CHECK(!ctx_hook_stop(h));
  ctx_cancel(a);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  CHECK_INT(ran, 0);
  release(a, h);
  world_close(&w);
}

TEST(stopped_before)
{
  check_stopped_before(0);
  check_stopped_before(CTX_HOOK_INLINE);
}

TEST(stopped_while_waiting)
{
  struct world w;
  int ran = 0, others = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook *first = tallied(a, &others, 0), *h = tallied(a, &ran, 0),
           *last = tallied(a, &others, 0);
  ctx_cancel(a);
  CHECK(ctx_hook_stop(h));
  CHECK(!ctx_hook_stop(h));
  CHECK_INT(ctx_engine_poll(w.engine), 2);
  CHECK(ran == 0 && others == 2);
  ctx_hook_release(first), ctx_hook_release(last);
  release(a, h);
  world_close(&w);
}

TEST(stopped_after)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook *h = tallied(a, &ran, 0), *g = tallied(a, &ran, CTX_HOOK_INLINE);
  ctx_cancel(a);
  ctx_engine_poll(w.engine);
  CHECK_INT(ran, 2);
  CHECK(!ctx_hook_stop(h));
  CHECK(!ctx_hook_stop(g));
  ctx_hook_release(g);
  release(a, h);
  world_close(&w);
}

/* A hook that stops others, itself perhaps, and counts the stops that answer true. */
struct stopper {
  ctx_hook *others[3];
  size_t n;
  int stopped;
};

static void stop_others(ctx_context *c, void *arg)
{
  struct stopper *s = arg;
  CHECK(ctx_done(c));
  for (size_t i = 0; i < s->n; i++) s->stopped += ctx_hook_stop(s->others[i]);
}

static void check_stops_batch_mate(unsigned flags)
{
  struct world w;
  int ran = 0;
  struct stopper s = {.n = 3};
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  ctx_hook *before = tallied(a, &ran, flags), *self = ctx_after_func(a, stop_others, &s, flags);
  ctx_hook *mate = tallied(b, &ran, flags);
  s.others[0] = before, s.others[1] = self, s.others[2] = mate;
  ctx_cancel(a);
  ctx_engine_poll(w.engine);
  CHECK_INT(s.stopped, 1);
  CHECK_INT(ran, 1);
  ctx_hook_release(before), ctx_hook_release(self);
  ctx_release(a);
  release(b, mate);
  world_close(&w);
}

TEST(stops_batch_mate)
{
  check_stops_batch_mate(0);
  check_stops_batch_mate(CTX_HOOK_INLINE);
}

TEST(stop_lets_go)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  ctx_hook *h = tallied(b, &ran, 0);
  ctx_release(b);
  CHECK_INT(counters(&w).contexts, 2);
  CHECK(ctx_hook_stop(h));
  CHECK_INT(counters(&w).contexts, 1);
  release(a, h);
  world_close(&w);
}

/* ---- what it keeps ---------------------------------------------------- */

static void check_keeps(unsigned flags)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  ctx_hook_release(tallied(b, &ran, flags));
  ctx_release(b);
  CHECK_INT(counters(&w).contexts, 2);
  ctx_cancel(a);
  ctx_engine_poll(w.engine);
  CHECK_INT(ran, 1);
  CHECK_INT(counters(&w).contexts, 1);
  ctx_release(a);
  world_close(&w);
}

TEST(keeps_its_context)
{
  check_keeps(0);
  check_keeps(CTX_HOOK_INLINE);
}

TEST(released_hook_runs)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_timeout(manual(&w), 50);
  ctx_hook_release(tallied(a, &ran, 0));
  ctx_release(a);
  CHECK_INT(counters(&w).contexts, 1);
  ctx_engine_advance(w.engine, 50);
  CHECK_INT(ran, 1);
  world_close(&w);
}

TEST(released_after_its_context)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook *h = tallied(a, &ran, CTX_HOOK_INLINE);
  ctx_cancel(a);
  ctx_release(a);
  CHECK_INT(counters(&w).contexts, 0);
  CHECK(!ctx_hook_stop(h));
  ctx_hook_release(h);
  world_close(&w);
}

/* ---- what it may do --------------------------------------------------- */

/* What a hook works on: its engine, a context of the test, and counts. */
struct deed {
  struct world *w;
  ctx_context *other;
  ctx_hook *hook;
  int ran, inner;
};

static void cancel_things(ctx_context *c, void *arg)
{
  struct deed *d = arg;
  d->ran++;
  CHECK(!ctx_cancel(c));
  CHECK(ctx_cancel(d->other));
  CHECK(!ctx_cancel(d->other));
}

static void check_cancels(unsigned flags)
{
  struct world w;
  ctx_context *bg = host(&w);
  struct deed d = {.w = &w, .other = ctx_with_cancel(bg)};
  ctx_context *a = ctx_with_cancel(bg);
  ctx_hook *h = ctx_after_func(a, cancel_things, &d, flags);
  ctx_hook *g = tallied(d.other, &d.inner, flags);
  ctx_cancel(a);
  ctx_engine_poll(w.engine);
  ctx_engine_poll(w.engine);
  CHECK(d.ran == 1 && d.inner == 1);
  release(a, h), release(d.other, g);
  world_close(&w);
}

TEST(may_cancel)
{
  check_cancels(0);
  check_cancels(CTX_HOOK_INLINE);
}

static void make_children(ctx_context *c, void *arg)
{
  struct deed *d = arg;
  ctx_context *a = ctx_with_cancel(c), *v = ctx_with_value(c, d, d, NULL);
  ctx_context *free = ctx_without_cancel(v), *b = ctx_with_timeout(free, 50);
  d->ran++;
  CHECK(ctx_done(a) && ctx_done(v) && !ctx_done(free) && !ctx_done(b));
  CHECK(ctx_value(b, d) == d);
  ctx_release(a), ctx_release(v), ctx_release(free), ctx_release(b);
}

static void register_hooks(ctx_context *c, void *arg)
{
  struct deed *d = arg;
  d->ran++;
  ctx_hook_release(tallied(c, &d->inner, CTX_HOOK_INLINE));
  CHECK_INT(d->inner, 1);
  ctx_hook_release(tallied(c, &d->inner, 0));
  CHECK_INT(d->inner, 1);
}

static void release_own(ctx_context *c, void *arg)
{
  struct deed *d = arg;
  d->ran++;
  ctx_release(d->other);
  CHECK(ctx_done(c));
  ctx_hook_release(d->hook);
  CHECK(ctx_done(c));
}

static void check_deed(ctx_hook_fn *f, unsigned flags, int inner)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(host(&w));
  struct deed d = {.w = &w, .other = a};
  bool gives_up = f == release_own;
  d.hook = need(ctx_after_func(a, f, &d, flags));
  CHECK(ctx_cancel(gives_up ? a : ctx_retain(a)));
  ctx_engine_poll(w.engine);
  ctx_engine_poll(w.engine);
  CHECK_INT(d.ran, 1);
  CHECK_INT(d.inner, inner);
  if (!gives_up) ctx_release(a), release(a, d.hook);
  world_close(&w);
}

TEST(may_make_children)
{
  check_deed(make_children, 0, 0);
  check_deed(make_children, CTX_HOOK_INLINE, 0);
}

TEST(may_register)
{
  check_deed(register_hooks, 0, 2);
  check_deed(register_hooks, CTX_HOOK_INLINE, 2);
}

TEST(may_release_its_context)
{
  check_deed(release_own, 0, 0);
}

/* The one that cancels must itself hold what it cancels. */
static void release_parent(ctx_context *c, void *arg)
{
  struct deed *d = arg;
  CHECK(ctx_done(c));
  ctx_release(d->other);
  ctx_release(c);
  d->ran++;
}

TEST(inline_may_release_its_context)
{
  struct world w;
  ctx_context *top = ctx_with_cancel(host(&w));
  ctx_context *a = ctx_with_cancel(top), *b = ctx_with_cancel(a), *last = ctx_with_cancel(top);
  struct deed d = {.w = &w, .other = a};
  ctx_hook_release(need(ctx_after_func(b, release_parent, &d, CTX_HOOK_INLINE)));
  ctx_hook_release(tallied(last, &d.inner, CTX_HOOK_INLINE));
  ctx_cancel(top);
  CHECK(d.ran == 1 && d.inner == 1);
  CHECK_INT(counters(&w).contexts, 2);
  ctx_release(top), ctx_release(last);
  world_close(&w);
}

static void cancel_next(ctx_context *c, void *arg)
{
  ctx_context **next = arg;
  CHECK(ctx_done(c));
  if (next[1] != NULL) CHECK(ctx_cancel(next[1]));
}

TEST(inline_nests)
{
  struct world w;
  enum { DEPTH = 50 };
  ctx_context *bg = host(&w), *c[DEPTH + 1];
  ctx_hook *h[DEPTH];
  c[DEPTH] = NULL;
  for (int i = 0; i < DEPTH; i++) {
    c[i] = ctx_with_cancel(bg);
    h[i] = need(ctx_after_func(c[i], cancel_next, &c[i], CTX_HOOK_INLINE));
  }
  CHECK(ctx_cancel(c[0]));
  CHECK(ctx_done(c[DEPTH - 1]));
  for (int i = 0; i < DEPTH; i++) release(c[i], h[i]);
  world_close(&w);
}

/* ---- in the caller's memory ------------------------------------------- */

TEST(own_memory)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook h;
  int64_t blocks = w.blocks;
  ctx_hook_init(&h, tally, &ran, CTX_HOOK_INLINE);
  CHECK(!ctx_hook_stop(&h));
  CHECK_INT(ctx_hook_attach(&h, a), 0);
  CHECK_INT(w.blocks, blocks);
  CHECK_INT(counters(&w).hooks, 1);
  ctx_cancel(a);
  CHECK_INT(ran, 1);
  CHECK(!ctx_hook_stop(&h));
  ctx_release(a);
  world_close(&w);
}

static void check_attached_again(unsigned flags)
{
  struct world w;
  int ran = 0;
  ctx_context *bg = host(&w);
  ctx_hook h;
  ctx_hook_init(&h, tally, &ran, flags);
  for (int i = 0; i < 6; i++) {
    ctx_context *a = ctx_with_cancel(bg);
    CHECK_INT(ctx_hook_attach(&h, a), 0);
    if (i % 3 == 2) CHECK(ctx_hook_stop(&h));
    ctx_cancel(a);
    ctx_engine_poll(w.engine);
    ctx_release(a);
  }
  CHECK_INT(ran, 4);
  world_close(&w);
}

TEST(attached_again)
{
  check_attached_again(0);
  check_attached_again(CTX_HOOK_INLINE);
}

TEST(stopped_and_freed)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  for (int i = 0; i < 8; i++) {
    ctx_hook *h = need(malloc(sizeof *h));
    ctx_hook_init(h, tally, &ran, i % 2 ? CTX_HOOK_INLINE : 0);
    CHECK_INT(ctx_hook_attach(h, i & 2 ? a : b), 0);
    if (i == 6) ctx_cancel(a); /* the last but one waits for the driver */
    CHECK(ctx_hook_stop(h) == (i < 7));
    memset(h, 0xff, sizeof *h);
    free(h);
  }
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  CHECK_INT(ran, 1);
  ctx_release(a), ctx_release(b);
  world_close(&w);
}

/* A function that frees the memory of its hook. */
struct own {
  ctx_hook hook;
  int *ran;
};

static void free_own(ctx_context *c, void *arg)
{
  struct own *o = arg;
  ++*o->ran;
  memset(&o->hook, 0xff, sizeof o->hook);
  free(o);
  CHECK(ctx_done(c));
}

static void attach_own(ctx_context *c, int *ran, unsigned flags)
{
  struct own *o = need(malloc(sizeof *o));
  o->ran = ran;
  ctx_hook_init(&o->hook, free_own, o, flags);
  CHECK_INT(ctx_hook_attach(&o->hook, c), 0);
}

TEST(freed_by_its_function)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  for (int i = 0; i < 8; i++) attach_own(i & 2 ? a : b, &ran, i % 2 ? CTX_HOOK_INLINE : 0);
  ctx_cancel(a);
  attach_own(a, &ran, CTX_HOOK_INLINE);
  attach_own(b, &ran, 0);
  CHECK_INT(ran, 5);
  CHECK_INT(ctx_engine_poll(w.engine), 5);
  CHECK_INT(ran, 10);
  ctx_release(a), ctx_release(b);
  world_close(&w);
}

struct again {
  ctx_hook hook;
  ctx_context *next;
  int ran;
};

/* Attaches its own hook to 'next', four times. */
static void attach_again(ctx_context *c, void *arg)
{
  struct again *g = arg;
  CHECK(ctx_done(c));
  if (++g->ran < 5) CHECK_INT(ctx_hook_attach(&g->hook, g->next), 0);
}

static void check_attaches_again(unsigned flags)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(host(&w));
  struct again g = {.next = a};
  ctx_hook_init(&g.hook, attach_again, &g, flags);
  CHECK_INT(ctx_hook_attach(&g.hook, a), 0);
  ctx_cancel(a);
  for (int i = 0; i < 5; i++) ctx_engine_poll(w.engine);
  CHECK_INT(g.ran, 5);
  ctx_release(a);
  world_close(&w);
}

TEST(attached_in_its_function)
{
  check_attaches_again(0);
  check_attaches_again(CTX_HOOK_INLINE);
}

/* ---- where it cannot be registered ------------------------------------ */

TEST(no_context)
{
  int ran = 0;
  ctx_hook h;
  errno = 0;
  CHECK(ctx_after_func(NULL, tally, &ran, 0) == NULL);
  CHECK_INT(errno, EINVAL);
  ctx_hook_init(&h, tally, &ran, 0);
  CHECK_INT(ctx_hook_attach(&h, NULL), EINVAL);
  CHECK(!ctx_hook_stop(&h));
  CHECK(ctx_after_func(ctx_background(), NULL, &ran, 0) == NULL);
  CHECK_INT(errno, EINVAL);
  CHECK(ctx_after_func(ctx_background(), tally, &ran, 2) == NULL);
  CHECK_INT(errno, EINVAL);
  CHECK_INT(ran, 0);
}

static void check_closed(unsigned flags, bool done)
{
  struct world w;
  int ran = 0;
  ctx_hook h;
  ctx_context *a = ctx_with_cancel(host(&w));
  if (done) ctx_cancel(a);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  errno = 0;
  CHECK(ctx_after_func(a, tally, &ran, flags) == NULL);
  CHECK_INT(errno, ECANCELED);
  ctx_hook_init(&h, tally, &ran, flags);
  CHECK_INT(ctx_hook_attach(&h, a), ECANCELED);
  CHECK(!ctx_hook_stop(&h));
  ctx_cancel(a);
  CHECK_INT(ran, 0);
  ctx_release(a);
  world_memory_is_back(&w);
}

TEST(closed_engine_refuses)
{
  check_closed(0, false);
  check_closed(0, true);
  check_closed(CTX_HOOK_INLINE, false);
  check_closed(CTX_HOOK_INLINE, true);
}

TEST(close_drops_what_waits)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_timeout(a, 50);
  ctx_hook *h = tallied(b, &ran, 0);
  ctx_hook_release(tallied(a, &ran, 0));
  ctx_hook_release(tallied(b, &ran, 0));
  ctx_cancel(a);
  ctx_release(a), ctx_release(b);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK_INT(ran, 0);
  CHECK(ctx_hook_stop(h));
  ctx_hook_release(h);
  world_memory_is_back(&w);
}

TEST(close_drops_what_a_question_left)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_timeout(host(&w), 50);
  ctx_hook_release(tallied(a, &ran, CTX_HOOK_INLINE));
  w.now_ns = 50;
  CHECK(ctx_done(a));
  ctx_release(a);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK_INT(ran, 0);
  world_memory_is_back(&w);
}

/* A hook that is attached when the engine is closed never runs by its driver. */
TEST(closed_engine_drops_at_the_end)
{
  struct world w;
  int driven = 0, inlined = 0;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  ctx_hook_release(tallied(b, &driven, 0));
  ctx_hook_release(tallied(b, &inlined, CTX_HOOK_INLINE));
  ctx_release(b);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK(ctx_cancel(a));
  CHECK_INT(driven, 0);
  CHECK_INT(inlined, 1);
  ctx_release(a);
  world_memory_is_back(&w);
}

TEST(closed_engine_drops_at_the_question)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_timeout(host(&w), 50), *b = ctx_with_cancel(a);
  ctx_hook_release(tallied(b, &ran, 0));
  ctx_hook_release(tallied(b, &ran, CTX_HOOK_INLINE));
  ctx_release(b);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  w.now_ns = 50;
  CHECK(ctx_done(a));
  CHECK_INT(ran, 0);
  ctx_release(a);
  world_memory_is_back(&w);
}

TEST(closed_engine_stops)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook *h = tallied(a, &ran, CTX_HOOK_INLINE), *g = tallied(a, &ran, 0);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK(ctx_hook_stop(h));
  CHECK(!ctx_hook_stop(h));
  ctx_hook_stop(g);
  CHECK(!ctx_hook_stop(g));
  ctx_cancel(a);
  CHECK_INT(ran, 0);
  ctx_hook_release(g);
  release(a, h);
  world_memory_is_back(&w);
}

/* A query leaves inline hooks to a driver, which there is no more: before the close and after. */
TEST(dropped_hooks_stop)
{
  struct world w;
  int ran = 0;
  ctx_context *bg = host(&w);
  ctx_context *a = ctx_with_timeout(bg, 50), *b = ctx_with_timeout(bg, 60);
  ctx_hook *g = tallied(a, &ran, CTX_HOOK_INLINE), *h = tallied(b, &ran, CTX_HOOK_INLINE);
  w.now_ns = 50;
  CHECK(ctx_done(a));
  CHECK_INT(ctx_engine_close(w.engine), 0);
  w.now_ns = 60;
  CHECK(ctx_done(b));
  CHECK(ctx_hook_stop(g));
  CHECK(ctx_hook_stop(h));
  CHECK(!ctx_hook_stop(g));
  CHECK(!ctx_hook_stop(h));
  CHECK_INT(ran, 0);
  release(a, g), release(b, h);
  world_memory_is_back(&w);
}

/* ---- many ------------------------------------------------------------- */

struct many {
  ctx_hook hook;
  struct many **next; /* the one that is to run next */
};

static void run_many(ctx_context *c, void *arg)
{
  struct many *m = arg;
  CHECK(ctx_done(c));
  CHECK(*m->next == m);
  *m->next = m + 2;
}

/* Every second one is stopped, from the back; the others run in order. */
static void check_many(unsigned flags)
{
  struct world w;
  struct many *all = need(calloc(MANY, sizeof *all)), *next = all;
  ctx_context *a = ctx_with_cancel(host(&w));
  for (int i = 0; i < MANY; i++) {
    all[i].next = &next;
    ctx_hook_init(&all[i].hook, run_many, &all[i], flags);
    CHECK_INT(ctx_hook_attach(&all[i].hook, a), 0);
  }
  for (int i = MANY - 1; i > 0; i -= 2) CHECK(ctx_hook_stop(&all[i].hook));
  ctx_cancel(a);
  CHECK_INT(ctx_engine_poll(w.engine), flags == 0 ? MANY / 2 : 0);
  CHECK(next == all + MANY);
  free(all);
  ctx_release(a);
  world_close(&w);
}

TEST(many)
{
  check_many(0);
  check_many(CTX_HOOK_INLINE);
}

/* ---- threads ---------------------------------------------------------- */

enum { BATCH = 64 };

/* Two threads meet in each round, over a batch of contexts with a hook each. */
struct race {
  struct world w;
  ctx_context *bg;
  unsigned flags;
  void (*other)(struct race *); /* what the second thread does to the batch */
  pthread_barrier_t barrier;
  ctx_context *c[BATCH];
  ctx_hook *h[BATCH];
  int64_t ran[BATCH], stopped[BATCH]; /* atomic */
};

static void count_run(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  count(arg, 1);
}

static void *race_thread(void *arg)
{
  struct race *r = arg;
  for (int round = 0; round < ROUNDS; round++) {
    pthread_barrier_wait(&r->barrier);
    r->other(r);
    pthread_barrier_wait(&r->barrier);
  }
  return NULL;
}

static void race_begin(struct race *r)
{
  for (int i = 0; i < BATCH; i++) {
    r->ran[i] = r->stopped[i] = 0;
    r->c[i] = need(ctx_with_cancel(r->bg));
  }
}

static void race_end(struct race *r)
{
  for (int i = 0; i < BATCH; i++) {
    CHECK_INT(r->ran[i] + r->stopped[i], 1);
    release(r->c[i], r->h[i]);
  }
}

/* One round: 'before' alone, then 'first' against r->other, then 'after' alone. */
static void race_round(struct race *r, void (*before)(struct race *), void (*first)(struct race *))
{
  race_begin(r);
  if (before != NULL) before(r);
  pthread_barrier_wait(&r->barrier);
  first(r);
  pthread_barrier_wait(&r->barrier);
  ctx_engine_poll(r->w.engine);
  race_end(r);
}

static void race_run(unsigned flags, void (*before)(struct race *), void (*first)(struct race *),
                     void (*other)(struct race *))
{
  struct race r = {.flags = flags, .other = other};
  pthread_t thread;
  r.bg = host(&r.w);
  pthread_barrier_init(&r.barrier, NULL, 2);
  if (pthread_create(&thread, NULL, race_thread, &r) != 0) abort();
  for (int round = 0; round < ROUNDS; round++) race_round(&r, before, first);
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&r.barrier);
  world_close(&r.w);
}

static void attach_all(struct race *r)
{
  for (int i = 0; i < BATCH; i++)
    r->h[i] = need(ctx_after_func(r->c[i], count_run, &r->ran[i], r->flags));
}

static void cancel_all(struct race *r)
{
  for (int i = 0; i < BATCH; i++) ctx_cancel(r->c[i]);
}

static void attach_and_cancel(struct race *r)
{
  attach_all(r);
  cancel_all(r);
}

static void stop_all(struct race *r)
{
  for (int i = 0; i < BATCH; i++)
    if (ctx_hook_stop(r->h[i])) count(&r->stopped[i], 1);
}

static void stop_all_backwards(struct race *r)
{
  for (int i = BATCH; i-- > 0;)
    if (ctx_hook_stop(r->h[i])) count(&r->stopped[i], 1);
}

static void poll_all(struct race *r)
{
  ctx_engine_poll(r->w.engine);
}

TEST(stop_against_cancel)
{
  race_run(CTX_HOOK_INLINE, attach_all, cancel_all, stop_all);
  race_run(CTX_HOOK_INLINE, attach_all, cancel_all, stop_all_backwards);
  race_run(0, attach_all, cancel_all, stop_all);
}

TEST(stop_against_driver)
{
  race_run(0, attach_and_cancel, poll_all, stop_all);
  race_run(0, attach_and_cancel, poll_all, stop_all_backwards);
}

TEST(stop_against_stop)
{
  race_run(0, attach_all, stop_all, stop_all_backwards);
  race_run(CTX_HOOK_INLINE, attach_all, stop_all, stop_all);
}

TEST(attach_against_cancel)
{
  race_run(CTX_HOOK_INLINE, NULL, attach_all, cancel_all);
  race_run(0, NULL, attach_all, cancel_all);
}

/*
 * The caller's memory goes as soon as a stop has answered: after true nobody
 * knows the hook any more, and false says that its function has started.
 */
struct freed {
  struct world w;
  bool always; /* after false, too */
  ctx_context *c[BATCH];
  ctx_hook *h[BATCH];
  int64_t ran, stopped; /* atomic */
};

static void *free_thread(void *arg)
{
  struct freed *f = arg;
  for (int i = 0; i < BATCH; i++) {
    bool stopped = ctx_hook_stop(f->h[i]);
    count(&f->stopped, stopped);
    if (!stopped && !f->always) continue;
    memset(f->h[i], 0xff, sizeof *f->h[i]);
    free(f->h[i]);
    f->h[i] = NULL;
  }
  return NULL;
}

static void free_round(struct freed *f, ctx_context *bg, unsigned flags)
{
  pthread_t thread;
  for (int i = 0; i < BATCH; i++) {
    f->c[i] = need(ctx_with_cancel(bg));
    f->h[i] = need(malloc(sizeof *f->h[i]));
    ctx_hook_init(f->h[i], count_run, &f->ran, flags);
    CHECK_INT(ctx_hook_attach(f->h[i], f->c[i]), 0);
  }
  if (pthread_create(&thread, NULL, free_thread, f) != 0) abort();
  for (int i = BATCH; i-- > 0;) ctx_cancel(f->c[i]);
  ctx_engine_poll(f->w.engine);
  pthread_join(thread, NULL);
  ctx_engine_poll(f->w.engine);
  for (int i = 0; i < BATCH; i++) {
    ctx_release(f->c[i]);
    free(f->h[i]);
  }
}

static void check_freed(bool always)
{
  struct freed f = {.always = always};
  ctx_context *bg = host(&f.w);
  for (int round = 0; round < ROUNDS; round++) free_round(&f, bg, round % 2 ? CTX_HOOK_INLINE : 0);
  CHECK_INT(f.ran + f.stopped, (int64_t)ROUNDS * BATCH);
  world_close(&f.w);
}

TEST(free_after_stop)
{
  check_freed(false);
}

TEST(free_after_either)
{
  check_freed(true);
}

/* ---- attached late, or again ------------------------------------------ */

TEST(late_inline_runs_at_once)
{
  struct world w;
  int ran = 0;
  ctx_context *a = ctx_with_timeout(host(&w), 50);
  w.now_ns = 50; /* nobody has polled or asked */
  ctx_hook *h = tallied(a, &ran, CTX_HOOK_INLINE);
  CHECK_INT(ran, 1);
  CHECK(!ctx_hook_stop(h));
  release(a, h);
  world_close(&w);
}

TEST(unknown_flags)
{
  struct world w;
  int ran = 0;
  ctx_hook h;
  ctx_context *a = ctx_with_cancel(host(&w));
  static const unsigned flags[] = {2, 0xf0, 0x10001, ~0U};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    errno = 0;
    CHECK(ctx_after_func(a, tally, &ran, flags[i]) == NULL);
    CHECK_INT(errno, EINVAL);
    ctx_hook_init(&h, tally, &ran, flags[i]);
    CHECK_INT(ctx_hook_attach(&h, a), EINVAL);
  }
  CHECK_INT(counters(&w).hooks, 0);
  ctx_release(a);
  world_close(&w);
}

/* A hook that attaches itself again to its done context, for ever. */
struct stubborn {
  ctx_hook hook;
  int ran;
};

static void attach_for_ever(ctx_context *c, void *arg)
{
  struct stubborn *s = arg;
  s->ran++;
  CHECK_INT(ctx_hook_attach(&s->hook, c), 0);
}

TEST(poll_returns)
{
  struct world w;
  struct stubborn s = {.ran = 0};
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_hook_init(&s.hook, attach_for_ever, &s, 0);
  CHECK_INT(ctx_hook_attach(&s.hook, a), 0);
  ctx_cancel(a);
  for (int i = 1; i <= 3; i++) {
    CHECK_INT(ctx_engine_poll(w.engine), 1);
    CHECK_INT(s.ran, i);
    CHECK(ctx_engine_next(w.engine) <= w.now_ns);
  }
  CHECK(ctx_hook_stop(&s.hook));
  ctx_release(a);
  world_close(&w);
}

/* One thread attaches what another stops: each time it runs or is stopped, once. */
struct pair {
  ctx_hook hook;
  bool over;            /* atomic */
  int64_t stopped, ran; /* atomic */
};

static void count_ran(ctx_context *c, void *arg)
{
  (void)c;
  count(&((struct pair *)arg)->ran, 1);
}

static void *stop_thread(void *arg)
{
  struct pair *p = arg;
  while (!__atomic_load_n(&p->over, __ATOMIC_ACQUIRE)) count(&p->stopped, ctx_hook_stop(&p->hook));
  return NULL;
}

static void attach_round(struct world *w, struct pair *p, ctx_context *bg, int i)
{
  ctx_context *c = need(ctx_with_cancel(bg));
  if (i % 3 == 0) ctx_cancel(c);
  CHECK_INT(ctx_hook_attach(&p->hook, c), 0);
  if (i % 3 == 1) ctx_cancel(c);
  ctx_engine_poll(w->engine);
  while (counters(w).hooks != 0) count(&p->stopped, ctx_hook_stop(&p->hook));
  ctx_release(c);
}

TEST(attach_against_stop)
{
  struct world w;
  struct pair p = {.over = false};
  pthread_t thread;
  ctx_context *bg = host(&w);
  ctx_hook_init(&p.hook, count_ran, &p, 0);
  if (pthread_create(&thread, NULL, stop_thread, &p) != 0) abort();
  for (int i = 0; i < ROUNDS * 10; i++) attach_round(&w, &p, bg, i);
  __atomic_store_n(&p.over, true, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  CHECK_INT(p.stopped + p.ran, ROUNDS * 10);
  world_close(&w);
}

static const struct test tests[] = {
  T(left_to_the_driver, "H1 runs once after the end, by the next poll and never before"),
  T(left_to_advance, "H1 runs by advance and by poll on a manual engine"),
  T(inline_runs_where_canceled, "H5 an inline hook runs on the thread that cancels"),
  T(inline_runs_before_cancel_returns, "H5 an inline hook has run when the cancel returns"),
  T(done_already, "H1 on a done context an inline hook runs at once, another by the driver"),
  T(overdue_already, "H1 on a context past its deadline a hook runs by the next poll"),
  T(at_the_deadline, "H1 at a deadline the driver runs all hooks"),
  T(question_runs_no_hook, "H5 a question past the deadline leaves all hooks to the driver"),
  T(never_ending, "H8 on what never ends a hook never runs and is stopped once"),
  T(order_of_registration, "H7 hooks of a context run in the order of registration"),
  T(order_of_ends, "H7 hooks of several contexts run in the order in which these end"),
  T(given_context, "H9 a hook is given the context it was registered on, a value context too"),

  T(stopped_before, "H3 a hook stopped before the end never runs and leaves nothing"),
  T(stopped_while_waiting, "H2 a hook that waits for the driver can be stopped, alone"),
  T(stopped_after, "H2 a stop after the run answers false"),
  T(stops_batch_mate, "H2 a hook can stop another of its batch, not itself"),
  T(stop_lets_go, "H3 a stopped hook no longer keeps its context"),
  T(keeps_its_context, "a hook keeps its context until it has run"),
  T(released_hook_runs, "a released hook still runs"),
  T(released_after_its_context, "a hook may be released after its context is gone"),

  T(may_cancel, "H4 a hook may cancel its own context and others"),
  T(may_make_children, "H4 a hook may make children of its context"),
  T(may_register, "H4 a hook may register hooks on its context"),
  T(may_release_its_context, "H4 a hook may release its context and itself"),
  T(inline_may_release_its_context, "H4 an inline hook may release its context and the parent"),
  T(inline_nests, "H4 inline hooks may cancel contexts with inline hooks"),

  T(own_memory, "a hook in the caller's memory allocates nothing"),
  T(attached_again, "a hook that has run or been stopped can be attached again"),
  T(stopped_and_freed, "the memory of a stopped hook may go at once"),
  T(freed_by_its_function, "the memory of a hook may go in its function"),
  T(attached_in_its_function, "a hook can be attached again in its function"),

  T(no_context, "P1 a NULL context is refused with EINVAL"),
  T(closed_engine_refuses, "a closed engine refuses hooks with ECANCELED"),
  T(close_drops_what_waits, "closing an engine drops the hooks that wait for its driver"),
  T(close_drops_what_a_question_left, "closing an engine drops what a question left to it"),
  T(closed_engine_drops_at_the_end, "a closed engine drops a hook when its context ends"),
  T(closed_engine_drops_at_the_question, "a closed engine drops a hook at a question"),
  T(dropped_hooks_stop, "H2 a hook that a closed engine drops has not run: its stop says so"),
  T(closed_engine_stops, "hooks of a closed engine can be stopped"),

  T(many, "a hundred thousand hooks of one context run in order, every other one stopped"),
  T(stop_against_cancel, "H2 of a stop and a cancel one wins"),
  T(stop_against_driver, "H2 of a stop and the driver one wins"),
  T(stop_against_stop, "H2 of two stops one answers true"),
  T(attach_against_cancel, "H1 a hook attached during the cancel runs once"),
  T(late_inline_runs_at_once,
    "H1 attached after the deadline's instant an inline hook runs at once"),
  T(unknown_flags, "P1 with unknown flags it is refused"),
  T(poll_returns, "one that attaches itself again and again does not keep a poll from returning"),
  T(attach_against_stop, "a stop may race the attaching: it is linked or stopped, never both"),
  T(free_after_stop, "the memory of a hook may go once a racing stop has answered true"),
  T(free_after_either, "the memory of a hook may go once a racing stop has answered false"),
};

int main(int argc, char **argv)
{
  return check_run("hook", tests, sizeof tests / sizeof *tests, argc, argv);
}
