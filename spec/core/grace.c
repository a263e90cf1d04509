/*
 * grace - what outlives its parent: for some time, till its deadline, or for ever
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#ifdef SLOW
enum { MILLION = 50000, STACK = 512 * 1024, ROUNDS = 20000 / SLOW };
#else
enum { MILLION = 1000000, STACK = 64 * 1024, ROUNDS = 20000 };
#endif

static int key;

static void count_run(ctx_context *c, void *times)
{
  CHECK(ctx_done(c));
  count(times, 1);
}

/* States that 'c' was ended by its own time after the parent's end. */
static void ended_after_parent(ctx_context *c, ctx_context *g, int64_t at_ns)
{
  ctx_origin o;
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  if (!CHECK(ctx_origin_of(c, &o))) return;
  CHECK(o.context == g);
  CHECK_INT(o.kind, CTX_ORIGIN_PARENT);
  CHECK_INT(o.at_ns, at_ns);
  CHECK_STR(ctx_cause_text(o.cause, NULL), "context deadline exceeded");
}

/* ---- after a cancel, after a deadline ---------------------------------------- */

TEST(counts_from_the_cancel)
{
  struct world w;
  int v;
  ctx_context *a = ctx_with_cancel(host(&w));
  ctx_context *value = ctx_with_value(a, &key, &v, NULL);
  ctx_context *g = need(ctx_with_grace(value, 10)), *child = ctx_with_cancel(g);
  CHECK_INT(ctx_deadline(g), CTX_NEVER);
  CHECK_INT(counters(&w).timers, 0);
  w.now_ns = 100;
  int64_t calls = w.calls;
  CHECK(ctx_cancel(a));
  CHECK_INT(w.calls, calls);
  CHECK_INT(ctx_err(g), 0);
  CHECK_INT(ctx_deadline(g), 110);
  CHECK_INT(ctx_deadline(child), 110);
  CHECK_INT(counters(&w).timers, 1);
  w.now_ns = 109;
  CHECK_INT(ctx_err(child), 0);
  w.now_ns = 110; /* and no driver runs */
  ended_after_parent(child, g, 110);
  CHECK(ctx_value(child, &key) == &v);
  CHECK(!ctx_cancel(g));
  ctx_release(child);
  ctx_release(g);
  ctx_release(value);
  ctx_release(a);
  world_close(&w);
}

static void counts_from_the_deadline(bool driven)
{
  struct world w;
  int64_t ran = 0;
  ctx_context *a = ctx_with_deadline(host(&w), 50), *b = ctx_with_cancel(a);
  ctx_context *g = need(ctx_with_grace(b, 10)), *child = ctx_with_cancel(g);
  ctx_hook *h = ctx_after_func(child, count_run, &ran, 0);
  CHECK_INT(ctx_deadline(child), 60);
  CHECK_INT(counters(&w).timers, 2);
  w.now_ns = 57;
  if (driven) ctx_engine_poll(w.engine);
  CHECK_INT(ctx_err(g), 0);
  CHECK_INT(ctx_deadline(child), 60);
  w.now_ns = 60;
  if (driven) ctx_engine_poll(w.engine);
  ended_after_parent(child, g, 60);
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  ctx_engine_poll(w.engine);
  CHECK_INT(ran, 1);
  ctx_hook_release(h);
  ctx_release(child);
  ctx_release(g);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(counts_from_a_deadline)
{
  counts_from_the_deadline(true);
  counts_from_the_deadline(false);
}

TEST(follows_the_parents_deadline)
{
  struct world w;
  ctx_context *a = ctx_with_deadline(manual(&w), 50), *g = need(ctx_with_grace(a, 10));
  ctx_context *child = ctx_with_cancel(g), *again = need(ctx_with_grace(child, 5));
  CHECK_INT(ctx_deadline(again), 65);
  CHECK_INT(ctx_extend(a, 100), 0);
  CHECK_INT(ctx_deadline(child), 110);
  CHECK_INT(ctx_deadline(again), 115);
  CHECK_INT(ctx_extend(a, CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(again), CTX_NEVER);
  CHECK_INT(counters(&w).timers, 0);
  CHECK_INT(ctx_extend(g, 7), EINVAL);
  ctx_engine_advance(w.engine, 30);
  CHECK(ctx_cancel(a));
  CHECK_INT(ctx_deadline(child), 40);
  CHECK_INT(ctx_deadline(again), 45);
  ctx_engine_advance(w.engine, 10);
  ended_after_parent(child, g, 40);
  CHECK_INT(ctx_err(again), 0);
  ctx_engine_advance(w.engine, 5);
  ended_after_parent(again, again, 45);
  ctx_release(again);
  ctx_release(child);
  ctx_release(g);
  ctx_release(a);
  world_close(&w);
}

/* ---- its own end ---------------------------------------------------------------- */

TEST(ends_by_itself)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *g = need(ctx_with_grace(a, 10));
  ctx_context *late = need(ctx_with_grace(a, 10)), *child = ctx_with_cancel(late);
  CHECK(ctx_cancel(g));
  CHECK_INT(ctx_err(g), CTX_CANCELED);
  CHECK_INT(ctx_err(a), 0);
  CHECK_INT(counters(&w).timers, 2);
  ctx_cancel(a);
  CHECK(ctx_cancel_cause(late, cause("enough")));
  CHECK_STR(ctx_cause_text(ctx_cause_of(child), NULL), "enough");
  CHECK_INT(counters(&w).timers, 0);
  ctx_release(child);
  ctx_release(late);
  ctx_release(g);
  ctx_release(a);
  world_close(&w);
}

TEST(born_after_the_end)
{
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_cancel(bg), *d = ctx_with_deadline(bg, 50);
  w.now_ns = 20;
  ctx_cancel(a);
  w.now_ns = 55;
  ctx_context *g = need(ctx_with_grace(a, 10)), *h = need(ctx_with_grace(d, 10));
  ctx_context *over = need(ctx_with_grace(d, 5)), *none = need(ctx_with_grace(a, -3));
  CHECK_INT(ctx_deadline(g), 65);
  CHECK_INT(ctx_deadline(h), 60);
  CHECK_INT(ctx_err(h), 0);
  ended_after_parent(over, over, 55);
  CHECK_INT(ctx_deadline(over), 55);
  ended_after_parent(none, none, 55);
  CHECK_INT(counters(&w).timers, 2);
  w.now_ns = 60;
  ended_after_parent(h, h, 60);
  w.now_ns = 65;
  ended_after_parent(g, g, 65);
  ctx_release(none);
  ctx_release(over);
  ctx_release(h);
  ctx_release(g);
  ctx_release(d);
  ctx_release(a);
  world_close(&w);
}

TEST(never_and_nothing_above)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_timeout(bg, 50);
  ctx_context *g = need(ctx_with_grace(a, CTX_NEVER)), *h = need(ctx_with_grace(bg, 10));
  CHECK_INT(ctx_deadline(g), CTX_NEVER);
  CHECK_INT(ctx_deadline(h), CTX_NEVER);
  ctx_cancel(a);
  CHECK_INT(ctx_deadline(g), CTX_NEVER);
  ctx_engine_advance(w.engine, 1000);
  CHECK(ctx_cancel(g) && ctx_cancel(h));
  ctx_release(h);
  ctx_release(g);
  ctx_release(a);
  errno = 0;
  CHECK(ctx_with_grace(NULL, 10) == NULL);
  CHECK_INT(errno, EINVAL);
  world_close(&w);
}

TEST(leaves_nothing)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50);
  int64_t blocks = w.blocks;
  ctx_release(need(ctx_with_grace(a, 10)));
  CHECK_INT(w.blocks, blocks);
  CHECK_INT(counters(&w).timers, 1);
  ctx_context *g = need(ctx_with_grace(a, 10));
  ctx_cancel(a);
  ctx_release(a);
  CHECK_INT(counters(&w).timers, 1);
  ctx_release(g);
  world_close(&w);
}

TEST(merges_with_others)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  ctx_context *g = need(ctx_with_grace(a, 10));
  ctx_context *m = need(ctx_merge(2, (ctx_context *[]){b, g})), *child = ctx_with_cancel(m);
  ctx_cancel(a);
  CHECK_INT(ctx_deadline(child), 10);
  ctx_engine_advance(w.engine, 10);
  ended_after_parent(child, g, 10);
  ctx_release(child);
  ctx_release(m);
  ctx_release(g);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(is_in_the_chain)
{
  struct world w;
  char text[200];
  ctx_context *a = ctx_with_cancel(manual(&w)), *g = need(ctx_with_grace(a, 10));
  ctx_context *m = need(ctx_merge(1, &g));
  ctx_text(m, text, sizeof text);
  CHECK_STR(text, "context.Background.WithCancel.WithGrace.Merge");
  ctx_release(m);
  ctx_release(g);
  ctx_release(a);
  world_close(&w);
}

/* ---- real time, and threads ----------------------------------------------------------- */

/* The instant of a cancel is known to some milliseconds only: the grace does not suffer. */
TEST(never_early)
{
  struct world w;
  ctx_context *bg = threaded(&w);
  for (int i = 0; i < 20; i++) {
    ctx_context *a = ctx_with_cancel(bg), *g = need(ctx_with_grace(a, CTX_MS(1)));
    int64_t before_ns = ctx_engine_now(w.engine);
    ctx_cancel(a);
    CHECK_INT(ctx_wait(g, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
    CHECK(ctx_engine_now(w.engine) >= before_ns + CTX_MS(1));
    ctx_release(g);
    ctx_release(a);
  }
  EVENTUALLY(counters(&w).contexts == 0);
  world_close(&w);
}

/* An inline hook needs no thread for a cancel; at the end of a grace period it does. */
TEST(the_thread_runs_hooks)
{
  struct world w;
  int64_t ran = 0;
  ctx_context *a = ctx_with_cancel(threaded(&w)), *g = need(ctx_with_grace(a, CTX_MS(1)));
  ctx_context *child = ctx_with_cancel(g);
  ctx_hook *h = ctx_after_func(child, count_run, &ran, CTX_HOOK_INLINE);
  ctx_cancel(a);
  EVENTUALLY(READ(ran) == 1);
  ctx_hook_release(h);
  ctx_release(child);
  ctx_release(g);
  ctx_release(a);
  EVENTUALLY(counters(&w).contexts == 0);
  world_close(&w);
}

struct race {
  ctx_context *a, *g;
  pthread_barrier_t barrier;
};

static void *cancel_g(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  CHECK(ctx_cancel(r->g));
  ctx_release(r->g);
  return NULL;
}

static void *bear_g(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  r->g = need(ctx_with_grace(r->a, 10));
  return NULL;
}

static void race_run(ctx_context *bg, void *(*with)(void *))
{
  struct race r = {.a = ctx_with_cancel(bg)};
  if (with == cancel_g) r.g = need(ctx_with_grace(r.a, 10));
  pthread_barrier_init(&r.barrier, NULL, 2);
  pthread_t t = start_sized(with, &r, STACK);
  pthread_barrier_wait(&r.barrier);
  CHECK(ctx_cancel(r.a));
  join(t);
  if (with == bear_g) {
    CHECK_INT(ctx_err(r.g), 0);
    CHECK_INT(ctx_deadline(r.g), 10);
    ctx_release(r.g);
  }
  pthread_barrier_destroy(&r.barrier);
  ctx_release(r.a);
}

static void races(void *(*with)(void *))
{
  struct world w;
  ctx_context *bg = host(&w);
  for (int i = 0; i < ROUNDS; i++) race_run(bg, with);
  world_close(&w);
}

TEST(canceled_with_its_parent)
{
  races(cancel_g);
}

TEST(born_while_the_parent_ends)
{
  races(bear_g);
}

/* ---- a million, on a small stack ---------------------------------------------------------- */

struct large {
  struct world w;
  ctx_context *first, **c;
  bool chain;
};

static void *large_run(void *arg)
{
  struct large *l = arg;
  int64_t calls = l->w.calls;
  CHECK(ctx_cancel(l->first));
  for (int i = 0; i < MILLION; i++) {
    int64_t deadline_ns = ctx_deadline(l->c[i]);
    if (!CHECK_INT(deadline_ns, l->chain ? i + 1 : 5)) break;
  }
  CHECK_INT(counters(&l->w).timers, MILLION);
  CHECK_INT(ctx_engine_advance(l->w.engine, 10), 0);
  CHECK_INT(ctx_err(l->c[9]), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_err(l->c[10]), l->chain ? 0 : CTX_DEADLINE_EXCEEDED);
  for (int i = 0; i < MILLION; i++) ctx_release(l->c[i]);
  ctx_release(l->first);
  CHECK_INT(l->w.calls, calls);
  return NULL;
}

static void on_small_stack(bool chain)
{
  struct large l = {.chain = chain};
  l.first = need(ctx_with_cancel(manual(&l.w)));
  l.c = need(calloc(MILLION, sizeof *l.c));
  for (int i = 0; i < MILLION; i++)
    l.c[i] = need(ctx_with_grace(chain && i > 0 ? l.c[i - 1] : l.first, chain ? 1 : 5));
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

/* ---- with its deadline kept ------------------------------------------------------------------ */

TEST(keeps_the_deadline)
{
  struct world w;
  int v;
  ctx_context *a = ctx_with_deadline(manual(&w), 50);
  ctx_context *value = ctx_with_value(a, &key, &v, NULL);
  ctx_context *k = need(ctx_without_cancel_keep_deadline(value)), *child = ctx_with_cancel(k);
  CHECK_INT(ctx_extend(a, 80), 0);
  CHECK_INT(ctx_deadline(child), 50);
  CHECK(ctx_cancel(a));
  CHECK_INT(ctx_err(k), 0);
  CHECK(ctx_value(child, &key) == &v);
  ctx_context *late = need(ctx_without_cancel_keep_deadline(a));
  CHECK_INT(ctx_deadline(late), 80);
  ctx_engine_advance(w.engine, 50);
  CHECK_INT(ctx_err(child), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_err(late), 0);
  CHECK_INT(ctx_extend(late, 90), 0);
  CHECK(ctx_cancel(late));
  ctx_release(late);
  ctx_release(child);
  ctx_release(k);
  ctx_release(value);
  ctx_release(a);
  world_close(&w);
}

TEST(keeps_none_or_a_past_one)
{
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_cancel(bg), *d = ctx_with_deadline(bg, 50);
  ctx_context *k = need(ctx_without_cancel_keep_deadline(a));
  CHECK_INT(ctx_deadline(k), CTX_NEVER);
  ctx_cancel(a);
  CHECK(ctx_cancel(k));
  w.now_ns = 50;
  ctx_context *past = need(ctx_without_cancel_keep_deadline(d));
  CHECK_INT(ctx_err(past), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_deadline(past), 50);
  errno = 0;
  CHECK(ctx_without_cancel_keep_deadline(NULL) == NULL);
  CHECK_INT(errno, EINVAL);
  ctx_release(past);
  ctx_release(k);
  ctx_release(d);
  ctx_release(a);
  world_close(&w);
}

static const struct test tests[] = {
  T(counts_from_the_cancel,
    "G1 B8 a grace period counts from the parent's cancel; no driver need run"),
  T(counts_from_a_deadline, "G1 B8 or from its deadline, driven or not"),
  T(follows_the_parents_deadline,
    "G1 D13 it follows the parent's deadline, also one above another"),
  T(ends_by_itself, "G1 C3 it ends by a cancel of its own, before and after the parent's end"),
  T(born_after_the_end, "G1 D3 on a parent that is done it counts from now, or from the deadline"),
  T(never_and_nothing_above, "G1 P1 it may be for ever, and below what never ends"),
  T(leaves_nothing, "G1 C13 D8 it leaves nothing behind"),
  T(merges_with_others, "G1 K1 its end goes down through a merge"),
  T(is_in_the_chain, "N1 K1 a grace period and a merge are named in the chain"),
  T(never_early, "G1 D2 it is not a moment shorter"),
  T(the_thread_runs_hooks, "G1 H1 hooks below run at its end"),
  T(canceled_with_its_parent, "G1 it and its parent may be canceled at once"),
  T(born_while_the_parent_ends, "G1 C6 it may be born while its parent ends: its time is bounded"),
  T(chain_of_a_million, "G1 C10 C11 a million in a chain, on a small stack, with no memory"),
  T(fan_of_a_million, "G1 C10 C11 and in a fan"),
  T(keeps_the_deadline, "G1 it may keep the deadline its parent has at its birth"),
  T(keeps_none_or_a_past_one, "G1 D3 where there is none, or that is past"),
};

int main(int argc, char **argv)
{
  return check_run("grace", tests, sizeof tests / sizeof *tests, argc, argv);
}
