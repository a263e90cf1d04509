/*
 * interrupt - a cancel that a signal handler asks for
 *
 * The handlers here are real ones, on the thread of the test; where threads race, they
 * call what a handler would.
 */
#define _GNU_SOURCE 1

#include "context.h"
#include "system.h"
#include "world.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && !defined(CTX__PORTABLE)
#include <sys/timerfd.h>
#endif

#ifdef SLOW
enum { ROUNDS = 300, STORM = 600 };
#else
enum { ROUNDS = 3000, STORM = 6000 };
#endif

enum { PLACES = 16, STORM_HZ = 3000 };

/* ---- a handler ------------------------------------------------------------- */

static ctx_context *target; /* atomic */
static int handled, asked;  /* atomic */

static void handle(int number)
{
  (void)number;
  ctx_context *c = READ(target);
  int error = errno;
  errno = 77;
  if (c != NULL && ctx_cancel_from_signal(c)) __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
  if (errno != 77) abort();
  errno = error;
  __atomic_fetch_add(&handled, 1, __ATOMIC_RELEASE);
}

static struct sigaction listen_to(int number)
{
  struct sigaction before, action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  sigaction(number, &action, &before);
  WRITE(handled, 0);
  WRITE(asked, 0);
  return before;
}

/* Lets the handler ask for 'c', on this thread; whether it was granted. */
static bool ask(ctx_context *c)
{
  struct sigaction before = listen_to(SIGUSR1);
  WRITE(target, c);
  raise(SIGUSR1);
  EVENTUALLY(READ(handled) == 1);
  WRITE(target, NULL);
  sigaction(SIGUSR1, &before, NULL);
  return READ(asked) == 1;
}

static void quiet_close(struct world *w)
{
  EVENTUALLY(counters(w).contexts == 0 && counters(w).hooks == 0);
  world_close(w);
}

/* ---- each driver -------------------------------------------------------------- */

/* The thread sleeps, with nothing to do: it is woken. */
TEST(thread_cancels)
{
  struct world w;
  ctx_context *bg = threaded(&w), *c = ctx_with_cancel(bg), *below = ctx_with_cancel(c);
  CHECK_INT(ctx_engine_start(w.engine), 0);
  for (int i = 0; i < 100; i++) {
    ctx_context *other = ctx_with_cancel(bg);
    CHECK(ask(other));
    CHECK_INT(ctx_wait(other, CTX_SECONDS(PATIENCE_S)), CTX_CANCELED);
    ctx_release(other);
  }
  CHECK(ask(c));
  EVENTUALLY(ctx_done(below));
  CHECK_INT(ctx_err(c), CTX_CANCELED);
  ctx_release(below);
  ctx_release(c);
  quiet_close(&w);
}

/* Such an engine is polled in real time, so that its descriptor is there. */
static ctx_context *hosted(struct world *w)
{
  ctx_engine_options o = {
    .driver = CTX_DRIVER_HOST, .alloc = world_alloc, .free = world_free, .arg = w};
  *w = (struct world){.now_ns = 0};
  w->engine = need(ctx_engine_open(&o));
  return ctx_engine_background(w->engine);
}

TEST(poll_cancels)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(hosted(&w));
  int fd = ctx_engine_fd(w.engine);
  CHECK(fd < 0 || !readable(fd));
  CHECK(ask(c));
  CHECK(fd < 0 || readable(fd));
  CHECK(ctx_engine_next(w.engine) <= ctx_engine_now(w.engine));
  CHECK(!ctx_done(c));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK_INT(ctx_err(c), CTX_CANCELED);
  CHECK(fd < 0 || !readable(fd));
  CHECK_INT(ctx_engine_next(w.engine), CTX_NEVER);
  ctx_release(c);
  world_close(&w);
}

/* Opened after the signal, the descriptor tells of it too. */
TEST(late_descriptor_tells)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(hosted(&w));
  CHECK(ask(c));
  int fd = ctx_engine_fd(w.engine);
  CHECK(fd < 0 || readable(fd));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  ctx_release(c);
  world_close(&w);
}

TEST(advance_cancels)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  CHECK(ask(c));
  CHECK(!ctx_done(c));
  CHECK_INT(ctx_engine_advance(w.engine, 0), 0);
  CHECK_INT(ctx_err(c), CTX_CANCELED);
  ctx_release(c);
  world_close(&w);
}

/* ---- refused --------------------------------------------------------------------- */

TEST(refused)
{
  struct world w;
  int key = 0;
  ctx_context *bg = manual(&w), *done = ctx_with_cancel(bg), *late = ctx_with_timeout(bg, 0);
  ctx_context *detached = ctx_without_cancel(done), *v = ctx_with_value(done, &key, NULL, NULL);
  ctx_cancel(done);
  CHECK(!ask(done));
  CHECK(!ask(late));
  CHECK(!ask(detached));
  CHECK(!ask(v));
  CHECK(!ask(bg));
  CHECK(!ask(ctx_engine_todo(w.engine)));
  ctx_context *live = ctx_with_cancel(bg), *u = ctx_with_value(live, &key, NULL, NULL);
  CHECK(!ask(u));
  CHECK_INT(ctx_engine_advance(w.engine, 0), 0);
  CHECK(!ctx_done(live));
  ctx_release(u);
  ctx_release(live);
  ctx_release(v);
  ctx_release(detached);
  ctx_release(late);
  ctx_release(done);
  world_close(&w);
}

TEST(refused_without_driver)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  CHECK(!ask(c));
  CHECK_INT(ctx_engine_start(w.engine), 0);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  CHECK(!ask(c));
  CHECK(ctx_cancel(c));
  ctx_release(c);
  world_memory_is_back(&w);
}

TEST(seventeenth_refused)
{
  struct world w;
  ctx_context *bg = host(&w), *c[PLACES + 1];
  for (int i = 0; i <= PLACES; i++) {
    c[i] = ctx_with_cancel(bg);
    CHECK_INT(ask(c[i]), i < PLACES);
  }
  CHECK(ask(c[PLACES - 1]));
  CHECK_INT(ctx_engine_poll(w.engine), PLACES);
  for (int i = 0; i <= PLACES; i++) CHECK_INT(ctx_done(c[i]), i < PLACES);
  CHECK(ask(c[PLACES]));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  for (int i = 0; i <= PLACES; i++) ctx_release(c[i]);
  world_close(&w);
}

/* Its children alone hold the context, and the handler has interrupted who has its lock. */
TEST(no_lock_is_taken)
{
  struct world w;
  ctx_context *bg = host(&w), *c[PLACES], *above = ctx_with_cancel(bg), *below;
  below = ctx_with_cancel(above);
  ctx_release(above);
  for (int i = 0; i < PLACES; i++) CHECK(ask(c[i] = ctx_with_cancel(bg)));
  alarm(PATIENCE_S);
  CTX__LOCK(&above->node.lock);
  CHECK(!ask(above)); /* all places are taken */
  CTX__UNLOCK(&above->node.lock);
  CHECK_INT(ctx_engine_poll(w.engine), PLACES);
  CTX__LOCK(&above->node.lock);
  CHECK(ask(above));
  CHECK(ask(above)); /* it has got one */
  CTX__UNLOCK(&above->node.lock);
  alarm(0);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(ctx_done(below));
  ctx_release(below);
  for (int i = 0; i < PLACES; i++) ctx_release(c[i]);
  world_close(&w);
}

/* ---- references ---------------------------------------------------------------------- */

TEST(same_again_and_again)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(host(&w));
  for (int i = 0; i < 1000; i++) CHECK(ctx_cancel_from_signal(c));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(!ctx_cancel_from_signal(c));
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  ctx_release(c);
  world_close(&w);
}

TEST(held_until_canceled)
{
  struct world w;
  int ran = 0, dropped = 0;
  ctx_context *bg = host(&w), *c = ctx_with_cancel(bg);
  ctx_context *v = ctx_with_value(c, &ran, &dropped, count_drop);
  ctx_context *below = ctx_with_cancel(v);
  ctx_release(v);
  CHECK(ask(below));
  ctx_release(below);
  ctx_release(c);
  CHECK_INT(counters(&w).contexts, 3);
  CHECK_INT(dropped, 0);
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK_INT(counters(&w).contexts, 0);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(close_lets_go)
{
  struct world w;
  ctx_context *bg = host(&w);
  for (int i = 0; i < PLACES; i++) {
    ctx_context *c = ctx_with_cancel(bg);
    CHECK(ask(c));
    ctx_release(c);
  }
  CHECK_INT(ctx_engine_close(w.engine), 0);
  world_memory_is_back(&w);
}

/* ---- storms ---------------------------------------------------------------------------- */

struct drummer {
  pthread_t listener, thread;
  bool over; /* atomic */
};

/* Signals the listener, so many times, at a steady pace. */
static void *drum_thread(void *arg)
{
  struct drummer *d = arg;
  int64_t beat_ns = real_now();
  for (int i = 0; i < STORM; i++) {
    beat_ns += CTX_SECONDS(1) / STORM_HZ;
    struct timespec at = {(time_t)(beat_ns / CTX_SECONDS(1)), (long)(beat_ns % CTX_SECONDS(1))};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    pthread_kill(d->listener, SIGUSR1);
  }
  WRITE(d->over, true);
  return NULL;
}

/* True when handlers, on this thread, have had 'c' canceled; false when the drummer is done. */
static bool canceled_by_drummer(struct world *w, ctx_context *c, const struct drummer *d)
{
  WRITE(target, c);
  while (real_now() > 0 && !READ(d->over) && !ctx_done(c)) ctx_engine_poll(w->engine);
  WRITE(target, NULL);
  return ctx_done(c);
}

/* One context after the other. */
static void under_storm(ctx_context *bg, struct world *w)
{
  struct sigaction before = listen_to(SIGUSR1);
  struct drummer d = {.listener = pthread_self()};
  int canceled = 0;
  d.thread = start(drum_thread, &d);
  while (!READ(d.over)) {
    ctx_context *c = need(ctx_with_cancel(bg));
    canceled += canceled_by_drummer(w, c, &d);
    ctx_release(c);
  }
  join(d.thread);
  sigaction(SIGUSR1, &before, NULL);
  CHECK(canceled > 0);
  CHECK(READ(asked) >= canceled);
}

TEST(storm_on_a_thread)
{
  struct world w;
  ctx_context *bg = threaded(&w);
  CHECK_INT(ctx_engine_start(w.engine), 0);
  under_storm(bg, &w);
  quiet_close(&w);
}

TEST(storm_on_a_poll)
{
  struct world w;
  ctx_context *bg = hosted(&w);
  (void)ctx_engine_fd(w.engine);
  under_storm(bg, &w);
  while (ctx_engine_poll(w.engine) > 0) continue;
  quiet_close(&w);
}

/* ---- races ---------------------------------------------------------------------------------- */

struct duel {
  ctx_context *c;
  pthread_barrier_t barrier;
  int rounds;
};

/* Asks for a context of which it holds a reference. */
static void *ask_thread(void *arg)
{
  struct duel *d = arg;
  for (int i = 0; i < d->rounds; i++) {
    pthread_barrier_wait(&d->barrier);
    (void)ctx_cancel_from_signal(d->c);
    ctx_release(d->c);
    pthread_barrier_wait(&d->barrier);
  }
  return NULL;
}

/* Both hold 'd->c'. */
static void duel_round(struct duel *d, ctx_context *c, void (*act)(struct world *, ctx_context *),
                       struct world *w)
{
  d->c = ctx_retain(c);
  pthread_barrier_wait(&d->barrier);
  act(w, c);
  pthread_barrier_wait(&d->barrier);
}

static void duel_begin(struct duel *d, int rounds, pthread_t *thread)
{
  *d = (struct duel){.rounds = rounds};
  pthread_barrier_init(&d->barrier, NULL, 2);
  *thread = start(ask_thread, d);
}

static void duel_end(struct duel *d, pthread_t thread)
{
  join(thread);
  pthread_barrier_destroy(&d->barrier);
}

static void cancel_and_release(struct world *w, ctx_context *c)
{
  (void)w;
  ctx_cancel(c);
  ctx_release(c);
}

TEST(asked_beside_cancel)
{
  struct world w;
  struct duel d;
  pthread_t thread;
  ctx_context *bg = threaded(&w);
  CHECK_INT(ctx_engine_start(w.engine), 0);
  duel_begin(&d, ROUNDS, &thread);
  for (int i = 0; i < ROUNDS; i++)
    duel_round(&d, need(ctx_with_cancel(bg)), cancel_and_release, &w);
  duel_end(&d, thread);
  quiet_close(&w);
}

static void close_and_release(struct world *w, ctx_context *c)
{
  CHECK_INT(ctx_engine_close(w->engine), 0);
  ctx_release(c);
}

/* Whoever comes first: nothing of it is left in the engine. */
static void asked_beside_close(ctx_context *(*open)(struct world *), int rounds)
{
  struct duel d;
  pthread_t thread;
  duel_begin(&d, rounds, &thread);
  for (int i = 0; i < rounds; i++) {
    struct world w;
    ctx_context *c = need(ctx_with_cancel(open(&w)));
    CHECK_INT(ctx_engine_start(w.engine), 0);
    if (i % 2 == 0) (void)ctx_engine_fd(w.engine);
    duel_round(&d, c, close_and_release, &w);
    world_memory_is_back(&w);
  }
  duel_end(&d, thread);
}

TEST(asked_beside_thread_close)
{
  asked_beside_close(threaded, ROUNDS);
}

TEST(asked_beside_host_close)
{
  asked_beside_close(hosted, ROUNDS * 10);
}

#if defined(__linux__) && !defined(CTX__PORTABLE)

static ctx_context *asked_between; /* by a handler that comes before the next timerfd_settime */

typedef int settime_fn(int, int, const struct itimerspec *, struct itimerspec *);

static union {
  void *object;
  settime_fn *function;
} next;

/* As the C library calls it where time_t has more bits than it once had. */
#if defined(__USE_TIME_BITS64) && __TIMESIZE == 32
#define SETTIME "__timerfd_settime64"
#else
#define SETTIME "timerfd_settime"
#endif

/* Looked up before any signal comes: a handler may not take the lock of dlsym. */
__attribute__((constructor)) static void find_next(void)
{
  next.object = dlsym(RTLD_NEXT, SETTIME);
}

/* Stands before that of the system. */
int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *before)
{
  ctx_context *c = asked_between;
  asked_between = NULL;
  if (c != NULL) CHECK(ask(c));
  return next.function(fd, flags, at, before);
}

static void no_timer(ctx_timer *t, void *arg)
{
  (void)t;
  CHECK(arg == NULL);
}

/* The handler comes when the instant is chosen, and not yet told to the kernel. */
TEST(asked_amid_an_arm)
{
  struct world w;
  ctx_timer t;
  ctx_context *bg = hosted(&w), *c = ctx_with_cancel(bg), *d = ctx_with_cancel(bg);
  int fd = ctx_engine_fd(w.engine);
  ctx_timer_init(&t, w.engine, no_timer, &w);
  asked_between = c;
  CHECK_INT(ctx_timer_arm(&t, ctx_engine_now(w.engine) + CTX_SECONDS(1000)), 0);
  CHECK(readable(fd));
  asked_between = d; /* at the end of the poll, which arms anew */
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(readable(fd));
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK(!readable(fd));
  CHECK(ctx_done(c) && ctx_done(d));
  CHECK(ctx_timer_disarm(&t));
  ctx_release(d);
  ctx_release(c);
  world_close(&w);
}

#endif

static const struct test tests[] = {
  T(thread_cancels, "a handler wakes the thread, which cancels the context and all below"),
  T(poll_cancels, "a handler makes the engine's descriptor readable, and the poll cancels"),
  T(late_descriptor_tells, "a descriptor that is opened later tells of the signal"),
  T(advance_cancels, "on a manual engine advance cancels"),
  T(refused, "what is done, or has no end of its own, is refused"),
  T(refused_without_driver, "without a thread that runs it is refused"),
  T(seventeenth_refused, "sixteen wait for the driver, the seventeenth is refused"),
  T(no_lock_is_taken, "a handler takes no lock, whoever holds the context"),
  T(same_again_and_again, "the same context takes one place"),
  T(held_until_canceled, "the driver holds the context until it is canceled"),
  T(close_lets_go, "a close lets go of what was asked for"),
  T(storm_on_a_thread, "thousands of signals a second against a thread lose nothing"),
  T(storm_on_a_poll, "thousands of signals a second against a poll lose nothing"),
  T(asked_beside_cancel, "it may race a cancel and a release"),
  T(asked_beside_thread_close, "it may race the close of an engine with a thread"),
  T(asked_beside_host_close, "it may race the close of a host's engine"),
#if defined(__linux__) && !defined(CTX__PORTABLE)
  T(asked_amid_an_arm, "amid an arm or a poll, it is not hidden by what these tell the kernel"),
#endif
};

int main(int argc, char **argv)
{
  if (no_proc("interrupt")) return 0;
  return check_run("interrupt", tests, sizeof tests / sizeof *tests, argc, argv);
}
