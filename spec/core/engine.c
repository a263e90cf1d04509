/*
 * engine - whose time it is: what is due, when, in which order, and who is told
 *
 * Manual engines, host engines on a clock that the test sets, and at the end the
 * descriptor, which alone needs the real clock. Each test ends with nothing left
 * in its engine and in its allocator.
 */
#include "platform.h"

#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef SLOW
enum { STEPS = 60000, RACES = 20000 };
#else
enum { STEPS = 200000, RACES = 100000 };
#endif

/* ---- bells: timers and hooks that say that they rang, and when --------- */

struct journal {
  ctx_engine *engine;
  size_t n;
  int rang[16];
  int64_t at_ns[16];
};

struct bell {
  ctx_timer timer;
  struct journal *journal;
  int i;
  int again;         /* how often it arms itself again, */
  int64_t period_ns; /* so long after its instant */
  int64_t due_ns;
  ctx_timer *disarms;
  bool disarmed; /* what that answered */
};

static void ring(struct bell *b)
{
  struct journal *j = b->journal;
  j->rang[j->n % 16] = b->i;
  j->at_ns[j->n % 16] = ctx_engine_now(j->engine);
  j->n++;
}

static void arm(struct bell *b, int64_t due_ns)
{
  b->due_ns = due_ns;
  CHECK_INT(ctx_timer_arm(&b->timer, due_ns), 0);
}

static void ring_timer(ctx_timer *t, void *arg)
{
  struct bell *b = arg;
  CHECK(t == &b->timer);
  ring(b);
  if (b->disarms != NULL) b->disarmed = ctx_timer_disarm(b->disarms);
  if (b->again-- > 0) arm(b, b->due_ns + b->period_ns);
}

static void ring_hook(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  ring(arg);
}

static void bells(struct bell *b, int n, struct journal *j, const struct world *w)
{
  *j = (struct journal){.engine = w->engine};
  for (int i = 0; i < n; i++) {
    b[i] = (struct bell){.journal = j, .i = i};
    ctx_timer_init(&b[i].timer, w->engine, ring_timer, &b[i]);
  }
}

static void rang_are(struct journal *j, const int *expected, size_t n)
{
  CHECK_INT(j->n, n);
  for (size_t i = 0; i < n && i < j->n; i++) CHECK_INT(j->rang[i], expected[i]);
  j->n = 0;
}

#define RANG(j, ...) \
  rang_are((j), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void rang_nothing(const struct journal *j)
{
  CHECK_INT(j->n, 0);
}

/* ---- a manual clock --------------------------------------------------- */

static void release_it(void *c)
{
  ctx_release(c);
}

/* The data of a cause may be the last that holds what is above its context, up to the engine. */
TEST(dropped_above)
{
  for (int canceled = 0; canceled < 2; canceled++) {
    struct world w;
    ctx_context *a = need(ctx_with_cancel(host(&w)));
    ctx_cause *cause = need(ctx_cause_new("X", 1, 0, ctx_retain(a), release_it));
    ctx_context *b = need(ctx_with_timeout_cause(a, 10, ctx_cause_retain(cause)));
    if (canceled) CHECK(ctx_cancel_cause(b, ctx_cause_retain(cause)));
    ctx_cause_release(cause);
    CHECK_INT(ctx_engine_close(w.engine), 0);
    ctx_release(a);
    ctx_release(b);
    CHECK_INT(w.blocks, 0);
  }
}

TEST(time_stands_still)
{
  struct world w;
  world_open(&w, CTX_DRIVER_MANUAL, 1234);
  CHECK_INT(ctx_engine_now(w.engine), 1234);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  CHECK_INT(ctx_engine_now(w.engine), 1234);
  CHECK_INT(ctx_engine_advance(w.engine, 0), 0);
  CHECK_INT(ctx_engine_now(w.engine), 1234);
  CHECK_INT(ctx_engine_advance(w.engine, 66), 0);
  CHECK_INT(ctx_engine_now(w.engine), 1300);
  world_close(&w);
}

TEST(five_seconds)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), CTX_SECONDS(5));
  ctx_engine_advance(w.engine, CTX_SECONDS(5) - 1);
  CHECK(!ctx_done(a));
  ctx_engine_advance(w.engine, 1);
  CHECK_INT(ctx_err(a), CTX_DEADLINE_EXCEEDED);
  ctx_release(a);
  world_close(&w);
}

TEST(order_of_deadlines)
{
  struct world w;
  struct journal j;
  struct bell b[6];
  ctx_context *bg = manual(&w), *c[2];
  bells(b, 6, &j, &w);
  arm(&b[0], 30);
  c[0] = ctx_with_deadline(bg, 30);
  arm(&b[2], 30);
  c[1] = ctx_with_deadline(bg, 10);
  arm(&b[4], 20);
  arm(&b[5], 10);
  ctx_hook_release(ctx_after_func(c[0], ring_hook, &b[1], 0));
  ctx_hook_release(ctx_after_func(c[1], ring_hook, &b[3], CTX_HOOK_INLINE));
  ctx_engine_advance(w.engine, 100);
  RANG(&j, 3, 5, 4, 0, 1, 2);
  ctx_release(c[0]), ctx_release(c[1]);
  world_close(&w);
}

TEST(moving_arms_anew)
{
  struct world w;
  struct journal j;
  struct bell b[3];
  manual(&w);
  bells(b, 3, &j, &w);
  for (int i = 0; i < 3; i++) arm(&b[i], 30);
  arm(&b[0], 30);
  arm(&b[1], 40);
  arm(&b[1], 30);
  CHECK_INT(counters(&w).timers, 3);
  ctx_engine_advance(w.engine, 30);
  RANG(&j, 2, 0, 1);
  world_close(&w);
}

TEST(instant_by_instant)
{
  struct world w;
  struct journal j;
  struct bell b[3];
  ctx_context *a = ctx_with_deadline(manual(&w), 25);
  bells(b, 3, &j, &w);
  b[0].again = 3, b[0].period_ns = 7;
  arm(&b[0], 10), arm(&b[1], CTX_SECONDS(3));
  ctx_hook_release(ctx_after_func(a, ring_hook, &b[2], 0));
  ctx_engine_advance(w.engine, CTX_SECONDS(10));
  static const int64_t instants[] = {10, 17, 24, 25, 31, CTX_SECONDS(3)};
  for (size_t i = 0; i < 6; i++) CHECK_INT(j.at_ns[i], instants[i]);
  RANG(&j, 0, 0, 0, 2, 0, 1);
  CHECK_INT(ctx_engine_now(w.engine), CTX_SECONDS(10));
  ctx_release(a);
  world_close(&w);
}

TEST(advance_runs_all)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  manual(&w);
  bells(b, 2, &j, &w);
  b[0].again = 2, b[0].period_ns = 0;
  arm(&b[0], 50), arm(&b[1], 51);
  ctx_engine_advance(w.engine, 50);
  RANG(&j, 0, 0, 0);
  arm(&b[0], -5);
  ctx_engine_advance(w.engine, 0);
  RANG(&j, 0);
  CHECK(ctx_timer_disarm(&b[1].timer));
  world_close(&w);
}

TEST(advance_refuses)
{
  struct world w, v;
  manual(&w), host(&v);
  CHECK_INT(ctx_engine_advance(w.engine, -1), EINVAL);
  CHECK_INT(ctx_engine_advance(w.engine, INT64_MIN), EINVAL);
  CHECK_INT(ctx_engine_now(w.engine), 0);
  CHECK_INT(ctx_engine_advance(v.engine, 5), EINVAL);
  CHECK_INT(ctx_engine_advance(ctx_engine_of(ctx_background()), 5), EINVAL);
  world_close(&w), world_close(&v);
}

struct advance {
  ctx_engine *e;
  int answer;
};

static void *advance_elsewhere(void *arg)
{
  struct advance *a = arg;
  a->answer = ctx_engine_advance(a->e, 5);
  return NULL;
}

static void wait_for_another(ctx_timer *t, void *arg)
{
  pthread_t thread;
  (void)t;
  CHECK_INT(pthread_create(&thread, NULL, advance_elsewhere, arg), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
}

TEST(advance_of_another_thread)
{
  struct world w;
  struct advance a = {.answer = 0};
  ctx_timer t;
  manual(&w);
  a.e = w.engine;
  ctx_timer_init(&t, w.engine, wait_for_another, &a);
  CHECK_INT(ctx_timer_arm(&t, 10), 0);
  CHECK_INT(ctx_engine_advance(w.engine, 20), 0);
  CHECK_INT(a.answer, EDEADLK);
  CHECK_INT(ctx_engine_now(w.engine), 20);
  world_close(&w);
}

/* The instant of the next look may be early: then nothing comes of it, and time goes on. */
TEST(advance_by_early_looks)
{
  struct bell b[40];
  struct world w;
  struct journal j;
  manual(&w);
  bells(b, 40, &j, &w);
  for (int i = 0; i < 40; i++) arm(&b[i], CTX_SECONDS(100) + CTX_MS(i));
  CHECK(ctx_engine_next(w.engine) < CTX_SECONDS(100));
  CHECK_INT(ctx_engine_advance(w.engine, CTX_SECONDS(200)), 0);
  CHECK_INT(j.n, 40);
  world_close(&w);
}

TEST(end_of_time)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  ctx_context *bg = world_open(&w, CTX_DRIVER_MANUAL, INT64_MAX - 1000);
  ctx_context *a = ctx_with_timeout(bg, 999), *never = ctx_with_timeout(bg, 1000);
  bells(b, 2, &j, &w);
  arm(&b[0], INT64_MAX - 1), arm(&b[1], INT64_MAX - 500);
  ctx_engine_advance(w.engine, 998);
  CHECK(!ctx_done(a));
  RANG(&j, 1);
  ctx_engine_advance(w.engine, 1);
  CHECK(ctx_done(a));
  RANG(&j, 0);
  ctx_engine_advance(w.engine, INT64_MAX);
  CHECK_INT(ctx_engine_now(w.engine), INT64_MAX);
  CHECK_INT(ctx_deadline(never), CTX_NEVER);
  CHECK(!ctx_done(never));
  ctx_release(a), ctx_release(never);
  world_close(&w);
}

TEST(all_of_time)
{
  struct world w;
  struct journal j;
  struct bell b[3];
  manual(&w);
  bells(b, 3, &j, &w);
  arm(&b[0], INT64_MAX - 1), arm(&b[1], 1), arm(&b[2], INT64_MAX / 2);
  CHECK_INT(ctx_engine_advance(w.engine, INT64_MAX), 0);
  CHECK_INT(j.at_ns[1], INT64_MAX / 2);
  CHECK_INT(j.at_ns[2], INT64_MAX - 1);
  RANG(&j, 1, 2, 0);
  world_close(&w);
}

TEST(clocks_are_apart)
{
  struct world w, v;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b = ctx_with_timeout(manual(&v), 50);
  ctx_engine_advance(w.engine, 50);
  CHECK(ctx_done(a) && !ctx_done(b));
  CHECK_INT(ctx_engine_now(v.engine), 0);
  ctx_release(a), ctx_release(b);
  world_close(&w), world_close(&v);
}

/* ---- from inside ------------------------------------------------------ */

/* What calls on the engine answer inside one of its functions. */
struct inside {
  struct world w;
  int runs, advance, close;
  size_t poll;
};

static void look_inside(struct inside *in)
{
  in->runs++;
  in->poll = ctx_engine_poll(in->w.engine);
  in->advance = ctx_engine_advance(in->w.engine, 5);
  in->close = ctx_engine_close(in->w.engine);
}

static void inside_timer(ctx_timer *t, void *arg)
{
  (void)t;
  look_inside(arg);
}

static void inside_hook(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  look_inside(arg);
}

/* All were refused, and the engine is as it was. */
static void check_inside(struct inside *in, int64_t now_ns)
{
  CHECK_INT(in->runs, 1);
  CHECK_INT(in->poll, 0);
  CHECK_INT(in->advance, EDEADLK);
  CHECK_INT(in->close, EDEADLK);
  CHECK_INT(ctx_engine_now(in->w.engine), now_ns);
}

TEST(inside_a_timer)
{
  struct inside in = {.runs = 0};
  ctx_timer t, later;
  struct journal j;
  struct bell b;
  manual(&in.w);
  bells(&b, 1, &j, &in.w);
  ctx_timer_init(&t, in.w.engine, inside_timer, &in);
  ctx_timer_init(&later, in.w.engine, inside_timer, &in);
  CHECK_INT(ctx_timer_arm(&t, 10), 0);
  CHECK_INT(ctx_timer_arm(&later, 12), 0);
  arm(&b, 10);
  ctx_engine_advance(in.w.engine, 10);
  check_inside(&in, 10);
  RANG(&j, 0);
  CHECK(ctx_timer_disarm(&later));
  world_close(&in.w);
}

static void check_inside_hook(unsigned flags)
{
  struct inside in = {.runs = 0};
  ctx_context *a = ctx_with_timeout(manual(&in.w), 10), *b = ctx_with_timeout(a, 10);
  ctx_hook_release(ctx_after_func(a, inside_hook, &in, flags));
  ctx_engine_advance(in.w.engine, 10);
  check_inside(&in, 10);
  ctx_release(a), ctx_release(b);
  world_close(&in.w);
}

TEST(inside_a_hook)
{
  check_inside_hook(0);
  check_inside_hook(CTX_HOOK_INLINE);
}

/* Here nobody drives the engine; it is a hook of the engine nevertheless. */
TEST(inside_an_inline_hook)
{
  struct inside in = {.runs = 0};
  ctx_context *a = ctx_with_cancel(manual(&in.w));
  ctx_hook_release(ctx_after_func(a, inside_hook, &in, CTX_HOOK_INLINE));
  ctx_cancel(a);
  check_inside(&in, 0);
  ctx_release(a);
  world_close(&in.w);
}

TEST(default_engine_stays)
{
  ctx_engine *e = ctx_engine_of(ctx_background());
  CHECK_INT(ctx_engine_close(e), EINVAL);
  ctx_context *a = ctx_with_cancel(ctx_background());
  CHECK(ctx_cancel(a));
  ctx_release(a);
  CHECK(ctx__check(e) == NULL);
}

static void other_engine(ctx_timer *t, void *arg)
{
  struct world v;
  ctx_context *a = ctx_with_timeout(manual(&v), 5);
  (void)t;
  CHECK_INT(ctx_engine_advance(v.engine, 5), 0);
  CHECK(ctx_done(a));
  ctx_release(a);
  world_close(&v);
  ++*(int *)arg;
}

TEST(another_engine_inside)
{
  struct world w;
  ctx_timer t;
  int ran = 0;
  manual(&w);
  ctx_timer_init(&t, w.engine, other_engine, &ran);
  ctx_timer_arm(&t, 5);
  ctx_engine_advance(w.engine, 5);
  CHECK_INT(ran, 1);
  world_close(&w);
}

TEST(no_lock_is_held)
{
  struct world w;
  struct journal j;
  struct bell b;
  ctx_context *bg = host(&w);
  w.nosy = true;
  bells(&b, 1, &j, &w);
  ctx_context *a = ctx_with_timeout(bg, 50), *v = ctx_with_value(a, &w, &w, NULL);
  ctx_context *c = ctx_with_cancel(v), *d = ctx_with_timeout(c, 20);
  ctx_hook_release(ctx_after_func(d, ring_hook, &b, 0));
  w.now_ns = 20;
  CHECK(ctx_done(d));
  w.now_ns = 50;
  CHECK_INT(ctx_engine_poll(w.engine), 2);
  CHECK(!ctx_cancel(c));
  ctx_release(a), ctx_release(v), ctx_release(c), ctx_release(d);
  w.nosy = false;
  RANG(&j, 0);
  world_close(&w);
}

/* ---- timers ----------------------------------------------------------- */

TEST(disarm)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  manual(&w);
  bells(b, 2, &j, &w);
  CHECK(!ctx_timer_disarm(&b[0].timer));
  arm(&b[0], 10), arm(&b[1], 10);
  CHECK_INT(counters(&w).timers, 2);
  CHECK(ctx_timer_disarm(&b[0].timer));
  CHECK(!ctx_timer_disarm(&b[0].timer));
  CHECK_INT(counters(&w).timers, 1);
  ctx_engine_advance(w.engine, 20);
  RANG(&j, 1);
  CHECK(!ctx_timer_disarm(&b[1].timer));
  world_close(&w);
}

TEST(move)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  manual(&w);
  bells(b, 2, &j, &w);
  arm(&b[0], 10), arm(&b[1], CTX_SECONDS(100));
  arm(&b[0], CTX_SECONDS(50)), arm(&b[1], 20);
  CHECK_INT(counters(&w).timers, 2);
  ctx_engine_advance(w.engine, 20);
  RANG(&j, 1);
  ctx_engine_advance(w.engine, CTX_SECONDS(50));
  RANG(&j, 0);
  world_close(&w);
}

TEST(never_disarms)
{
  struct world w;
  struct journal j;
  struct bell b;
  manual(&w);
  bells(&b, 1, &j, &w);
  arm(&b, CTX_NEVER);
  CHECK_INT(counters(&w).timers, 0);
  arm(&b, 10);
  arm(&b, CTX_NEVER);
  CHECK_INT(counters(&w).timers, 0);
  CHECK(!ctx_timer_disarm(&b.timer));
  ctx_engine_advance(w.engine, INT64_MAX);
  rang_nothing(&j);
  world_close(&w);
}

TEST(disarms_batch_mate)
{
  struct world w;
  struct journal j;
  struct bell b[4];
  manual(&w);
  bells(b, 4, &j, &w);
  for (int i = 0; i < 4; i++) arm(&b[i], 10);
  b[0].disarms = &b[2].timer; /* one that is due with it, */
  b[1].disarms = &b[1].timer; /* itself, */
  b[3].disarms = &b[0].timer; /* and one that has fired */
  ctx_engine_advance(w.engine, 10);
  RANG(&j, 0, 1, 3);
  CHECK(b[0].disarmed && !b[1].disarmed && !b[3].disarmed);
  world_close(&w);
}

static void free_timer(ctx_timer *t, void *arg)
{
  ++*(int *)arg;
  memset(t, 0xff, sizeof *t);
  free(t);
}

TEST(freed_by_its_function)
{
  struct world w;
  int ran = 0;
  manual(&w);
  for (int i = 0; i < 8; i++) {
    ctx_timer *t = need(malloc(sizeof *t));
    ctx_timer_init(t, w.engine, free_timer, &ran);
    CHECK_INT(ctx_timer_arm(t, i / 2), 0);
  }
  ctx_engine_advance(w.engine, 10);
  CHECK_INT(ran, 8);
  world_close(&w);
}

TEST(timers_allocate_nothing)
{
  struct world w;
  struct journal j;
  struct bell b[16];
  manual(&w);
  bells(b, 16, &j, &w);
  int64_t blocks = w.blocks;
  for (int i = 0; i < 16; i++) arm(&b[i], CTX_SECONDS(i));
  CHECK_INT(w.blocks, blocks);
  for (int i = 0; i < 16; i++) CHECK(ctx_timer_disarm(&b[i].timer));
  CHECK_INT(w.blocks, blocks);
  world_close(&w);
}

TEST(closed_engine)
{
  struct world w;
  int ran = 0;
  ctx_timer t;
  ctx_context *a = ctx_with_timeout(host(&w), 50);
  ctx_timer_init(&t, w.engine, free_timer, &ran);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK_INT(ctx_timer_arm(&t, 0), ECANCELED);
  CHECK_INT(ran, 0);
  ctx_release(a);
  CHECK_INT(w.blocks, 0);
}

TEST(roots_outlive_it)
{
  struct world w;
  for (int i = 0; i < 2; i++) {
    ctx_context *background = host(&w);
    ctx_context *root = i == 0 ? background : ctx_engine_todo(w.engine);
    ctx_context *c = ctx_with_cancel(root);
    CHECK_INT(ctx_engine_close(w.engine), 0);
    CHECK_INT(w.blocks, 2);
    CHECK(ctx_cancel(c));
    CHECK_INT(ctx_err(root), 0);
    ctx_release(c);
    world_memory_is_back(&w);
  }
}

/* ---- the host's clock ------------------------------------------------- */

TEST(nothing_to_do)
{
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, INT64_MAX);
  CHECK_INT(ctx_engine_next(w.engine), CTX_NEVER);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  ctx_context *c = ctx_with_timeout(bg, 50);
  CHECK(ctx_engine_next(w.engine) <= 50);
  ctx_cancel(c);
  CHECK_INT(ctx_engine_next(w.engine), CTX_NEVER);
  ctx_release(a), ctx_release(b), ctx_release(c);
  world_close(&w);
}

TEST(poll_counts)
{
  struct world w;
  struct journal j;
  struct bell b[4];
  ctx_context *a = ctx_with_timeout(host(&w), 50);
  bells(b, 4, &j, &w);
  arm(&b[0], 50), arm(&b[1], 51);
  ctx_hook_release(ctx_after_func(a, ring_hook, &b[2], 0));
  ctx_hook_release(ctx_after_func(a, ring_hook, &b[3], 0));
  w.now_ns = 49;
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  w.now_ns = 50;
  CHECK_INT(ctx_engine_poll(w.engine), 4);
  RANG(&j, 2, 3, 0);
  w.now_ns = 51;
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  RANG(&j, 1);
  ctx_release(a);
  world_close(&w);
}

TEST(next_is_past)
{
  struct world w;
  struct journal j;
  struct bell b;
  host(&w);
  bells(&b, 1, &j, &w);
  w.now_ns = 100;
  arm(&b, 60);
  CHECK(ctx_engine_next(w.engine) <= 100);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  RANG(&j, 0);
  CHECK_INT(ctx_engine_next(w.engine), CTX_NEVER);
  world_close(&w);
}

TEST(armed_in_a_poll)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  host(&w);
  bells(b, 2, &j, &w);
  b[0].again = 2, b[0].period_ns = 0;
  arm(&b[0], 50), arm(&b[1], 50);
  w.now_ns = 50;
  for (int i = 0; i < 3; i++) {
    CHECK(ctx_engine_next(w.engine) <= 50);
    ctx_engine_poll(w.engine);
    if (i == 0) RANG(&j, 0, 1);
    if (i != 0) RANG(&j, 0);
  }
  CHECK_INT(ctx_engine_next(w.engine), CTX_NEVER);
  world_close(&w);
}

/* One that always asks for the earliest instant does not keep another from firing. */
TEST(armed_in_the_past)
{
  struct world w;
  struct journal j;
  struct bell b[3];
  host(&w);
  bells(b, 3, &j, &w);
  b[0].again = 3, b[0].period_ns = -10;
  arm(&b[0], 20), arm(&b[1], 50), arm(&b[2], 51);
  w.now_ns = 60;
  ctx_engine_poll(w.engine);
  RANG(&j, 0, 1, 2);
  for (int i = 0; i < 3; i++) ctx_engine_poll(w.engine);
  RANG(&j, 0, 0, 0);
  ctx_timer_disarm(&b[1].timer), ctx_timer_disarm(&b[2].timer);
  world_close(&w);
}

/* A hook arms a timer for the past while another is due: that one fires in the same poll. */
static void arm_for_the_past(ctx_context *c, void *arg)
{
  (void)c;
  arm(arg, 1);
}

TEST(armed_by_a_hook)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  ctx_context *a = ctx_with_cancel(host(&w));
  bells(b, 2, &j, &w);
  arm(&b[0], 50);
  ctx_hook_release(need(ctx_after_func(a, arm_for_the_past, &b[1], 0)));
  ctx_cancel(a);
  w.now_ns = 100;
  ctx_engine_poll(w.engine);
  RANG(&j, 0);
  ctx_engine_poll(w.engine);
  RANG(&j, 1);
  ctx_release(a);
  world_close(&w);
}

TEST(jump)
{
  struct world w;
  struct journal j;
  struct bell b[6];
  ctx_context *a = ctx_with_timeout(host(&w), CTX_SECONDS(1800));
  static const int64_t due[] = {CTX_SECONDS(3000), 5, CTX_MS(7), CTX_SECONDS(1800), CTX_MS(7)};
  bells(b, 6, &j, &w);
  for (int i = 0; i < 5; i++) arm(&b[i], due[i]);
  ctx_hook_release(ctx_after_func(a, ring_hook, &b[5], 0));
  w.now_ns = CTX_SECONDS(3600);
  CHECK_INT(ctx_engine_poll(w.engine), 7);
  RANG(&j, 1, 2, 4, 5, 3, 0);
  ctx_release(a);
  world_close(&w);
}

TEST(next_leads_to_the_deadline)
{
  static const int64_t due[] = {
    1, 63, 64, 65, 4095, 1000003, CTX_SECONDS(86400), INT64_MAX / 3, INT64_MAX - 1};
  for (size_t i = 0; i < sizeof due / sizeof *due; i++) {
    struct world w;
    ctx_context *a = ctx_with_deadline(host(&w), due[i]);
    int polls = 0;
    while (counters(&w).timers != 0 && polls++ < 64) {
      int64_t next = ctx_engine_next(w.engine);
      CHECK(next <= due[i]);
      CHECK(polls == 1 || next > w.now_ns);
      w.now_ns = next > w.now_ns ? next : w.now_ns;
      CHECK((ctx_engine_poll(w.engine) == 1) == (w.now_ns == due[i]));
    }
    CHECK(polls <= 16);
    CHECK_INT(w.now_ns, due[i]);
    CHECK(ctx_done(a));
    ctx_release(a);
    world_close(&w);
  }
}

/* A clock on which each look takes a second. */
struct slow {
  int64_t now_ns;
  int reads;
};

static int64_t slow_now(void *arg)
{
  struct slow *s = arg;
  s->reads++;
  return s->now_ns += CTX_SECONDS(1);
}

static void count_ring(ctx_timer *t, void *arg)
{
  (void)t;
  ++*(int *)arg;
}

TEST(slow_clock)
{
  enum { MANY = 100 };
  struct slow s = {0, 0};
  ctx_timer t[MANY];
  int rang = 0;
  ctx_context *c[MANY];
  ctx_engine *e = need(
    ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST, .now = slow_now, .arg = &s}));
  for (int i = 0; i < MANY; i++) {
    ctx_timer_init(&t[i], e, count_ring, &rang);
    CHECK_INT(ctx_timer_arm(&t[i], CTX_SECONDS(1000) + i), 0);
    c[i] = need(ctx_with_deadline(ctx_engine_background(e), CTX_SECONDS(1000) + i));
  }
  s.now_ns = CTX_SECONDS(1000), s.reads = 0;
  CHECK_INT(ctx_engine_poll(e), 2 * MANY);
  CHECK_INT(s.reads, 1);
  CHECK_INT(rang, MANY);
  for (int i = 0; i < MANY; i++) ctx_release(c[i]);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(clock_goes_back)
{
  struct world w;
  struct journal j;
  struct bell b[3];
  host(&w);
  bells(b, 3, &j, &w);
  arm(&b[0], CTX_MS(500));
  w.now_ns = CTX_MS(1000);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  w.now_ns = CTX_MS(100);
  arm(&b[1], CTX_MS(900)), arm(&b[2], CTX_MS(1100));
  ctx_engine_poll(w.engine);
  CHECK(ctx__check(w.engine) == NULL);
  w.now_ns = CTX_MS(1000);
  ctx_engine_poll(w.engine);
  RANG(&j, 0, 1);
  w.now_ns = CTX_MS(1100);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  RANG(&j, 2);
  world_close(&w);
}

TEST(late_clock)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  ctx_context *bg = world_open(&w, CTX_DRIVER_HOST, INT64_MAX - 100);
  ctx_context *a = ctx_with_timeout(bg, 50);
  bells(b, 2, &j, &w);
  arm(&b[0], INT64_MAX - 1), arm(&b[1], INT64_MAX - 60);
  CHECK(ctx_engine_next(w.engine) <= INT64_MAX - 60);
  w.now_ns = INT64_MAX - 50;
  CHECK_INT(ctx_engine_poll(w.engine), 2);
  CHECK(ctx_engine_next(w.engine) <= INT64_MAX - 1);
  w.now_ns = INT64_MAX - 1;
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  RANG(&j, 1, 0);
  CHECK_INT(ctx_engine_next(w.engine), CTX_NEVER);
  ctx_release(a);
  world_close(&w);
}

/* ---- many timers against a sorted list -------------------------------- */

enum { TIMERS = 64 };

struct sim {
  struct world w;
  uint64_t seed;
  int64_t armings;
  int64_t polled_ns; /* the instant of the last poll: earlier ones count as that */
  struct sim_timer {
    ctx_timer timer;
    struct sim *sim;
    int64_t due_ns, order; /* CTX_NEVER: not armed */
  } t[TIMERS];
};

/* The first of those armed. */
static struct sim_timer *sim_first(struct sim *s)
{
  struct sim_timer *first = NULL;
  for (int i = 0; i < TIMERS; i++) {
    struct sim_timer *t = &s->t[i];
    if (t->due_ns == CTX_NEVER) continue;
    if (first == NULL || t->due_ns < first->due_ns ||
        (t->due_ns == first->due_ns && t->order < first->order))
      first = t;
  }
  return first;
}

static void sim_fire(ctx_timer *public, void *arg)
{
  struct sim_timer *t = arg;
  CHECK(public == &t->timer);
  CHECK(t == sim_first(t->sim));
  CHECK(t->due_ns <= ctx_engine_now(t->sim->w.engine));
  t->due_ns = CTX_NEVER;
}

static int64_t sim_due(struct sim *s)
{
  static const int64_t spread[] = {4, 100, 10000, CTX_MS(100), CTX_SECONDS(10000), INT64_MAX / 4};
  return s->w.now_ns - 2 + below(&s->seed, spread[below(&s->seed, 6)]);
}

static void sim_arm(struct sim *s)
{
  struct sim_timer *t = &s->t[below(&s->seed, TIMERS)];
  int64_t due_ns = sim_due(s);
  t->due_ns = due_ns > s->polled_ns ? due_ns : s->polled_ns;
  t->order = ++s->armings;
  CHECK_INT(ctx_timer_arm(&t->timer, due_ns), 0);
}

static void sim_disarm(struct sim *s)
{
  struct sim_timer *t = &s->t[below(&s->seed, TIMERS)];
  CHECK(ctx_timer_disarm(&t->timer) == (t->due_ns != CTX_NEVER));
  t->due_ns = CTX_NEVER;
}

/* Moves the clock: to what the engine calls next, or a little, or far. */
static void sim_move(struct sim *s)
{
  const struct sim_timer *first = sim_first(s);
  int64_t next = ctx_engine_next(s->w.engine);
  int64_t far = below(&s->seed, 20) == 0 ? CTX_SECONDS(100) : 50;
  CHECK((next == CTX_NEVER) == (first == NULL));
  CHECK(first == NULL || next <= first->due_ns);
  if (below(&s->seed, 2) == 0 && next != CTX_NEVER && next > s->w.now_ns)
    s->w.now_ns = next;
  else if (s->w.now_ns < INT64_MAX / 2)
    s->w.now_ns += below(&s->seed, far);
  s->polled_ns = s->w.now_ns;
  ctx_engine_poll(s->w.engine);
  first = sim_first(s);
  CHECK(first == NULL || first->due_ns > s->w.now_ns);
}

static void sim_run(uint64_t seed)
{
  struct sim *s = need(calloc(1, sizeof *s));
  s->seed = seed;
  host(&s->w);
  for (int i = 0; i < TIMERS; i++) {
    s->t[i].sim = s, s->t[i].due_ns = CTX_NEVER;
    ctx_timer_init(&s->t[i].timer, s->w.engine, sim_fire, &s->t[i]);
  }
  for (int i = 0; i < STEPS; i++) {
    static void (*const steps[])(struct sim *) = {sim_arm, sim_arm, sim_disarm, sim_move};
    steps[below(&s->seed, 4)](s);
    if (i % 64 == 0) CHECK(ctx__check(s->w.engine) == NULL);
  }
  for (int i = 0; i < TIMERS; i++) ctx_timer_disarm(&s->t[i].timer);
  world_close(&s->w);
  free(s);
}

TEST(agrees_with_sorted_list)
{
  for (uint64_t seed = 1; seed <= 3; seed++) sim_run(seed * 6151);
}

/* ---- threads ---------------------------------------------------------- */

struct busy {
  struct world w;
  int64_t inside, polled; /* atomic: stages */
};

static void wait_for(const int64_t *stage)
{
  while (__atomic_load_n(stage, __ATOMIC_ACQUIRE) == 0) sched_yield();
}

static void stage(int64_t *s)
{
  __atomic_store_n(s, 1, __ATOMIC_RELEASE);
}

static void stay_inside(ctx_timer *t, void *arg)
{
  struct busy *b = arg;
  (void)t;
  stage(&b->inside);
  wait_for(&b->polled);
}

static void *poll_thread(void *arg)
{
  struct busy *b = arg;
  CHECK_INT(ctx_engine_poll(b->w.engine), 1);
  return NULL;
}

TEST(one_polls)
{
  struct busy b = {.inside = 0};
  ctx_timer t, other;
  pthread_t thread;
  host(&b.w);
  ctx_timer_init(&t, b.w.engine, stay_inside, &b);
  ctx_timer_init(&other, b.w.engine, stay_inside, &b);
  ctx_timer_arm(&t, 0);
  if (pthread_create(&thread, NULL, poll_thread, &b) != 0) abort();
  wait_for(&b.inside);
  ctx_timer_arm(&other, 0);
  CHECK_INT(ctx_engine_poll(b.w.engine), 0);
  CHECK(ctx_timer_disarm(&other));
  stage(&b.polled);
  pthread_join(thread, NULL);
  world_close(&b.w);
}

/* Two threads arm and disarm timers of their own while a third one polls. */
struct rush {
  struct world w;
  int64_t armed, fired, disarmed; /* atomic */
  int64_t left;                   /* atomic: threads that still arm */
};

static void rush_fire(ctx_timer *t, void *arg)
{
  struct rush *r = arg;
  (void)t;
  count(&r->fired, 1);
}

static void *rush_thread(void *arg)
{
  struct rush *r = arg;
  ctx_timer t[8];
  uint64_t seed = (uint64_t)(uintptr_t)t | 1;
  for (int i = 0; i < 8; i++) ctx_timer_init(&t[i], r->w.engine, rush_fire, r);
  for (int i = 0; i < RACES; i++) {
    ctx_timer *one = &t[i % 8];
    if (ctx_timer_disarm(one)) count(&r->disarmed, 1);
    count(&r->armed, 1);
    CHECK_INT(ctx_timer_arm(one, ctx_engine_now(r->w.engine) + below(&seed, 50)), 0);
  }
  for (int i = 0; i < 8; i++)
    if (ctx_timer_disarm(&t[i])) count(&r->disarmed, 1);
  count(&r->left, -1);
  return NULL;
}

TEST(armed_by_threads)
{
  struct rush r = {.left = 2};
  pthread_t thread[2];
  host(&r.w);
  for (int i = 0; i < 2; i++)
    if (pthread_create(&thread[i], NULL, rush_thread, &r) != 0) abort();
  while (__atomic_load_n(&r.left, __ATOMIC_RELAXED) != 0) {
    count(&r.w.now_ns, 10);
    ctx_engine_poll(r.w.engine);
  }
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
  CHECK_INT(r.armed, 2 * RACES);
  CHECK_INT(r.fired + r.disarmed, r.armed);
  world_close(&r.w);
}

/*
 * The memory of a timer goes as soon as a disarming has answered: after true
 * nobody knows it any more, and false says that its function has started.
 */
enum { BATCH = 64 };

struct freed {
  struct world w;
  ctx_timer *t[BATCH];
  int64_t fired, disarmed; /* atomic */
};

static void freed_fire(ctx_timer *t, void *arg)
{
  struct freed *f = arg;
  (void)t;
  count(&f->fired, 1);
}

static void *free_thread(void *arg)
{
  struct freed *f = arg;
  for (int i = BATCH; i-- > 0;) {
    count(&f->disarmed, ctx_timer_disarm(f->t[i]));
    memset(f->t[i], 0xff, sizeof *f->t[i]);
    free(f->t[i]);
  }
  return NULL;
}

static void free_round(struct freed *f)
{
  pthread_t thread;
  for (int i = 0; i < BATCH; i++) {
    f->t[i] = need(malloc(sizeof *f->t[i]));
    ctx_timer_init(f->t[i], f->w.engine, freed_fire, f);
    CHECK_INT(ctx_timer_arm(f->t[i], 0), 0);
  }
  if (pthread_create(&thread, NULL, free_thread, f) != 0) abort();
  while (counters(&f->w).timers != 0) ctx_engine_poll(f->w.engine);
  pthread_join(thread, NULL);
}

TEST(free_after_disarm)
{
  struct freed f = {.fired = 0};
  host(&f.w);
  for (int round = 0; round < RACES / 100; round++) free_round(&f);
  CHECK_INT(f.fired + f.disarmed, RACES / 100 * BATCH);
  world_close(&f.w);
}

/* ---- the real clock --------------------------------------------------- */

static int64_t monotonic(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return CTX_SECONDS(t.tv_sec) + t.tv_nsec;
}

/* An engine of no other option than that the host drives it: on the monotonic clock. */
static ctx_context *real(struct world *w)
{
  ctx_engine_options o = {.driver = CTX_DRIVER_HOST};
  *w = (struct world){.engine = need(ctx_engine_open(&o))};
  return ctx_engine_background(w->engine);
}

TEST(monotonic_by_default)
{
  struct world w;
  real(&w);
  int64_t before = monotonic();
  int64_t own = ctx_engine_now(w.engine), standard = ctx_engine_now(ctx_engine_of(ctx_todo()));
  int64_t after = monotonic();
  CHECK(before <= own && own <= after);
  CHECK(own <= standard && standard <= after);
  world_close(&w);
}

TEST(default_engine_expires)
{
  ctx_context *a = ctx_with_timeout(ctx_background(), CTX_MS(1)), *b = ctx_with_cancel(a);
  while (!ctx_done(b)) sched_yield();
  CHECK(monotonic() >= ctx_deadline(a));
  CHECK_INT(ctx_err(a), CTX_DEADLINE_EXCEEDED);
  ctx_release(a), ctx_release(b);
}

TEST(open_refuses)
{
  ctx_engine_options o = {.driver = (ctx_driver)99};
  errno = 0;
  CHECK(ctx_engine_open(&o) == NULL);
  CHECK_INT(errno, EINVAL);
  o = (ctx_engine_options){.now = world_now}; /* a thread sleeps by the kernel's clock */
  errno = 0;
  CHECK(ctx_engine_open(&o) == NULL);
  CHECK_INT(errno, EINVAL);
}

#if CTX__FD_TIMED

/* ---- the descriptor --------------------------------------------------- */

/* Whether 'fd' is readable within so many milliseconds. */
static bool readable(int fd, int ms)
{
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, ms) == 1;
}

static int descriptors(void)
{
  DIR *d = opendir("/proc/self/fd");
  int n = 0;
  if (d == NULL) abort();
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

/* Polls whenever the kernel says so, until no timer is left. */
static void follow(struct world *w, int fd)
{
  for (int i = 0; i < 32 && counters(w).timers != 0; i++) {
    if (!CHECK(readable(fd, 10000))) return;
    ctx_engine_poll(w->engine);
  }
  CHECK_INT(counters(w).timers, 0);
  CHECK(!readable(fd, 0));
}

TEST(fd_at_the_deadline)
{
  struct world w;
  ctx_context *bg = real(&w);
  int fd = ctx_engine_fd(w.engine);
  CHECK(fd >= 0);
  CHECK(!readable(fd, 0));
  ctx_context *a = ctx_with_timeout(bg, CTX_MS(5));
  follow(&w, fd);
  CHECK(monotonic() >= ctx_deadline(a));
  CHECK(monotonic() < ctx_deadline(a) + CTX_SECONDS(5));
  CHECK(ctx_done(a));
  ctx_release(a);
  world_close(&w);
}

TEST(fd_is_armed_anew)
{
  struct world w;
  struct journal j;
  struct bell b[3];
  real(&w);
  bells(b, 3, &j, &w);
  int64_t now = monotonic();
  arm(&b[0], now + CTX_SECONDS(3600)), arm(&b[1], now + CTX_MS(8));
  int fd = ctx_engine_fd(w.engine);
  arm(&b[2], now + CTX_MS(4));
  ctx_timer_disarm(&b[0].timer);
  follow(&w, fd);
  CHECK(j.at_ns[0] >= now + CTX_MS(4) && j.at_ns[1] >= now + CTX_MS(8));
  RANG(&j, 2, 1);
  world_close(&w);
}

TEST(fd_for_hooks)
{
  struct world w;
  struct journal j;
  struct bell b[2];
  ctx_context *bg = real(&w);
  ctx_context *a = ctx_with_cancel(bg), *t = ctx_with_timeout(bg, CTX_SECONDS(3600));
  bells(b, 2, &j, &w);
  int fd = ctx_engine_fd(w.engine);
  ctx_hook_release(ctx_after_func(a, ring_hook, &b[0], 0));
  CHECK(!readable(fd, 0));
  ctx_cancel(a);
  CHECK(readable(fd, 10000));
  rang_nothing(&j);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(!readable(fd, 0));
  ctx_hook_release(ctx_after_func(a, ring_hook, &b[1], 0));
  CHECK(readable(fd, 10000));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(!readable(fd, 0));
  RANG(&j, 0, 1);
  ctx_release(a), ctx_release(t);
  world_close(&w);
}

TEST(fd_after_a_question)
{
  struct world w;
  struct journal j;
  struct bell b;
  ctx_context *a = ctx_with_timeout(real(&w), CTX_MS(1));
  bells(&b, 1, &j, &w);
  int fd = ctx_engine_fd(w.engine);
  ctx_hook_release(ctx_after_func(a, ring_hook, &b, CTX_HOOK_INLINE));
  while (!ctx_done(a)) sched_yield();
  rang_nothing(&j);
  CHECK_INT(counters(&w).timers, 0);
  CHECK(readable(fd, 10000));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(!readable(fd, 0));
  RANG(&j, 0);
  ctx_release(a);
  world_close(&w);
}

TEST(fd_when_already_due)
{
  struct world w;
  struct journal j;
  struct bell b;
  real(&w);
  bells(&b, 1, &j, &w);
  arm(&b, 0);
  int fd = ctx_engine_fd(w.engine);
  CHECK(readable(fd, 10000));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(!readable(fd, 0));
  world_close(&w);
}

TEST(fd_is_one)
{
  struct world w;
  int before = descriptors();
  ctx_context *a = ctx_with_timeout(real(&w), CTX_SECONDS(3600));
  CHECK_INT(descriptors(), before);
  int fd = ctx_engine_fd(w.engine);
  CHECK_INT(descriptors(), before + 1);
  for (int i = 0; i < 5; i++) CHECK_INT(ctx_engine_fd(w.engine), fd);
  CHECK_INT(descriptors(), before + 1);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  ctx_release(a);
  world_close(&w);
  CHECK_INT(descriptors(), before);
}

TEST(fd_closes_with_the_engine)
{
  struct world w;
  int before = descriptors();
  ctx_context *a = ctx_with_timeout(real(&w), CTX_SECONDS(3600));
  CHECK(ctx_engine_fd(w.engine) >= 0);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK_INT(descriptors(), before);
  CHECK(ctx_cancel(a));
  ctx_release(a);
  CHECK_INT(descriptors(), before);
}

static void check_no_fd(struct world *w)
{
  int before = descriptors();
  errno = 0;
  CHECK_INT(ctx_engine_fd(w->engine), -1);
  CHECK_INT(errno, EINVAL);
  CHECK_INT(descriptors(), before);
  world_close(w);
}

TEST(fd_needs_the_monotonic_clock)
{
  struct world w;
  manual(&w);
  check_no_fd(&w);
  host(&w);
  check_no_fd(&w);
}

/* The lowest descriptor that is free. */
static int first_free(void)
{
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0) abort();
  close(fd);
  return fd;
}

TEST(fd_when_there_are_none)
{
  struct world w;
  struct rlimit old, none;
  ctx_context *a = ctx_with_timeout(real(&w), CTX_MS(1));
  getrlimit(RLIMIT_NOFILE, &old);
  none = old;
  none.rlim_cur = (rlim_t)first_free();
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  errno = 0;
  CHECK_INT(ctx_engine_fd(w.engine), -1);
  CHECK_INT(errno, EMFILE);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
  int fd = ctx_engine_fd(w.engine);
  CHECK(fd >= 0);
  follow(&w, fd);
  CHECK(ctx_done(a));
  ctx_release(a);
  world_close(&w);
}

#else

TEST(fd_needs_the_kernel)
{
  struct world w;
  ctx_engine_options o = {.driver = CTX_DRIVER_HOST};
  w = (struct world){.engine = need(ctx_engine_open(&o))};
  errno = 0;
  CHECK_INT(ctx_engine_fd(w.engine), -1);
  CHECK_INT(errno, ENOTSUP);
  world_close(&w);
}

#endif

static const struct test tests[] = {
  T(dropped_above, "F8 what a cause drops may be the last that holds its context's parents"),
  T(time_stands_still, "Q1 time moves only when told"),
  T(five_seconds, "Q2 a timeout of 5 s is live a nanosecond before and done at 5 s"),
  T(order_of_deadlines, "D10 contexts and timers come by deadline, then by arming"),
  T(moving_arms_anew, "D10 moving a timer arms it anew"),
  T(instant_by_instant, "Q1 advance goes instant by instant"),
  T(advance_runs_all, "Q1 advance returns when all that is due has run"),
  T(advance_refuses, "advance refuses negative times and engines that are not manual"),
  T(advance_of_another_thread, "an advance while another thread advances is EDEADLK"),
  T(advance_by_early_looks, "an advance does not stop at instants at which nothing is due"),
  T(end_of_time, "D9 time ends at never, and what is never does not come"),
  T(all_of_time, "one advance goes through all of time"),
  T(clocks_are_apart, "an engine moves its own clock alone"),

  T(inside_a_timer, "poll, advance and close are refused inside a timer"),
  T(inside_a_hook, "poll, advance and close are refused inside a hook that the driver runs"),
  T(inside_an_inline_hook, "advance and close are refused inside an inline hook"),
  T(default_engine_stays, "the default engine cannot be closed"),
  T(another_engine_inside, "a timer may open, advance and close another engine"),
  T(no_lock_is_held, "H4 no lock is held while clock and allocator of the host run"),

  T(disarm, "a disarmed timer does not fire, and says so once"),
  T(move, "arming an armed timer moves it"),
  T(never_disarms, "arming for never only disarms"),
  T(disarms_batch_mate, "a timer can disarm one that is due with it"),
  T(freed_by_its_function, "the memory of a timer may go in its function"),
  T(timers_allocate_nothing, "timers allocate nothing"),
  T(roots_outlive_it, "a closed engine's memory stays as long as a context below a root of it"),
  T(closed_engine, "on a closed engine arming fails with ECANCELED"),

  T(nothing_to_do, "next is never when there is nothing to do"),
  T(poll_counts, "D2 poll does what is due, no more, and counts it"),
  T(next_is_past, "next is past when there is something to do"),
  T(armed_in_a_poll, "a timer armed in a poll waits for the next one"),
  T(armed_by_a_hook, "a timer that a hook arms for the past waits, and keeps no other waiting"),
  T(armed_in_the_past, "a timer armed in a poll for the past keeps no other from firing"),
  T(jump, "D10 after a jump of the clock all comes in the order of deadlines"),
  T(next_leads_to_the_deadline, "next leads to a deadline in a few polls, never beyond it"),
  T(slow_clock, "a poll looks at the clock once, however much is due"),
  T(clock_goes_back, "a clock that goes back loses no timer and fires none twice"),
  T(late_clock, "deadlines near the end of time come in order"),
  T(agrees_with_sorted_list, "D10 a random run agrees with a sorted list, and next is never late"),

  T(one_polls, "poll answers 0 while another thread polls"),
  T(armed_by_threads, "of a firing and a disarming of a timer one happens"),
  T(free_after_disarm, "the memory of a timer may go once a racing disarming has answered"),

  T(monotonic_by_default, "D12 the clock is the monotonic one by default"),
  T(default_engine_expires, "B8 a deadline of the default engine passes without a driver"),
  T(open_refuses, "P1 an unknown driver is refused"),
#if CTX__FD_TIMED
  T(fd_at_the_deadline, "the descriptor is readable at a deadline, and not after the poll"),
  T(fd_is_armed_anew, "the descriptor knows timers that are armed after it was made"),
  T(fd_for_hooks, "the descriptor is readable when a hook waits"),
  T(fd_after_a_question, "the descriptor is readable when a question has left a hook"),
  T(fd_when_already_due, "the descriptor is readable when something is due already"),
  T(fd_is_one, "there is one descriptor, closed with the engine and on exec"),
  T(fd_closes_with_the_engine, "the descriptor is closed with the engine, also when contexts stay"),
  T(fd_needs_the_monotonic_clock, "another clock has no descriptor"),
  T(fd_when_there_are_none, "without free descriptors it fails, and can be asked for again"),
#else
  T(fd_needs_the_kernel, "there is no descriptor where the kernel cannot know the time"),
#endif
};

int main(int argc, char **argv)
{
  return check_run("engine", tests, sizeof tests / sizeof *tests, argc, argv);
}
