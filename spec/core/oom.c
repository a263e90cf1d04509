/*
 * oom - what happens when there is no memory
 *
 * Each constructor is called with an allocator that fails at the first, the
 * second, ... allocation, once or from then on, until the call succeeds. A call
 * that fails says ENOMEM and has changed nothing. (ctx_cause_new, which belongs
 * to no engine, has no such allocator.)
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <errno.h>
#include <stdint.h>

/* The n-th allocation from now on fails, and with 'forever' all after it; 0: none. */
static void fail(struct world *w, int64_t n, bool forever)
{
  w->fail_at = n != 0 ? w->calls + n : 0;
  w->forever = forever;
}

/* ---- constructors ----------------------------------------------------- */

/* What a constructor is tried on, and what it would take. */
struct trial {
  struct world w;
  ctx_context *parent;
  ctx_cause *cause;
  int dropped; /* by the cause */
  int value;   /* counts its own drops */
  int ran;     /* runs of the hook */
};

static void count_run(ctx_context *c, void *times)
{
  CHECK(ctx_done(c));
  ++*(int *)times;
}

static const char key;

static void *make_cancel(struct trial *t)
{
  return ctx_with_cancel(t->parent);
}

static void *make_deadline(struct trial *t)
{
  return ctx_with_deadline(t->parent, 50);
}

static void *make_past(struct trial *t)
{
  return ctx_with_deadline(t->parent, -5);
}

static void *make_timeout(struct trial *t)
{
  return ctx_with_timeout(t->parent, 50);
}

static void *make_deadline_cause(struct trial *t)
{
  return ctx_with_deadline_cause(t->parent, 50, t->cause);
}

static void *make_timeout_cause(struct trial *t)
{
  return ctx_with_timeout_cause(t->parent, 50, t->cause);
}

static void *make_value(struct trial *t)
{
  return ctx_with_value(t->parent, &key, &t->value, count_drop);
}

static void *make_detached(struct trial *t)
{
  return ctx_without_cancel(t->parent);
}

static void *make_kept(struct trial *t)
{
  return ctx_without_cancel_keep_deadline(t->parent);
}

static void *make_grace(struct trial *t)
{
  return ctx_with_grace(t->parent, 10);
}

static void *make_merge(struct trial *t)
{
  ctx_context *const with[] = {ctx_engine_background(t->w.engine), t->parent, t->parent};
  return ctx_merge(3, with);
}

static void *make_hook(struct trial *t)
{
  return ctx_after_func(t->parent, count_run, &t->ran, 0);
}

static void *make_inline_hook(struct trial *t)
{
  return ctx_after_func(t->parent, count_run, &t->ran, CTX_HOOK_INLINE);
}

static void undo_context(void *c)
{
  ctx_release(c);
}

static void undo_hook(void *h)
{
  ctx_hook_stop(h);
  ctx_hook_release(h);
}

struct maker {
  void *(*make)(struct trial *);
  void (*undo)(void *);
  bool takes_cause, takes_value;
};

/* ---- on every kind of parent ------------------------------------------ */

static ctx_context *on_root(ctx_context *bg)
{
  return ctx_retain(bg);
}

static ctx_context *on_live(ctx_context *bg)
{
  return ctx_with_cancel(bg);
}

static ctx_context *on_timed(ctx_context *bg)
{
  return ctx_with_timeout(bg, 70);
}

static ctx_context *on_done(ctx_context *bg)
{
  ctx_context *c = ctx_with_cancel(bg);
  ctx_cancel(c);
  return c;
}

static ctx_context *on_value(ctx_context *bg)
{
  ctx_context *a = ctx_with_timeout(bg, 30), *v = ctx_with_value(a, &key, NULL, NULL);
  ctx_release(a);
  return v;
}

static ctx_context *on_detached(ctx_context *bg)
{
  return ctx_without_cancel(bg);
}

static ctx_context *(*const parents[])(ctx_context *) = {on_root, on_live,  on_timed,
                                                         on_done, on_value, on_detached};

enum { PARENTS = sizeof parents / sizeof *parents };

/* One call that is to fail: all is as it was before. */
static bool try_once(struct trial *t, const struct maker *m, int64_t n, bool forever, void **made)
{
  ctx_counters before = counters(&t->w);
  int64_t blocks = t->w.blocks;
  int err = ctx_err(t->parent), ran = t->ran;
  fail(&t->w, n, forever);
  errno = 0;
  *made = m->make(t);
  int error = errno;
  fail(&t->w, 0, false);
  if (*made != NULL) return false;
  check_points++;
  ctx_counters after = counters(&t->w);
  CHECK_INT(error, ENOMEM);
  CHECK_INT(t->w.blocks, blocks);
  CHECK_INT(after.contexts, before.contexts);
  CHECK_INT(after.timers, before.timers);
  CHECK_INT(after.hooks, before.hooks);
  CHECK_INT(ctx_err(t->parent), err);
  CHECK_INT(t->ran, ran);
  CHECK(t->dropped == 0 && t->value == 0);
  CHECK(ctx__check(t->w.engine) == NULL);
  return true;
}

static void trial_open(struct trial *t, ctx_context *(*parent)(ctx_context *))
{
  *t = (struct trial){.value = 0};
  t->parent = need(parent(host(&t->w)));
  t->cause = counted_cause("X", &t->dropped);
}

static void trial_close(struct trial *t, const struct maker *m)
{
  if (!m->takes_cause) ctx_cause_release(t->cause);
  CHECK_INT(t->dropped, 1);
  CHECK_INT(t->value, m->takes_value ? 1 : 0);
  ctx_release(t->parent);
  world_close(&t->w);
}

static void try_on(const struct maker *m, ctx_context *(*parent)(ctx_context *), bool forever)
{
  struct trial t;
  void *made = NULL;
  int64_t n = 1;
  trial_open(&t, parent);
  while (n < 20 && try_once(&t, m, n, forever, &made)) n++;
  CHECK(n > 1);
  if (CHECK(made != NULL)) m->undo(made);
  trial_close(&t, m);
}

static void check_maker(const struct maker *m)
{
  for (int i = 0; i < PARENTS; i++) {
    try_on(m, parents[i], false);
    try_on(m, parents[i], true);
  }
}

static void check_context(void *(*make)(struct trial *))
{
  check_maker(&(struct maker){.make = make, .undo = undo_context});
}

TEST(with_cancel)
{
  check_context(make_cancel);
}

TEST(with_deadline)
{
  check_context(make_deadline);
  check_context(make_past);
  check_context(make_timeout);
}

TEST(with_deadline_cause)
{
  struct maker m = {.make = make_deadline_cause, .undo = undo_context, .takes_cause = true};
  check_maker(&m);
  m.make = make_timeout_cause;
  check_maker(&m);
}

TEST(with_value)
{
  struct maker m = {.make = make_value, .undo = undo_context, .takes_value = true};
  check_maker(&m);
}

TEST(without_cancel)
{
  check_context(make_detached);
}

TEST(keep_deadline)
{
  check_context(make_kept);
}

TEST(with_grace)
{
  check_context(make_grace);
}

TEST(merge)
{
  check_context(make_merge);
}

TEST(after_func)
{
  check_maker(&(struct maker){.make = make_hook, .undo = undo_hook});
  check_maker(&(struct maker){.make = make_inline_hook, .undo = undo_hook});
}

static bool open_fails(struct world *w, int64_t n, bool forever)
{
  *w = (struct world){.now_ns = 0};
  fail(w, n, forever);
  errno = 0;
  w->engine = world_engine(w, CTX_DRIVER_HOST);
  if (w->engine != NULL) return false;
  check_points++;
  CHECK_INT(errno, ENOMEM);
  CHECK_INT(w->blocks, 0);
  return true;
}

TEST(engine_open)
{
  for (int forever = 0; forever < 2; forever++) {
    struct world w;
    int64_t n = 1;
    while (n < 20 && open_fails(&w, n, forever != 0)) n++;
    CHECK(n > 1);
    fail(&w, 0, false);
    if (CHECK(w.engine != NULL)) world_close(&w);
  }
}

/* ---- what needs no memory --------------------------------------------- */

enum { KEPT = 6 };

struct life {
  struct world w;
  ctx_context *c[KEPT];
  ctx_hook hook[KEPT];
  ctx_hook *h;
  ctx_timer timer;
  int ran, fired;
};

static void count_fire(ctx_timer *timer, void *times)
{
  (void)timer;
  ++*(int *)times;
}

static void life_begin(struct life *l)
{
  ctx_context *bg = host(&l->w);
  l->c[0] = need(ctx_with_cancel(bg));
  l->c[1] = need(ctx_with_timeout(l->c[0], 50));
  l->c[2] = need(ctx_with_value(l->c[1], &key, NULL, NULL));
  l->c[3] = need(ctx_with_cancel(l->c[2]));
  l->c[4] = need(ctx_without_cancel(l->c[3]));
  l->c[5] = need(ctx_with_timeout(l->c[0], 30));
  l->h = need(ctx_after_func(l->c[3], count_run, &l->ran, 0));
  for (int i = 0; i < KEPT; i++)
    ctx_hook_init(&l->hook[i], count_run, &l->ran, i % 2 ? CTX_HOOK_INLINE : 0);
  ctx_timer_init(&l->timer, l->w.engine, count_fire, &l->fired);
}

/* Attaching, arming, asking, polling, canceling, stopping: all without memory. */
static void life_live(struct life *l)
{
  for (int i = 0; i < KEPT; i++) CHECK_INT(ctx_hook_attach(&l->hook[i], l->c[i]), 0);
  CHECK_INT(ctx_timer_arm(&l->timer, 10), 0);
  l->w.now_ns = 30;
  CHECK(ctx_done(l->c[5]));
  CHECK_INT(ctx_engine_poll(l->w.engine), 2);
  CHECK(l->fired == 1 && l->ran == 1);
  CHECK(ctx_hook_stop(&l->hook[4]));
  CHECK(ctx_cancel(l->c[0]));
  CHECK(ctx_done(l->c[3]) && !ctx_done(l->c[4]));
  CHECK(ctx_hook_stop(l->h));
  ctx_engine_poll(l->w.engine);
  CHECK_INT(l->ran, 5);
  ctx_hook_release(l->h);
  for (int i = 0; i < KEPT; i++) ctx_release(l->c[i]);
}

TEST(all_else_needs_none)
{
  struct life l = {.ran = 0};
  life_begin(&l);
  int64_t calls = l.w.calls;
  fail(&l.w, 1, true);
  life_live(&l);
  CHECK_INT(l.w.calls, calls);
  world_close(&l.w);
}

static const struct test tests[] = {
  T(with_cancel, "with_cancel without memory changes nothing"),
  T(with_deadline, "with_deadline and with_timeout without memory change nothing"),
  T(with_deadline_cause, "with_deadline_cause without memory does not take the cause"),
  T(with_value, "with_value without memory does not take the value"),
  T(without_cancel, "without_cancel without memory changes nothing"),
  T(keep_deadline, "without_cancel_keep_deadline without memory changes nothing"),
  T(with_grace, "with_grace without memory changes nothing"),
  T(merge, "K1 merge without memory changes nothing"),
  T(after_func, "after_func without memory changes nothing, also on a done context"),
  T(engine_open, "ctx_engine_open without memory leaves nothing"),
  T(all_else_needs_none, "C11 what cancels, fires, attaches, stops or releases needs no memory"),
};

int main(int argc, char **argv)
{
  return check_run("oom", tests, sizeof tests / sizeof *tests, argc, argv);
}
