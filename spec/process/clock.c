/*
 * clock - the clock of the system: which one is read, where its numbers are large, and without it
 *
 * In a time namespace the monotonic clock of a child is set ahead, to a little before an instant at which a
 * counter of 32 bits would wrap. What lies beyond must come as ever. Where that is not permitted, it is
 * skipped. The linker puts the functions below in the place of those of the same names (--wrap).
 */
#include "futex.h"
#include "process.h"

#include <stdarg.h>
#include <sys/timerfd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum { NOT_PERMITTED = 77 };

/* ---- which clock is read ---------------------------------------------------------- */

static int reads, strange_reads; /* atomic; of the monotonic clock, and of any other */
static int sleeps;               /* atomic */
static bool broken;              /* it cannot be read */

static bool is_monotonic(clockid_t clock)
{
#ifdef CLOCK_MONOTONIC_COARSE
  if (clock == CLOCK_MONOTONIC_COARSE) return true;
#endif
  return clock == CLOCK_MONOTONIC;
}

static void note_clock(clockid_t clock)
{
  __atomic_fetch_add(is_monotonic(clock) ? &reads : &strange_reads, 1, __ATOMIC_RELAXED);
}

/* As the C library calls it where time_t has more bits than it once had. */
#if defined(__USE_TIME_BITS64) && __TIMESIZE == 32
#define __real_clock_gettime __real___clock_gettime64
#define __wrap_clock_gettime __wrap___clock_gettime64
#endif

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
  note_clock(clock);
  return broken ? -1 : __real_clock_gettime(clock, t);
}

int __real_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags)
{
  note_clock(clock);
  return __real_timerfd_create(clock, flags);
}

int __real_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
  note_clock(clock);
  return __real_pthread_condattr_setclock(attr, clock);
}

/* A futex, whose instants are those of the monotonic clock unless it says otherwise. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
  long a[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  bool is_sleep = is_futex_sleep(number, a[1]);
  if (is_sleep) __atomic_fetch_add(&sleeps, 1, __ATOMIC_RELAXED);
  if (is_sleep && (a[1] & FUTEX_CLOCK_REALTIME)) note_clock(CLOCK_REALTIME);
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- a life in which time counts ---------------------------------------------------- */

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

/* It ends at its deadline, by itself and in all that waits for it; not early, and not very late. */
static void ends_on_time(ctx_context *c, int64_t deadline_ns)
{
  int fd = ctx_fd(c);
  CHECK_INT(ctx_deadline(c), deadline_ns);
  CHECK(fd >= 0 && (!readable(fd) || real_now() >= deadline_ns));
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  int64_t late_ns = real_now() - deadline_ns;
  CHECK(late_ns >= 0 && late_ns < CTX_SECONDS(PATIENCE_S));
  CHECK(wait_readable(fd));
}

/* On an engine with a thread: one that ends before 'at_ns', and what comes after. */
static void live_with_a_thread(int64_t at_ns)
{
  int ran = 0, rang = 0;
  ctx_timer t;
  ctx_engine *e = need(ctx_engine_open(NULL));
  ctx_context *bg = ctx_engine_background(e);
  ctx_context *a = need(ctx_with_deadline(bg, at_ns - CTX_MS(20)));
  ctx_context *b = need(ctx_with_deadline(bg, at_ns + CTX_MS(20)));
  ctx_context *moved = need(ctx_with_deadline(bg, at_ns + CTX_SECONDS(60)));
  ctx_hook *h = need(ctx_after_func(b, note, &ran, 0));
  ctx_timer_init(&t, e, ring, &rang);
  CHECK_INT(ctx_timer_arm(&t, at_ns + CTX_MS(30)), 0);
  CHECK_INT(ctx_extend(moved, at_ns + CTX_MS(40)), 0);
  ends_on_time(a, at_ns - CTX_MS(20));
  ends_on_time(b, at_ns + CTX_MS(20));
  ends_on_time(moved, at_ns + CTX_MS(40));
  EVENTUALLY(READ(ran) == 1 && READ(rang) == 1);
  ctx_hook_release(h);
  ctx_release(a);
  ctx_release(b);
  ctx_release(moved);
  becomes_empty(e);
  CHECK_INT(ctx_engine_close(e), 0);
}

/* The same, driven by a host that sleeps on the engine's descriptor, where there is one. */
static void live_with_a_host(int64_t at_ns)
{
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST}));
  int ran = 0, fd = ctx_engine_fd(e);
  ctx_context *c = need(ctx_with_deadline(ctx_engine_background(e), at_ns + CTX_MS(20)));
  ctx_hook *h = need(ctx_after_func(c, note, &ran, 0));
  while (ran == 0) {
    CHECK(ctx_engine_next(e) <= at_ns + CTX_MS(20));
    if (fd >= 0) CHECK(wait_readable(fd));
    ctx_engine_poll(e);
    CHECK(ran == 0 || real_now() >= at_ns + CTX_MS(20));
  }
  ctx_hook_release(h);
  ctx_release(c);
  ctx_counters n;
  ctx_engine_counters(e, &n);
  CHECK(n.contexts == 0 && n.timers == 0 && ctx__check(e) == NULL);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(reads_no_other_clock)
{
  int before = READ(strange_reads);
  char text[200];
  live_with_a_thread(real_now() + CTX_MS(20));
  live_with_a_host(real_now());
  ctx_context *c = need(ctx_with_timeout(ctx_background(), 0));
  CHECK(ctx_origin_text(c, text, sizeof text) > 0 && ctx_text(c, text, sizeof text) > 0);
  ctx_release(c);
  CHECK(READ(reads) > 0);
  CHECK_INT(READ(strange_reads), before);
}

/* ---- a clock that cannot be read ------------------------------------------------------ */

TEST(no_clock)
{
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    leave_no_core();
    signal(SIGABRT, SIG_DFL);
    broken = true;
    (void)ctx_engine_now(need(ctx_engine_open(NULL)));
    _exit(0);
  }
  CHECK_INT(end_of(child), 1000 + SIGABRT);
}

/* ---- far ahead -------------------------------------------------------------------------- */

/* Sets the clock of the children to come. False: that is not permitted, or the kernel knows no such thing. */
static bool set_clock_of_children(int64_t ns)
{
  if (unshare(CLONE_NEWTIME) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWTIME) != 0) return false;
  int file = open("/proc/self/timens_offsets", O_WRONLY);
  int64_t ahead_ns = ns - real_now(); /* less than 0 on a machine that has long been up */
  long long s = ahead_ns / CTX_SECONDS(1), rest_ns = ahead_ns % CTX_SECONDS(1);
  char text[64];
  int n = snprintf(text, sizeof text, "monotonic %lld %lld\n", rest_ns < 0 ? s - 1 : s,
                   rest_ns < 0 ? rest_ns + CTX_SECONDS(1) : rest_ns);
  bool set = file >= 0 && write(file, text, (size_t)n) == n;
  if (file >= 0) close(file);
  return set;
}

static int in_child(void (*facts)(int64_t at_ns), int64_t at_ns)
{
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    facts(at_ns);
    fflush(stdout);
    _exit(READ(check_failures) != 0);
  }
  return end_of(child);
}

/* Runs 'facts' where it is a little before 'at_ns'. */
static int shortly_before(int64_t at_ns, void (*facts)(int64_t at_ns))
{
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    bool set = set_clock_of_children(at_ns - CTX_MS(100));
    _exit(set ? in_child(facts, at_ns) : NOT_PERMITTED);
  }
  return end_of(child);
}

static void live(int64_t at_ns)
{
  CHECK(real_now() >= at_ns - CTX_MS(100) && real_now() < at_ns + CTX_SECONDS(PATIENCE_S));
  live_with_a_thread(at_ns);
  live_with_a_host(at_ns + CTX_MS(50));
  CHECK(READ(sleeps) < 1000); /* who takes an instant for one of the past sleeps again and again */
}

static void live_in_lua(int64_t at_ns)
{
  char at[32];
  snprintf(at, sizeof at, "%.3f", (double)at_ns / 1e9);
  execl("/bin/sh", "sh", "-c", "exec $LUA_COMMAND spec/process/clock.lua \"$0\"", at, (char *)NULL);
  _exit(127);
}

/* Where a number of 31 or 32 bits wraps, that counts milliseconds, ticks or seconds; and from where on a double
 * does not have each nanosecond. */
static const int64_t edges_ns[] = {
  INT64_C(2147483648) * 1000000,    INT64_C(4294967296) * 1000000,
  INT64_C(4294967296) * 4096,       INT64_C(9007199254740992),
  INT64_C(2147483648) * 1000000000, INT64_C(4294967296) * 1000000000};

static void beyond_all_edges(void (*facts)(int64_t at_ns))
{
  for (size_t i = 0; i < sizeof edges_ns / sizeof *edges_ns; i++) {
    bool seconds_wrap =
      sizeof(time_t) < sizeof(int64_t) && edges_ns[i] >= INT64_C(2147483648) * 1000000000;
    if (seconds_wrap) return; /* no call of the system can tell the time from here on */
    int status = shortly_before(edges_ns[i], facts);
    if (!CHECK_INT(status, 0)) {
      printf("# about %lld ns\n", (long long)edges_ns[i]);
      return;
    }
  }
}

TEST(far_ahead)
{
  beyond_all_edges(live);
}

TEST(far_ahead_in_lua)
{
  beyond_all_edges(live_in_lua);
}

static void nothing(int64_t at_ns)
{
  CHECK(real_now() >= at_ns - CTX_MS(100));
}

static const struct test here[] = {
  T(reads_no_other_clock, "D12 no clock is read but the monotonic one"),
  T(no_clock, "a process that cannot read the clock is ended"),
};

static const struct test ahead[] = {
  T(far_ahead, "D2 a deadline beyond 2^31 and 2^32 ms, ticks and seconds comes on time"),
  T(far_ahead_in_lua, "D2 and so in Lua"),
};

int main(int argc, char **argv)
{
  int failed = check_run("clock", here, sizeof here / sizeof *here, argc, argv);
  bool has_lua = getenv("LUA_COMMAND") != NULL;
  if (shortly_before(edges_ns[0], nothing) == NOT_PERMITTED) {
    puts("skip - clock: far ahead in time: no time namespace may be made here");
    return failed;
  }
  if (!has_lua) puts("skip - clock: of Lua: no interpreter is given by LUA_COMMAND");
  return check_run("clock", ahead, has_lua ? 2 : 1, argc, argv) || failed;
}
