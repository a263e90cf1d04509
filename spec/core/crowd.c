/*
 * crowd - threads that make, move, end, ask and let go contexts of every kind, all in one tree
 *
 * They share a table of contexts: each step takes some from it as parents, puts a new one in
 * the place of another, or ends, moves, shows or names one. What must hold at any moment is stated
 * there; in the end nothing is left. For the rest there are the sanitizers.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#ifdef SLOW
enum { STEPS = 40000, STACK = 512 * 1024 };
#else
enum { STEPS = 200000, STACK = 64 * 1024 };
#endif

enum { THREADS = 4, PLACES = 24, UPS = 3, CHILDREN = 70 };

struct table {
  struct world w;
  pthread_mutex_t lock; /* guards 'c' */
  ctx_context *c[PLACES];
};

struct member {
  struct table *t;
  uint64_t seed;
  pthread_t thread;
};

static int key;

/* One of the table, with a reference. */
static ctx_context *pick(struct member *m)
{
  pthread_mutex_lock(&m->t->lock);
  ctx_context *c = ctx_retain(m->t->c[below(&m->seed, PLACES)]);
  pthread_mutex_unlock(&m->t->lock);
  return c;
}

/* Puts 'c' in the place of another. The first few stay, so that the tree has a trunk. */
static void put(struct member *m, ctx_context *c)
{
  int64_t place = 4 + below(&m->seed, PLACES - 4);
  pthread_mutex_lock(&m->t->lock);
  ctx_context *before = m->t->c[place];
  m->t->c[place] = c;
  pthread_mutex_unlock(&m->t->lock);
  ctx_release(before);
}

static int64_t some_time(struct member *m)
{
  return CTX_MS(below(&m->seed, 20)) / 4;
}

static ctx_context *make(struct member *m, ctx_context *const up[])
{
  int64_t soon_ns = ctx_engine_now(m->t->w.engine) + some_time(m);
  switch (below(&m->seed, 8)) {
  case 0: return ctx_with_cancel(up[0]);
  case 1: return ctx_with_deadline(up[0], soon_ns);
  case 2: return ctx_with_timeout(up[0], CTX_NEVER);
  case 3: return ctx_with_value(up[0], &key, m, NULL);
  case 4: return ctx_with_grace(up[0], some_time(m));
  case 5: return ctx_without_cancel_keep_deadline(up[0]);
  default: return ctx_merge((size_t)(1 + below(&m->seed, UPS)), up);
  }
}

static void step_make(struct member *m)
{
  ctx_context *up[UPS];
  for (int i = 0; i < UPS; i++) up[i] = pick(m);
  put(m, need(make(m, up)));
  for (int i = 0; i < UPS; i++) ctx_release(up[i]);
}

/* A context has ended for good, and not before its deadline. */
static void step_ask(struct member *m)
{
  ctx_context *c = pick(m);
  int err = ctx_err(c);
  if (err == CTX_DEADLINE_EXCEEDED) CHECK(ctx_engine_now(m->t->w.engine) >= ctx_deadline(c));
  if (err != 0) CHECK_INT(ctx_err(c), err);
  if (err == 0) CHECK(ctx_cause_of(c) == NULL || ctx_done(c));
  ctx_release(c);
}

/* Who has canceled one finds it done, with what hangs on it. */
static void step_cancel(struct member *m)
{
  ctx_context *c = pick(m), *child = ctx_with_cancel(c), *one = ctx_with_cancel(child);
  ctx_context *merge = need(ctx_merge(2, (ctx_context *[]){one, child}));
  if (ctx_cancel(below(&m->seed, 16) == 0 ? c : child)) {
    CHECK(ctx_done(child) && ctx_done(one) && ctx_done(merge));
    CHECK(ctx_cause_of(merge) == ctx_cause_of(child));
  }
  ctx_release(merge);
  ctx_release(one);
  ctx_release(child);
  ctx_release(c);
}

static void step_move(struct member *m)
{
  ctx_context *c = pick(m);
  bool never = below(&m->seed, 4) == 0;
  int64_t to_ns = never ? CTX_NEVER : ctx_engine_now(m->t->w.engine) + some_time(m);
  int err = ctx_extend(c, to_ns);
  CHECK(err == 0 || err == EINVAL || err == ECANCELED);
  ctx_release(c);
}

static void at_the_end(ctx_context *c, void *arg)
{
  (void)arg;
  CHECK(ctx_done(c));
}

/* One that is stopped after another step, if it has not run by then. */
static void step_hook(struct member *m)
{
  ctx_context *c = pick(m);
  unsigned flags = below(&m->seed, 2) == 0 ? CTX_HOOK_INLINE : 0;
  ctx_hook *h = need(ctx_after_func(c, at_the_end, NULL, flags));
  step_move(m);
  step_ask(m);
  ctx_hook_stop(h);
  ctx_hook_release(h);
  ctx_release(c);
}

static void step_wait(struct member *m)
{
  ctx_context *c = pick(m);
  ctx_wait(c, CTX_MS(1) / 10);
  ctx_release(c);
}

/* The live tree below one: a parent comes before its children. One that is found is put into the
 * table. */
static void step_show(struct member *m)
{
  ctx_context *c = pick(m);
  ctx_engine_track(m->t->w.engine, below(&m->seed, 4) != 0);
  ctx_snapshot *s = need(ctx_snapshot_take(c));
  size_t n = ctx_snapshot_count(s);
  for (size_t i = 1; i < n; i++) {
    const ctx_snapshot_entry *e = ctx_snapshot_at(s, i);
    CHECK(e->parent < i && e->depth == ctx_snapshot_at(s, e->parent)->depth + 1);
  }
  put(m, ctx_retain(ctx_snapshot_at(s, (size_t)below(&m->seed, (int64_t)n))->context));
  ctx_snapshot_free(s);
  ctx_release(c);
}

/* So many below one that a walk lets others in. */
static void step_crowd(struct member *m)
{
  ctx_context *c = pick(m), *child[CHILDREN];
  for (int i = 0; i < CHILDREN; i++) child[i] = need(make(m, (ctx_context *[UPS]){c, c, c}));
  step_cancel(m);
  for (int i = 0; i < CHILDREN; i++) ctx_release(child[i]);
  ctx_release(c);
}

/* The driver cancels it, if there is one; else the next poll. */
static void step_signal(struct member *m)
{
  ctx_context *c = pick(m);
  ctx_cancel_from_signal(c);
  if (below(&m->seed, 2) == 0) ctx_engine_poll(m->t->w.engine);
  ctx_release(c);
}

/* What a context gets only when it is asked. */
static void step_name(struct member *m)
{
  ctx_context *c = pick(m);
  char name[8];
  CHECK_INT(ctx_set_name(c, "name"), 0);
  CHECK(ctx_name(c, name, sizeof name) == 4);
  uint64_t id = ctx_id(c);
  CHECK(id != 0 && ctx_id(c) == id);
  ctx_track_site("s");
  if (below(&m->seed, 4) == 0) CHECK(ctx_fd(c) >= 0);
  ctx_release(c);
}

static void *work(void *arg)
{
  struct member *m = arg;
  for (int i = 0; i < STEPS; i++) {
    int64_t what = below(&m->seed, 36);
    if (what < 16)
      step_make(m);
    else if (what < 20)
      step_ask(m);
    else if (what < 23)
      step_cancel(m);
    else if (what < 29)
      step_move(m);
    else if (what < 31)
      step_hook(m);
    else if (what < 32)
      step_wait(m);
    else if (what < 33)
      step_show(m);
    else if (what < 34)
      step_name(m);
    else if (what < 35)
      step_signal(m);
    else if (below(&m->seed, 8) == 0)
      step_crowd(m);
  }
  return NULL;
}

/* The trunk: it lives unless somebody cancels it, and its deadline is moved over and over. */
static void open_table(struct table *t, ctx_driver driver)
{
  *t = (struct table){.lock = PTHREAD_MUTEX_INITIALIZER};
  t->w.engine = need(ctx_engine_open(&(ctx_engine_options){.driver = driver}));
  ctx_context *bg = ctx_engine_background(t->w.engine);
  t->c[0] = ctx_retain(bg);
  t->c[1] = ctx_with_timeout(bg, CTX_NEVER);
  t->c[2] = ctx_with_timeout(bg, CTX_SECONDS(3600));
  t->c[3] = ctx_with_cancel(t->c[1]);
  for (int i = 4; i < PLACES; i++) t->c[i] = ctx_with_cancel(t->c[i % 4]);
}

static void close_table(struct table *t)
{
  for (int i = 0; i < PLACES; i++) ctx_cancel(t->c[i]);
  for (int i = 0; i < PLACES; i++) ctx_release(t->c[i]);
  EVENTUALLY(ctx_engine_poll(t->w.engine) == 0 && counters(&t->w).contexts == 0);
  world_is_empty(&t->w);
  CHECK_INT(ctx_engine_close(t->w.engine), 0);
}

static void crowd(ctx_driver driver, uint64_t seed)
{
  struct table t;
  struct member m[THREADS];
  open_table(&t, driver);
  for (int i = 0; i < THREADS; i++) {
    m[i] = (struct member){.t = &t, .seed = seed + (uint64_t)i};
    m[i].thread = start_sized(work, &m[i], STACK);
  }
  for (int i = 0; i < THREADS; i++) join(m[i].thread);
  close_table(&t);
}

TEST(with_a_thread)
{
  for (uint64_t seed = 1; seed < 4; seed++) crowd(CTX_DRIVER_THREAD, seed * 1000);
}

TEST(with_a_host)
{
  for (uint64_t seed = 1; seed < 4; seed++) crowd(CTX_DRIVER_HOST, seed * 1000000);
}

static void *name_and_release(void *arg)
{
  CHECK_INT(ctx_set_name(arg, "n"), 0);
  ctx_release(arg);
  return NULL;
}

TEST(named)
{
  for (int i = 0; i < 200; i++) {
    ctx_context *c = need(ctx_with_cancel(ctx_background()));
    ctx_cancel(c);
    pthread_t other = start(name_and_release, ctx_retain(c));
    ctx_release(c);
    join(other);
  }
}

static const struct test tests[] = {
  T(with_a_thread, "B10 C1 C14 D2 D13 K1 G1 N3 many threads share one tree, and its thread drives"),
  T(with_a_host, "B8 C14 D13 K1 G1 and nobody drives"),
  T(named, "B10 one gives a name to what has ended, and another lets it go"),
};

int main(int argc, char **argv)
{
  return check_run("crowd", tests, sizeof tests / sizeof *tests, argc, argv);
}
