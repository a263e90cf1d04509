/*
 * calls - the calls of the system that the engine makes, when they fail
 *
 * Each fails at its first, second and third call, once or from then on, in a child of its own,
 * where some lives of an engine are led. A life that meets the failure says what is documented,
 * and leaves no thread, descriptor or context behind; led again, it goes as ever.
 */
#include "process.h"

#include "faulty.h"

#include <sys/mman.h>

enum { TIMES = 3 };

#ifdef CTX__PORTABLE
enum { PORTABLE = true }; /* no timerfd and no futex */
#else
enum { PORTABLE = false };
#endif

enum { WENT_WELL, HAS_FAILED }; /* what a life answers */

static enum fault failing(void)
{
  return __atomic_load_n(&faulty.what, __ATOMIC_ACQUIRE);
}

/* States that 'error' is the right one: where no thread can be started, EAGAIN. */
static int failed_with(int error, bool thread)
{
  CHECK_INT(error, thread ? EAGAIN : errors[failing()]);
  return HAS_FAILED;
}

/* The memory of the engines does not fail here: oom.c and heap.c are about that. */
static void *alloc(void *arg, size_t size)
{
  (void)arg;
  return __real_malloc(size);
}

static void give_back(void *arg, void *block, size_t size)
{
  (void)arg;
  (void)size;
  free(block);
}

static ctx_engine *engine(ctx_driver driver)
{
  ctx_engine_options o = {.driver = driver, .alloc = alloc, .free = give_back};
  return need(ctx_engine_open(&o));
}

/* ---- lives ------------------------------------------------------------------ */

static void note(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  WRITE(*(int *)arg, 1);
}

static void ring(ctx_timer *t, void *arg)
{
  (void)t;
  WRITE(*(int *)arg, 1);
}

static int first_thread_by_hook(ctx_engine *e, ctx_context *bg)
{
  int ran = 0;
  ctx_context *c = need(ctx_with_cancel(bg));
  ctx_hook *h = ctx_after_func(c, note, &ran, 0);
  int answer = h == NULL ? failed_with(errno, true) : WENT_WELL;
  ctx_cancel(c);
  if (h != NULL) EVENTUALLY(READ(ran) == 1);
  ctx_hook_release(h);
  ctx_release(c);
  (void)e;
  return answer;
}

static int first_thread_by_timer(ctx_engine *e, ctx_context *bg)
{
  int ran = 0;
  ctx_timer t;
  ctx_timer_init(&t, e, ring, &ran);
  int failed = ctx_timer_arm(&t, ctx_engine_now(e) + 1000);
  if (failed == 0) EVENTUALLY(READ(ran) == 1);
  ctx_timer_disarm_wait(&t);
  (void)bg;
  return failed != 0 ? failed_with(failed, true) : WENT_WELL;
}

static int first_thread_by_grace(ctx_engine *e, ctx_context *bg)
{
  ctx_context *c = need(ctx_with_cancel(bg)), *g = ctx_with_grace(c, 1000);
  int answer = g == NULL ? failed_with(errno, true) : WENT_WELL;
  ctx_cancel(c);
  if (g != NULL) CHECK_INT(ctx_wait(g, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  ctx_release(g);
  ctx_release(c);
  (void)e;
  return answer;
}

/* An inline hook needs no thread, until there is a deadline. */
static int first_thread_by_extend(ctx_engine *e, ctx_context *bg)
{
  int ran = 0;
  ctx_hook h;
  ctx_context *c = need(ctx_with_deadline(bg, CTX_NEVER));
  ctx_hook_init(&h, note, &ran, CTX_HOOK_INLINE);
  CHECK_INT(ctx_hook_attach(&h, c), 0);
  int failed = ctx_extend(c, ctx_engine_now(e) + 1000);
  if (failed == 0)
    EVENTUALLY(READ(ran) == 1);
  else
    CHECK_INT(ctx_deadline(c), CTX_NEVER);
  ctx_hook_stop_wait(&h);
  ctx_release(c);
  return failed != 0 ? failed_with(failed, true) : WENT_WELL;
}

/* Waiting needs no thread; whoever is woken for nothing sleeps again. */
static int wait_for_deadline(ctx_engine *e, ctx_context *bg)
{
  ctx_context *c = need(ctx_with_timeout(bg, CTX_MS(2)));
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  CHECK(ctx_engine_now(e) >= ctx_deadline(c));
  ctx_release(c);
  return WENT_WELL;
}

static int open_descriptor(ctx_engine *e, ctx_context *bg)
{
  ctx_context *c = need(ctx_with_cancel(bg));
  int fd = ctx_fd(c), answer = fd < 0 ? failed_with(errno, false) : WENT_WELL;
  ctx_cancel(c);
  if (fd >= 0) CHECK(readable(fd));
  ctx_release(c);
  (void)e;
  return answer;
}

static int (*const lives[])(ctx_engine *, ctx_context *) = {
  first_thread_by_hook,   first_thread_by_timer, first_thread_by_grace,
  first_thread_by_extend, wait_for_deadline,     open_descriptor};

enum { LIVES = sizeof lives / sizeof *lives };

static int on_an_engine(int (*life)(ctx_engine *, ctx_context *))
{
  ctx_engine *e = engine(CTX_DRIVER_THREAD);
  int answer = life(e, ctx_engine_background(e));
  becomes_empty(e);
  CHECK_INT(ctx_engine_close(e), 0);
  return answer;
}

/* ---- a fork ------------------------------------------------------------------- */

/* How often a failure was met, in all children. */
static int *points;

static void met_or_not(void)
{
  if (heal()) __atomic_fetch_add(points, 1, __ATOMIC_RELAXED);
}

/* In the child: the numbers stay what they are, and are its own. */
static void renew(ctx_engine *e, ctx_context *c, int engine_fd, int fd)
{
  int before = descriptors(), again = ctx_fd(c);
  if (again < 0) failed_with(errno, false);
  if (engine_fd >= 0 && ctx_engine_fd(e) < 0) failed_with(errno, false);
  CHECK_INT(descriptors(), before);
  met_or_not();
  CHECK_INT(ctx_fd(c), fd);
  if (engine_fd >= 0) CHECK_INT(ctx_engine_fd(e), engine_fd);
  CHECK_INT(descriptors(), before);
  CHECK(!readable(fd));
  ctx_cancel(c);
  CHECK(readable(fd));
}

static int with_a_child(void)
{
  ctx_engine *e = engine(CTX_DRIVER_HOST);
  ctx_context *c = need(ctx_with_cancel(ctx_engine_background(e)));
  int engine_fd = ctx_engine_fd(e), error = errno, fd = ctx_fd(c), answer = WENT_WELL;
  if (engine_fd < 0 && error != ENOTSUP) answer = failed_with(error, false);
  if (fd < 0) answer = failed_with(errno, false);
  fflush(stdout);
  pid_t child = fd >= 0 ? fork() : -1;
  if (child == 0) {
    begin_child();
    renew(e, c, engine_fd, fd);
    fflush(stdout);
    _exit(READ(check_failures) != 0);
  }
  if (fd >= 0) CHECK_INT(end_of(child), 0);
  CHECK(fd < 0 || !readable(fd));
  ctx_release(c);
  CHECK_INT(ctx_engine_close(e), 0);
  return answer;
}

/* ---- signals -------------------------------------------------------------------- */

static bool is_default(int signal)
{
  struct sigaction now;
  return __real_sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL;
}

/* A signal ends the context: its cause is there unless it found no memory. */
static void is_ended_by(ctx_context *c, int signal)
{
  char text[32];
  raise(signal);
  CHECK_INT(ctx_wait(c, CTX_SECONDS(20)), CTX_CANCELED);
  snprintf(text, sizeof text, "signal %d", signal);
  if (failing() != FAULT_MALLOC) CHECK_STR(ctx_cause_text(ctx_cause_of(c), NULL), text);
}

/* Whether the thread that is told of signals ends. */
static bool deafens(enum fault what)
{
  return what == FAULT_END || what == FAULT_CLOSED;
}

static int listen_to_two(void)
{
  const int two[] = {SIGUSR1, SIGRTMIN + 1};
  ctx_context *c = ctx_notify_signals(ctx_background(), 2, two);
  if (c == NULL) {
    int answer = failed_with(errno, false);
    bool restored = failing() != FAULT_ACTION || !faulty.forever;
    if (restored) CHECK(is_default(two[0]) && is_default(two[1]));
    return answer;
  }
  if (!deafens(failing()))
    is_ended_by(c, two[1]);
  else if (faulty.at == 1) /* the thread reads at once */
    EVENTUALLY(READ(faulty.calls) == 1);
  ctx_release(c);
  return WENT_WELL;
}

/* ---- all that may fail, wherever it may fail ----------------------------------------- */

static int lead(int life)
{
  if (life < LIVES) return on_an_engine(lives[life]);
  return life == LIVES ? with_a_child() : listen_to_two();
}

/* Whether nobody has to learn of it. */
static bool is_borne(enum fault what)
{
  return what == FAULT_SLEEP || what == FAULT_READ || deafens(what) || what == FAULT_ACTION ||
         what == FAULT_MALLOC;
}

static void try_life(int life, enum fault what, int at, bool forever)
{
  struct holdings before = {threads_at_rest(), descriptors()};
  fail(what, at, forever);
  int answer = lead(life);
  bool met = heal();
  if (met) __atomic_fetch_add(points, 1, __ATOMIC_RELAXED);
  CHECK(met || answer == WENT_WELL);
  CHECK(!met || answer == HAS_FAILED || is_borne(what));
  bool listens =
    life > LIVES && (answer == WENT_WELL || what == FAULT_ACTION); /* its thread stays */
  if (!listens) holds_as(before);
  if (deafens(what)) return; /* nobody reads any more */
  CHECK_INT(lead(life), WENT_WELL);
  if (life <= LIVES) holds_as(before);
}

static void in_child(int life, enum fault what, int at, bool forever)
{
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    try_life(life, what, at, forever);
    if (READ(check_failures) != 0) printf("# fault %d at call %d, life %d\n", (int)what, at, life);
    fflush(stdout);
    _exit(READ(check_failures) != 0);
  }
  CHECK_INT(end_of(child), 0);
}

/* All lives with this failure: how often it was met. */
static int met_by_all(enum fault what)
{
  int before = *points,
      times = what == FAULT_MASK ? 1 : TIMES; /* the second time would undo the first */
  for (int life = 0; life < LIVES + 2; life++) {
    for (int at = 1; at <= times; at++) {
      in_child(life, what, at, false);
      in_child(life, what, at, true);
    }
  }
  return *points - before;
}

TEST(threads_fail)
{
  CHECK(met_by_all(FAULT_THREAD) > 0);
  CHECK(met_by_all(FAULT_ATTR) > 0);
  CHECK(met_by_all(FAULT_STACK) > 0);
  CHECK(met_by_all(FAULT_MASK) > 0);
  CHECK(met_by_all(FAULT_MALLOC) > 0);
  CHECK(met_by_all(FAULT_ATFORK) > 0);
}

TEST(descriptors_fail)
{
  CHECK(met_by_all(FAULT_TIMER) > 0 || PORTABLE);
  CHECK(met_by_all(FAULT_PIPE) > 0);
  CHECK(met_by_all(FAULT_FCNTL) > 0);
  CHECK(met_by_all(FAULT_DUP) > 0);
}

TEST(signals_fail)
{
  CHECK(met_by_all(FAULT_ACTION) > 0);
  CHECK(met_by_all(FAULT_READ) > 0);
  CHECK(met_by_all(FAULT_END) > 0);
  CHECK(met_by_all(FAULT_CLOSED) > 0);
}

TEST(sleeps_end_early)
{
  int met = met_by_all(FAULT_SLEEP);
  CHECK(met > 0 || PORTABLE);
  printf("# %d failures met\n", *points);
}

static const struct test tests[] = {
  T(threads_fail,
    "what needs a thread that cannot be started says EAGAIN, and nothing has changed"),
  T(descriptors_fail, "J3 no descriptor to be had is an error, and leaves none"),
  T(signals_fail, "K2 what cannot be listened to is refused, and leaves nothing caught"),
  T(sleeps_end_early, "D2 who is woken for nothing sleeps again"),
};

int main(int argc, char **argv)
{
  points = mmap(NULL, sizeof *points, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (points == MAP_FAILED) return 1;
  if (no_proc("calls")) return 0;
  return check_run("calls", tests, sizeof tests / sizeof *tests, argc, argv);
}
