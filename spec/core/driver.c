/*
 * driver - the thread of an engine: when it starts, what it runs and where, how it ends
 *
 * In real time; that nothing comes early is exact. A gate keeps a hook from going on
 * until the test opens it, so that nothing here depends on who is faster.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>

#ifdef SLOW
enum { ROUNDS = 100 };
#else
enum { ROUNDS = 1000 };
#endif

enum { MANY = 200, CREW = 8 };

/* ---- a process that can make no thread ------------------------------------ */

static bool no_threads; /* atomic */

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* Stands before that of the system. */
int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
  union {
    void *object;
    create_fn *function;
  } next = {.object = dlsym(RTLD_NEXT, "pthread_create")};
  return READ(no_threads) ? EAGAIN : next.function(t, attr, f, arg);
}

/* ---- hooks that are watched ------------------------------------------------ */

struct gate {
  bool reached, open; /* atomic */
  int ran;            /* atomic; what came after it */
};

static void pass(struct gate *g)
{
  WRITE(g->reached, true);
  while (!READ(g->open)) sched_yield();
}

static void gate_hook(ctx_context *c, void *arg)
{
  (void)c;
  pass(arg);
}

static void count_hook(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  __atomic_fetch_add((int *)arg, 1, __ATOMIC_ACQ_REL);
}

static void count_timer(ctx_timer *t, void *arg)
{
  (void)t;
  __atomic_fetch_add((int *)arg, 1, __ATOMIC_ACQ_REL);
}

/* Runs 'f' at the end of 'c', on nobody's account. */
static void after(ctx_context *c, ctx_hook_fn *f, void *arg, unsigned flags)
{
  ctx_hook_release(need(ctx_after_func(c, f, arg, flags)));
}

/* A context that is done, with a hook that stands at 'g'. */
static void block(ctx_context *bg, struct gate *g)
{
  ctx_context *c = ctx_with_cancel(bg);
  *g = (struct gate){.open = false};
  after(c, gate_hook, g, 0);
  ctx_cancel(c);
  ctx_release(c);
  EVENTUALLY(READ(g->reached));
}

/* Closes 'w' once nothing lives in it any more. */
static void quiet_close(struct world *w)
{
  EVENTUALLY(counters(w).contexts == 0 && counters(w).hooks == 0);
  world_close(w);
}

/* ---- what runs there --------------------------------------------------------- */

static struct {
  int n; /* atomic; */
  const void *arg[MANY];
  pthread_t thread[MANY];
  int64_t at_ns[MANY];
} noted;

static void note(ctx_engine *e, const void *arg)
{
  int n = READ(noted.n);
  if (n < MANY) {
    noted.arg[n] = arg;
    noted.thread[n] = pthread_self();
    noted.at_ns[n] = ctx_engine_now(e);
  }
  WRITE(noted.n, n + 1);
}

static void note_hook(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  note(ctx_engine_of(c), arg);
}

/* They all ran on one thread, which is not this one. */
static void noted_on_one_thread(void)
{
  for (int i = 0; i < READ(noted.n); i++) {
    CHECK(pthread_equal(noted.thread[i], noted.thread[0]));
    CHECK(!pthread_equal(noted.thread[i], pthread_self()));
  }
}

TEST(hooks_in_order)
{
  struct world w;
  char id[MANY];
  ctx_context *bg = threaded(&w), *c[2] = {ctx_with_cancel(bg), ctx_with_cancel(bg)};
  WRITE(noted.n, 0);
  for (int i = 0; i < MANY; i++) after(c[i >= MANY / 2], note_hook, &id[i], 0);
  ctx_cancel(c[0]);
  ctx_cancel(c[1]);
  EVENTUALLY(READ(noted.n) == MANY);
  for (int i = 0; i < MANY; i++) CHECK(noted.arg[i] == &id[i]);
  noted_on_one_thread();
  ctx_release(c[0]);
  ctx_release(c[1]);
  quiet_close(&w);
}

TEST(hooks_at_the_deadline)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(threaded(&w), CTX_MS(20)), *b = ctx_with_cancel(a);
  WRITE(noted.n, 0);
  after(a, note_hook, NULL, 0);
  after(b, note_hook, NULL, CTX_HOOK_INLINE);
  bool in_time = real_now() < ctx_deadline(a); /* else this thread has run it */
  EVENTUALLY(READ(noted.n) == 2);
  CHECK(noted.at_ns[0] >= ctx_deadline(a));
  CHECK(noted.at_ns[1] >= ctx_deadline(a));
  if (in_time) noted_on_one_thread();
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  ctx_release(b);
  ctx_release(a);
  quiet_close(&w);
}

/* The thread is busy while the deadline passes: a question ends the context. */
TEST(hooks_of_a_question)
{
  struct world w;
  struct gate g;
  ctx_context *bg = threaded(&w), *c = ctx_with_timeout(bg, CTX_MS(20));
  WRITE(noted.n, 0);
  after(c, note_hook, NULL, CTX_HOOK_INLINE);
  after(c, note_hook, NULL, 0);
  bool in_time = real_now() < ctx_deadline(c);
  block(bg, &g);
  while (real_now() < ctx_deadline(c)) sched_yield();
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  WRITE(g.open, true);
  EVENTUALLY(READ(noted.n) == 2);
  if (in_time) noted_on_one_thread();
  ctx_release(c);
  quiet_close(&w);
}

static struct timed {
  ctx_timer timer;
  int64_t deadline_ns;
} timed[MANY];

static void note_timer(ctx_timer *t, void *arg)
{
  (void)t;
  note(arg, t);
}

/* Armed while the thread is busy, so that it finds them all. */
TEST(timers_in_order)
{
  struct world w;
  struct gate g;
  uint64_t seed = 4711;
  ctx_context *bg = threaded(&w);
  WRITE(noted.n, 0);
  block(bg, &g);
  int64_t now_ns = ctx_engine_now(w.engine);
  for (int i = 0; i < MANY; i++) {
    ctx_timer_init(&timed[i].timer, w.engine, note_timer, w.engine);
    timed[i].deadline_ns = now_ns + CTX_MS(1) * below(&seed, 10);
    CHECK_INT(ctx_timer_arm(&timed[i].timer, timed[i].deadline_ns), 0);
  }
  WRITE(g.open, true);
  EVENTUALLY(READ(noted.n) == MANY);
  for (int i = 0; i < MANY; i++) {
    const struct timed *t = noted.arg[i], *before = noted.arg[i > 0 ? i - 1 : 0];
    CHECK(noted.at_ns[i] >= t->deadline_ns);
    CHECK(before->deadline_ns < t->deadline_ns ||
          (before->deadline_ns == t->deadline_ns && before <= t));
  }
  noted_on_one_thread();
  quiet_close(&w);
}

/* The thread sleeps for a timer that is far away, each time one comes in between. */
TEST(earlier_timer_wakes)
{
  struct world w;
  int far = 0;
  ctx_timer t[2];
  threaded(&w);
  ctx_timer_init(&t[0], w.engine, count_timer, &far);
  ctx_timer_init(&t[1], w.engine, note_timer, w.engine);
  CHECK_INT(ctx_timer_arm(&t[0], ctx_engine_now(w.engine) + CTX_SECONDS(1000)), 0);
  for (int i = 0; i < 20; i++) {
    int64_t deadline_ns = ctx_engine_now(w.engine) + CTX_MS(1) * (i % 3);
    WRITE(noted.n, 0);
    CHECK_INT(ctx_timer_arm(&t[1], deadline_ns), 0);
    EVENTUALLY(READ(noted.n) == 1);
    CHECK(noted.at_ns[0] >= deadline_ns);
  }
  CHECK_INT(READ(far), 0);
  CHECK(ctx_timer_disarm(&t[0]));
  world_close(&w);
}

/* ---- when it starts ------------------------------------------------------------ */

TEST(no_thread_for_deadlines)
{
  struct world w;
  int ran = 0, key = 0, before = threads_at_rest();
  ctx_context *bg = threaded(&w), *a = ctx_with_timeout(bg, CTX_MS(2)), *b = ctx_with_cancel(a);
  ctx_context *c = ctx_with_cancel(bg), *v = ctx_with_value(c, &key, NULL, NULL);
  after(v, count_hook, &ran, CTX_HOOK_INLINE);
  while (real_now() < ctx_deadline(a)) sched_yield();
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  ctx_cancel(c);
  CHECK_INT(ran, 1);
  after(v, count_hook, &ran, CTX_HOOK_INLINE);
  CHECK_INT(ran, 2);
  CHECK_INT(threads(), before);
  ctx_release(v);
  ctx_release(c);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

/* The four that need it: by 'way' one of them. */
static int need_thread(ctx_engine *e, int way, ctx_hook *h, ctx_timer *t, ctx_context *timed_out)
{
  static int ran;
  ctx_hook_init(h, count_hook, &ran, way == 2 ? CTX_HOOK_INLINE : 0);
  ctx_timer_init(t, e, count_timer, &ran);
  if (way == 0) return ctx_engine_start(e);
  if (way == 3) return ctx_timer_arm(t, CTX_NEVER);
  return ctx_hook_attach(h, way == 1 ? ctx_engine_background(e) : timed_out);
}

TEST(thread_when_needed)
{
  for (int way = 0; way < 4; way++) {
    struct world w;
    ctx_hook h;
    ctx_timer t;
    int before = threads_at_rest();
    ctx_context *bg = threaded(&w), *c = ctx_with_timeout(bg, CTX_SECONDS(1000));
    CHECK_INT(threads(), before);
    CHECK_INT(need_thread(w.engine, way, &h, &t, c), 0);
    CHECK_INT(threads(), before + 1);
    CHECK_INT(ctx_engine_start(w.engine), 0);
    CHECK_INT(threads(), before + 1);
    ctx_hook_stop(&h);
    ctx_release(c);
    world_close(&w);
    threads_at_rest();
  }
}

struct starter {
  ctx_engine *engine;
  pthread_barrier_t *barrier;
  pthread_t thread;
};

static void *start_thread(void *arg)
{
  const struct starter *s = arg;
  pthread_barrier_wait(s->barrier);
  CHECK_INT(ctx_engine_start(s->engine), 0);
  return NULL;
}

TEST(started_by_eight)
{
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, CREW);
  for (int round = 0; round < ROUNDS / 10; round++) {
    struct world w;
    struct starter s[CREW];
    int before = threads_at_rest();
    threaded(&w);
    for (int i = 0; i < CREW; i++) {
      s[i] = (struct starter){.engine = w.engine, .barrier = &barrier};
      s[i].thread = start(start_thread, &s[i]);
    }
    for (int i = 0; i < CREW; i++) join(s[i].thread);
    EVENTUALLY(threads() == before + 1);
    world_close(&w);
    threads_at_rest();
  }
  pthread_barrier_destroy(&barrier);
}

TEST(others_need_no_start)
{
  struct world w;
  int before = threads_at_rest();
  manual(&w);
  CHECK_INT(ctx_engine_start(w.engine), 0);
  world_close(&w);
  host(&w);
  CHECK_INT(ctx_engine_start(w.engine), 0);
  world_close(&w);
  CHECK_INT(threads(), before);
}

TEST(cannot_start)
{
  struct world w;
  int ran = 0;
  ctx_hook h;
  ctx_timer t;
  ctx_context *bg = threaded(&w), *c = ctx_with_timeout(bg, CTX_SECONDS(1000));
  int64_t blocks = w.blocks;
  WRITE(no_threads, true);
  for (int way = 0; way < 4; way++) {
    CHECK_INT(need_thread(w.engine, way, &h, &t, c), EAGAIN);
    CHECK(!ctx_hook_stop(&h));
    CHECK(!ctx_timer_disarm(&t));
  }
  CHECK(ctx_after_func(c, count_hook, &ran, 0) == NULL);
  CHECK_INT(errno, EAGAIN);
  CHECK_INT(w.blocks, blocks);
  CHECK_INT(counters(&w).hooks, 0);
  CHECK_INT(counters(&w).timers, 1);
  pid_t pid = fork();
  if (pid == 0) _exit(ctx_with_cancel(bg) == NULL); /* no thread: not dead either */
  ends_well(pid);
  WRITE(no_threads, false);
  after(c, count_hook, &ran, 0);
  ctx_cancel(c);
  EVENTUALLY(READ(ran) == 1);
  ctx_release(c);
  quiet_close(&w);
}

/* ---- signals ---------------------------------------------------------------------- */

static void ask_mask(ctx_context *c, void *arg)
{
  int *open = arg;
  sigset_t mask;
  (void)c;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  int n = 0;
  for (int s = 1; s <= SIGRTMAX; s++) {
    bool reserved = s == SIGKILL || s == SIGSTOP || (s >= 32 && s < SIGRTMIN);
    if (!reserved && sigismember(&mask, s) != 1) n++;
  }
  WRITE(*open, n);
}

static pthread_t handler_thread;
static int handled; /* atomic */

static void handle(int number)
{
  (void)number;
  handler_thread = pthread_self();
  __atomic_fetch_add(&handled, 1, __ATOMIC_ACQ_REL);
}

TEST(takes_no_signals)
{
  struct world w;
  int open = -1;
  sigset_t mask;
  struct sigaction before, action = {.sa_handler = handle};
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg);
  after(c, ask_mask, &open, 0);
  ctx_cancel(c);
  EVENTUALLY(READ(open) >= 0);
  CHECK_INT(READ(open), 0);
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  CHECK_INT(sigismember(&mask, SIGUSR1), 0);

  sigaction(SIGUSR1, &action, &before);
  for (int i = 1; i <= 100; i++) {
    kill(getpid(), SIGUSR1);
    EVENTUALLY(READ(handled) == i);
    CHECK(pthread_equal(handler_thread, pthread_self()));
  }
  sigaction(SIGUSR1, &before, NULL);
  ctx_release(c);
  quiet_close(&w);
}

/* ---- a slow hook -------------------------------------------------------------------- */

TEST(slow_hook_delays)
{
  struct world w;
  struct gate g;
  int ran = 0;
  ctx_timer t;
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg);
  ctx_timer_init(&t, w.engine, count_timer, &ran);
  block(bg, &g);
  for (int i = 0; i < MANY; i++) after(c, count_hook, &ran, 0);
  ctx_cancel(c);
  CHECK_INT(ctx_timer_arm(&t, ctx_engine_now(w.engine)), 0);
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_CANCELED);
  CHECK_INT(READ(ran), 0);
  WRITE(g.open, true);
  EVENTUALLY(READ(ran) == MANY + 1);
  ctx_release(c);
  quiet_close(&w);
}

TEST(driven_by_nobody_else)
{
  struct world w;
  struct gate g;
  int ran = 0;
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg);
  after(c, count_hook, &ran, 0);
  block(bg, &g);
  ctx_cancel(c);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  CHECK_INT(ctx_engine_advance(w.engine, 1), EINVAL);
  CHECK_INT(ctx_engine_fd(w.engine), -1);
  CHECK_INT(errno, EINVAL);
  CHECK(ctx_engine_next(w.engine) <= ctx_engine_now(w.engine));
  CHECK_INT(READ(ran), 0);
  WRITE(g.open, true);
  EVENTUALLY(READ(ran) == 1);
  ctx_release(c);
  quiet_close(&w);
}

/* ---- how it ends ---------------------------------------------------------------------- */

struct closing {
  ctx_engine *engine;
  int answer; /* atomic; -1: none yet */
};

static void close_in_hook(ctx_context *c, void *arg)
{
  struct closing *k = arg;
  (void)c;
  WRITE(k->answer, ctx_engine_close(k->engine));
}

static void close_in_timer(ctx_timer *t, void *arg)
{
  (void)t;
  close_in_hook(NULL, arg);
}

TEST(close_in_its_own_functions)
{
  struct world w;
  ctx_timer t;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  struct closing k = {w.engine, -1};
  after(c, close_in_hook, &k, 0);
  ctx_cancel(c);
  EVENTUALLY(READ(k.answer) == EDEADLK);
  WRITE(k.answer, -1);
  ctx_timer_init(&t, w.engine, close_in_timer, &k);
  CHECK_INT(ctx_timer_arm(&t, 0), 0);
  EVENTUALLY(READ(k.answer) == EDEADLK);
  ctx_release(c);
  quiet_close(&w);
}

static void *close_thread(void *arg)
{
  close_in_hook(NULL, arg);
  return NULL;
}

/* Whether the engine of 'c', which is live, has begun to close. */
static bool closing(ctx_context *c)
{
  static int ran;
  ctx_hook h;
  ctx_hook_init(&h, count_hook, &ran, 0);
  bool refused = ctx_hook_attach(&h, c) == ECANCELED;
  ctx_hook_stop(&h);
  return refused;
}

/* One hook stands at the gate, others wait behind it, seen by the same look of the thread; a
 * timer and a deadline are armed. */
TEST(close_waits_for_what_runs)
{
  struct world w;
  struct gate first, g = {.open = false};
  int ran = 0;
  ctx_timer t;
  ctx_context *bg = threaded(&w), *live = ctx_with_timeout(bg, CTX_SECONDS(1000));
  ctx_context *c = ctx_with_cancel(bg);
  struct closing k = {w.engine, -1};
  ctx_timer_init(&t, w.engine, count_timer, &ran);
  CHECK_INT(ctx_timer_arm(&t, ctx_engine_now(w.engine) + CTX_SECONDS(1000)), 0);
  after(c, gate_hook, &g, 0);
  for (int i = 0; i < MANY; i++) after(c, count_hook, &ran, 0);
  after(live, count_hook, &ran, 0);
  block(bg, &first);
  ctx_cancel(c);
  ctx_release(c);
  WRITE(first.open, true);
  EVENTUALLY(READ(g.reached));
  pthread_t closer = start(close_thread, &k);
  EVENTUALLY(closing(live));
  CHECK_INT(READ(k.answer), -1);
  WRITE(g.open, true);
  join(closer);
  CHECK_INT(READ(k.answer), 0);
  CHECK_INT(READ(ran), 0);
  CHECK(ctx_cancel(live));
  ctx_release(live);
  world_memory_is_back(&w);
  CHECK_INT(READ(ran), 0);
}

/* Closed while the thread is about to begin, to sleep, to wake. */
TEST(close_at_any_moment)
{
  int ran = 0;
  for (int i = 0; i < ROUNDS * 3; i++) {
    struct world w;
    ctx_context *bg = threaded(&w), *c = ctx_with_timeout(bg, 20000);
    after(c, count_hook, &ran, 0);
    for (int spin = 0; spin < i % 1000 * 10; spin++) (void)READ(ran);
    CHECK_INT(ctx_engine_close(w.engine), 0);
    ctx_cancel(c);
    ctx_release(c);
    world_memory_is_back(&w);
  }
  threads_at_rest();
}

struct user {
  ctx_context *mine;
  bool over; /* atomic */
  int ran;   /* atomic */
};

/* Goes on with contexts of an engine that somebody closes. */
static void *use_thread(void *arg)
{
  struct user *u = arg;
  while (!READ(u->over)) {
    ctx_context *c = need(ctx_with_timeout(u->mine, 5000));
    ctx_hook *h = ctx_after_func(c, count_hook, &u->ran, 0);
    CHECK(h != NULL || errno == ECANCELED);
    if (ctx_engine_now(ctx_engine_of(u->mine)) % 2 == 0) ctx_cancel(c);
    (void)ctx_wait(c, 1000);
    if (h != NULL) ctx_hook_stop(h);
    ctx_hook_release(h);
    ctx_release(c);
  }
  ctx_release(u->mine);
  return NULL;
}

TEST(close_beside_its_contexts)
{
  for (int i = 0; i < ROUNDS / 5; i++) {
    struct world w;
    struct user u = {.mine = ctx_with_cancel(threaded(&w))};
    pthread_t thread = start(use_thread, &u);
    for (int spin = 0; spin < i % 20 * 1000; spin++) (void)READ(u.over);
    CHECK_INT(ctx_engine_close(w.engine), 0);
    WRITE(u.over, true);
    join(thread);
    world_memory_is_back(&w);
  }
}

/* ---- the default engine ------------------------------------------------------------- */

TEST(default_engine)
{
  int ran = 0, before = threads_at_rest();
  ctx_timer t;
  ctx_context *c = ctx_with_timeout(ctx_background(), CTX_MS(2));
  ctx_engine *e = ctx_engine_of(c);
  CHECK_INT(threads(), before);
  after(c, count_hook, &ran, 0);
  ctx_timer_init(&t, e, count_timer, &ran);
  CHECK_INT(ctx_timer_arm(&t, ctx_engine_now(e) + CTX_MS(3)), 0);
  EVENTUALLY(READ(ran) == 2);
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(threads(), before + 1);
  CHECK_INT(ctx_engine_close(e), EINVAL);
  ctx_release(c);
}

static const struct test tests[] = {
  T(hooks_in_order, "H7 hooks run on one thread of the engine's, in order"),
  T(hooks_at_the_deadline, "D2 at a deadline it runs the hooks, inline ones too, not early"),
  T(hooks_of_a_question, "H5 what a question leaves to it, it runs"),
  T(timers_in_order, "D10 timers fire by deadline and arming, not early"),
  T(earlier_timer_wakes, "D11 it wakes for a timer earlier than the one it sleeps for"),
  T(no_thread_for_deadlines, "B8 deadlines, questions and inline hooks start no thread"),
  T(thread_when_needed, "the first hook, timer or start starts it, and none after"),
  T(started_by_eight, "eight that start it at once start one"),
  T(others_need_no_start, "engines that others drive start none"),
  T(cannot_start, "where no thread can be made it is EAGAIN, and nothing has changed"),
  T(takes_no_signals, "it takes no signals"),
  T(slow_hook_delays, "a slow hook delays the others, and none is lost"),
  T(driven_by_nobody_else, "poll and advance leave it to its thread"),
  T(close_in_its_own_functions, "a close in one of its hooks or timers is EDEADLK"),
  T(close_waits_for_what_runs, "a close waits for the hook that runs, and runs no other"),
  T(close_at_any_moment, "a close at any moment ends its thread"),
  T(close_beside_its_contexts, "a close may race those that use its contexts"),
  T(default_engine, "the default engine has hooks and timers, and is not closed"),
};

int main(int argc, char **argv)
{
  if (no_proc("driver")) return 0;
  threads_at_rest();
  return check_run("driver", tests, sizeof tests / sizeof *tests, argc, argv);
}
