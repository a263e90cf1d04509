/*
 * forks - children of a process in which engines have threads
 *
 * Each child makes every call once, on engines that are dead there, and then works with one
 * of its own; it ends by exit(), _exit() or a return. None hangs or crashes: its alarm would
 * end it, and its status tells.
 *
 * FORKS is the number of children of each test.
 */
#include "process.h"

#ifdef SLOW
enum { FORKS = 50 };
#else
enum { FORKS = 500 };
#endif

enum { HAMMERS = 3 };

static bool is_child;

/* The leak sanitizer asks at the end. In a child nobody owns what the other threads held. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
  return is_child;
}

/* The thread sanitizer would wait a second in every child. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
  return "atexit_sleep_ms=0";
}

/* What the parent process has in an engine, when it forks. */
static struct held {
  ctx_engine *engine;
  ctx_context *live, *timed, *value, *done;
  ctx_hook attached;
  ctx_hook *heap;
  ctx_timer timer;
} of_standard, of_opened;

static const char key;

static void nothing(ctx_context *c, void *arg)
{
  (void)c, (void)arg;
}

static void no_timer(ctx_timer *t, void *arg)
{
  (void)t, (void)arg;
}

static void hold(struct held *h, ctx_engine *e)
{
  h->engine = e;
  h->live = need(ctx_with_cancel(ctx_engine_background(e)));
  h->timed = need(ctx_with_timeout(h->live, CTX_SECONDS(3600)));
  h->value = need(ctx_with_value(h->timed, &key, h, NULL));
  h->done = need(ctx_with_timeout(h->live, 0));
  h->heap = need(ctx_after_func(h->value, nothing, NULL, 0));
  ctx_hook_init(&h->attached, nothing, NULL, 0);
  CHECK_INT(ctx_hook_attach(&h->attached, h->live), 0);
  ctx_timer_init(&h->timer, e, no_timer, NULL);
  CHECK_INT(ctx_timer_arm(&h->timer, ctx_engine_now(e) + CTX_SECONDS(3600)), 0);
}

static void let_go(struct held *h)
{
  CHECK(ctx_hook_stop(h->heap));
  ctx_hook_release(h->heap);
  CHECK(ctx_hook_stop(&h->attached));
  CHECK(ctx_timer_disarm(&h->timer));
  ctx_release(h->live);
  ctx_release(h->timed);
  ctx_release(h->value);
  ctx_release(h->done);
}

/* ---- every call, in a child --------------------------------------------- */

static void ask(const struct held *h)
{
  CHECK_INT(ctx_err(h->live), 0);
  CHECK(ctx_done(h->done) && !ctx_done(h->value));
  CHECK(ctx_cause_of(h->done) != NULL && ctx_cause_of(h->timed) == NULL);
  CHECK(ctx_deadline(h->timed) != CTX_NEVER);
  CHECK(ctx_value(h->value, &key) == h);
  CHECK(ctx_engine_of(h->live) == h->engine);
  CHECK_STR(ctx_strerror(CTX_CANCELED), "context canceled");
  CHECK(ctx_version() != NULL);
  CHECK_INT(ctx_wait(h->live, CTX_NEVER), 0);
  CHECK_INT(ctx_wait(h->done, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  CHECK(ctx_fd(h->live) == -1 && errno == ECHILD);
}

static bool refused(const void *made)
{
  return made == NULL && errno == ECHILD;
}

static void make(const struct held *h)
{
  ctx_cause *cause = need(ctx_cause_new("why", 3, 0, NULL, NULL));
  CHECK(refused(ctx_with_cancel(h->live)));
  CHECK(refused(ctx_with_timeout(h->live, CTX_SECONDS(1))));
  CHECK(refused(ctx_with_deadline(h->live, 1)));
  CHECK(refused(ctx_with_timeout_cause(h->live, CTX_SECONDS(1), cause)));
  CHECK(refused(ctx_with_deadline_cause(h->live, 1, cause)));
  CHECK(refused(ctx_with_value(h->live, &key, NULL, NULL)));
  CHECK(refused(ctx_without_cancel(h->live)));
  CHECK_STR(ctx_cause_text(cause, NULL), "why");
  CHECK(ctx_cause_code(cause) == 0 && ctx_cause_data(cause) == NULL);
  CHECK(!ctx_cancel_cause(h->live, ctx_cause_retain(cause)));
  ctx_cause_release(cause);
}

static void hooks_and_timers(struct held *h)
{
  ctx_hook hook;
  CHECK(refused(ctx_after_func(h->live, nothing, NULL, CTX_HOOK_INLINE)));
  ctx_hook_init(&hook, nothing, NULL, 0);
  CHECK_INT(ctx_hook_attach(&hook, h->done), ECHILD);
  CHECK(!ctx_hook_stop(&hook));
  ctx_hook_stop(&h->attached);
  ctx_hook_stop_wait(&h->attached);
  ctx_hook_stop_wait(h->heap);
  ctx_hook_release(h->heap);
  CHECK_INT(ctx_timer_arm(&h->timer, 0), ECHILD);
  CHECK(!ctx_timer_disarm(&h->timer));
  CHECK(!ctx_timer_disarm_wait(&h->timer));
}

static void engine(const struct held *h)
{
  ctx_counters n;
  bool standard = h == &of_standard;
  CHECK_INT(ctx_engine_start(h->engine), ECHILD);
  CHECK_INT(ctx_engine_close(h->engine), standard ? EINVAL : ECHILD);
  CHECK(ctx_engine_background(h->engine) != NULL && ctx_engine_todo(h->engine) != NULL);
  CHECK(ctx_engine_now(h->engine) > 0 && ctx_engine_is_monotonic(h->engine));
  CHECK(ctx_engine_next(h->engine) == CTX_NEVER);
  CHECK_INT(ctx_engine_poll(h->engine), 0);
  CHECK_INT(ctx_engine_fd(h->engine), -1);
  CHECK_INT(ctx_engine_advance(h->engine, 1), EINVAL);
  ctx_engine_counters(h->engine, &n);
  CHECK(n.contexts > 0);
}

static void end(const struct held *h)
{
  CHECK(!ctx_cancel_from_signal(h->live));
  CHECK(!ctx_cancel(h->live));
  CHECK_INT(ctx_err(h->live), 0);
  ctx_release(ctx_retain(h->live));
  ctx_release(h->value);
  ctx_release(h->timed);
  ctx_release(h->done);
  ctx_release(h->live);
}

/* 'arg' is a reference. */
static void cancel_it(ctx_context *c, void *arg)
{
  (void)c;
  ctx_cancel(arg);
  ctx_release(arg);
}

/* A child has engines of its own; not so where the thread sanitizer forbids threads in it. */
static void begin_anew(void)
{
#ifndef SANITIZED_THREADS
  ctx_engine *e = need(ctx_engine_open(NULL));
  ctx_context *first = need(ctx_with_timeout(ctx_engine_background(e), 1000));
  ctx_context *second = need(ctx_with_cancel(ctx_engine_todo(e)));
  ctx_hook_release(need(ctx_after_func(first, cancel_it, ctx_retain(second), 0)));
  CHECK_INT(ctx_wait(second, CTX_NEVER), CTX_CANCELED);
  CHECK(ctx_fd(second) >= 0);
  ctx_release(first);
  ctx_release(second);
  CHECK_INT(ctx_engine_close(e), 0);
#else
  (void)cancel_it;
#endif
}

static void call_all(struct held *h)
{
  ask(h);
  make(h);
  engine(h);
  hooks_and_timers(h);
  end(h);
}

/* ---- how a child ends ----------------------------------------------------- */

static jmp_buf main_frame;

/* All that a child does: the how-th of them. Comes back where the caller is to return. */
static void live_as_child(int how)
{
  begin_child();
  is_child = true;
  check_failures = 0;
  call_all(&of_standard);
  call_all(&of_opened);
  begin_anew();
  int status = check_failures != 0;
  if (status != 0 || how % 3 == 0) _exit(status);
  if (how % 3 == 1) exit(0);
}

/* Forks on this thread, which has main's frame below it. */
static pid_t fork_here(int how)
{
  pid_t child = fork();
  if (child != 0) return child;
  live_as_child(how);
  longjmp(main_frame, 1);
}

struct order {
  ctx_context *forked; /* to be canceled when it is done; a reference */
  pid_t child;
  int how;
};

/* A hook on the engine's thread. Should it return in the child, the thread, and with it the
 * process, ends. */
static void fork_in_hook(ctx_context *c, void *arg)
{
  struct order *o = arg;
  (void)c;
  pid_t child = fork();
  if (child == 0) {
    live_as_child(o->how);
    return;
  }
  ctx_context *forked = o->forked; /* who waits for it has the order on his stack */
  o->child = child;
  ctx_cancel(forked);
  ctx_release(forked);
}

static pid_t fork_there(int how)
{
  ctx_context *background = ctx_engine_background(of_opened.engine);
  ctx_context *forked = need(ctx_with_cancel(background));
  struct order o = {.forked = ctx_retain(forked), .how = how};
  ctx_context *done = need(ctx_with_timeout(background, 0));
  ctx_hook_release(need(ctx_after_func(done, fork_in_hook, &o, 0)));
  CHECK_INT(ctx_wait(forked, CTX_NEVER), CTX_CANCELED);
  ctx_release(done);
  ctx_release(forked);
  return o.child;
}

static pid_t dropped_child;

static void fork_in_drop(void *data)
{
  (void)data;
  pid_t child = fork();
  is_child = child == 0;
  if (is_child) alarm(HANG_S);
  dropped_child = child;
}

/* A child is made where a value or a cause is dropped, and goes on with the release. */
static pid_t fork_in_release(int how)
{
  ctx_context *live = of_opened.live, *c = NULL;
  if (how % 2 == 0)
    c = need(ctx_with_value(live, &key, &of_opened, fork_in_drop));
  else
    c = need(ctx_with_timeout_cause(live, CTX_SECONDS(3600),
                                    need(ctx_cause_new("x", 1, 0, NULL, fork_in_drop))));
  ctx_release(c);
  if (is_child) _exit(0);
  return dropped_child;
}

/* ---- the tests ------------------------------------------------------------ */

static bool hammering; /* atomic */

static void hammer_engine(const struct held *held)
{
  ctx_timer t;
  ctx_engine *e = held->engine;
  for (int i = 0; i < 1000; i++) ctx_release(need(ctx_with_cancel(held->live)));
  ctx_context *c = need(ctx_with_cancel(ctx_engine_background(e)));
  ctx_context *d = need(ctx_with_timeout(c, 20000));
  ctx_hook *h = need(ctx_after_func(d, nothing, NULL, 0));
  ctx_timer_init(&t, e, no_timer, NULL);
  ctx_timer_arm(&t, ctx_engine_now(e) + 10000);
  ctx_wait(d, 5000);
  ctx_cancel(c);
  ctx_timer_disarm_wait(&t);
  ctx_hook_stop_wait(h);
  ctx_hook_release(h);
  ctx_release(d);
  ctx_release(c);
}

static void *hammer(void *arg)
{
  (void)arg;
  while (__atomic_load_n(&hammering, __ATOMIC_RELAXED)) {
    hammer_engine(&of_standard);
    hammer_engine(&of_opened);
  }
  return NULL;
}

static void fork_many(pid_t (*fork_once)(int how), int hammers)
{
  pthread_t hammers_at[HAMMERS];
  struct holdings before = holdings();
  hold(&of_standard, ctx_engine_of(ctx_background()));
  hold(&of_opened, need(ctx_engine_open(NULL)));
  __atomic_store_n(&hammering, true, __ATOMIC_RELAXED);
  for (int i = 0; i < hammers; i++) hammers_at[i] = start(hammer, NULL);
#ifdef SANITIZED
  poll(NULL, 0, 100); /* a thread that starts allocates, and may hold the sanitizer's lock */
#endif
  for (int i = 0, n = setting("FORKS", FORKS); i < n; i++) {
    alarm(2 * HANG_S);
    pid_t child = fork_once(i);
    if (!CHECK(child > 0) || !CHECK_INT(end_of(child), 0)) break;
  }
  __atomic_store_n(&hammering, false, __ATOMIC_RELAXED);
  for (int i = 0; i < hammers; i++) join(hammers_at[i]);
  alarm(0);
  let_go(&of_standard);
  let_go(&of_opened);
  becomes_empty(of_standard.engine);
  becomes_empty(of_opened.engine);
  CHECK_INT(ctx_engine_close(of_opened.engine), 0);
  holds_as(before);
}

TEST(from_main)
{
  fork_many(fork_here, 0);
}

TEST(from_hooks)
{
  fork_many(fork_there, 0);
}

#ifndef SANITIZED
TEST(under_the_hammer)
{
  fork_many(fork_here, HAMMERS);
}

TEST(from_hooks_under_the_hammer)
{
  fork_many(fork_there, HAMMERS);
}

TEST(from_drops_under_the_hammer)
{
  fork_many(fork_in_release, HAMMERS);
}
#endif

/* The last three are not for a sanitizer: should another thread hold a lock of its allocator as
 * this one forks, nobody gives it back in the child. */
static const struct test tests[] = {
  T(from_main, "a child makes every call while the engines' threads sleep in its parent"),
  T(from_hooks, "a child that a hook forks makes every call"),
#ifndef SANITIZED
  T(under_the_hammer, "a child makes every call, whatever locks were held as it was forked"),
  T(from_hooks_under_the_hammer, "a child that a hook forks does so, whatever locks were held"),
  T(from_drops_under_the_hammer, "and one that is forked where a value or a cause is dropped"),
#endif
};

int main(int argc, char **argv)
{
  if (setjmp(main_frame) != 0) return 0;
  if (ctx_engine_start(ctx_engine_of(ctx_background())) != 0) return 1;
  return check_run("forks", tests, sizeof tests / sizeof *tests, argc, argv);
}
