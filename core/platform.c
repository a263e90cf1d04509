#include "platform.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#if CTX__FD_TIMED
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#endif

CTX__TLS struct ctx__self ctx__self;

size_t ctx__shard_new(void)
{
  static ctx__atomic given;
  uint32_t i = CTX__LOAD_RELAXED(&given);
  while (CTX__SHARD_IS_OWN(i) && !CTX__CAS(&given, &i, i + 1)) continue; /* race: for it */
  CTX__SELF()->shard = i + 1;
  return i;
}

/* ---- time --------------------------------------------------------------- */

static int64_t read_clock(clockid_t clock)
{
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) abort(); /* never: whom this ends counts nothing */
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t ctx__now(void)
{
  return read_clock(CLOCK_MONOTONIC);
}

int64_t ctx__now_coarse(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
  return read_clock(CLOCK_MONOTONIC_COARSE);
#else
  return ctx__now();
#endif
}

/* A time_t of 32 bits ends after 68 years: what is later is as good as that. */
static struct timespec timespec_of(int64_t ns)
{
  const int64_t last_s = sizeof(time_t) < 8 ? INT32_MAX : INT64_MAX;
  if (ns < 0) ns = 0;
  int64_t s = ns / 1000000000;
  if (s > last_s) s = last_s; /* never: 64 bits hold them all */
  return (struct timespec){(time_t)s, (long)(ns % 1000000000)};
}

/* ---- waiting -------------------------------------------------------------- */

#if CTX__FD_TIMED

/* The call that takes a struct timespec as it is here: a 32-bit machine has two. */
static long futex(void)
{
#ifdef SYS_futex_time64
  if (sizeof(time_t) > sizeof(long)) return SYS_futex_time64;
#endif
  return SYS_futex;
}

void ctx__wait(const ctx__atomic *p, uint32_t seen, int64_t until_ns)
{
  struct timespec until = timespec_of(until_ns);
  syscall(futex(), p, FUTEX_WAIT_BITSET_PRIVATE, seen, until_ns != INT64_MAX ? &until : NULL, NULL,
          FUTEX_BITSET_MATCH_ANY);
}

void ctx__wake(const ctx__atomic *p, bool all)
{
  syscall(SYS_futex, p, FUTEX_WAKE_PRIVATE, all ? INT32_MAX : 1, NULL, NULL, 0);
}

void ctx__wake_from_signal(const ctx__atomic *p)
{
  int error = errno;
  ctx__wake(p, true);
  errno = error;
}

#else

/*
 * Words that threads sleep on share a few rooms, by their address. Who wakes never looks
 * at the word. To wake takes a mutex, which a signal handler may not: so who sleeps looks
 * at the word again from time to time.
 */
enum { ROOMS = 16 };

static const int64_t slice_ns = 20000000;

static struct room {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
} rooms[ROOMS];
static pthread_once_t rooms_once = PTHREAD_ONCE_INIT;

static void open_rooms(void)
{
  for (int i = 0; i < ROOMS; i++) {
    pthread_condattr_t attr;
    bool ok = pthread_mutex_init(&rooms[i].mutex, NULL) == 0 && pthread_condattr_init(&attr) == 0;
#ifndef __APPLE__
    ok = ok && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0;
#endif
    if (!ok || pthread_cond_init(&rooms[i].cond, &attr) != 0) abort();
    pthread_condattr_destroy(&attr);
  }
}

static struct room *room_of(const ctx__atomic *p)
{
  pthread_once(&rooms_once, open_rooms);
  return &rooms[((uintptr_t)p >> 4) % ROOMS];
}

static void sleep_in(struct room *r, int64_t until_ns)
{
#ifdef __APPLE__
  int64_t left_ns = until_ns - ctx__now();
  struct timespec left = timespec_of(left_ns);
  if (left_ns > 0) pthread_cond_timedwait_relative_np(&r->cond, &r->mutex, &left);
#else
  struct timespec until = timespec_of(until_ns);
  pthread_cond_timedwait(&r->cond, &r->mutex, &until);
#endif
}

void ctx__wait(const ctx__atomic *p, uint32_t seen, int64_t until_ns)
{
  struct room *r = room_of(p);
  int64_t slice_end_ns = ctx__now() + slice_ns;
  pthread_mutex_lock(&r->mutex);
  if (CTX__LOAD(p) == seen) sleep_in(r, until_ns < slice_end_ns ? until_ns : slice_end_ns);
  pthread_mutex_unlock(&r->mutex);
}

void ctx__wake(const ctx__atomic *p, bool all)
{
  (void)all; /* others may sleep in the same room */
  struct room *r = room_of(p);
  pthread_mutex_lock(&r->mutex);
  pthread_cond_broadcast(&r->cond);
  pthread_mutex_unlock(&r->mutex);
}

void ctx__wake_from_signal(const ctx__atomic *p)
{
  (void)p;
}

#endif

/* The kernel counts the millisecond. Without Linux it is a slice. */
void ctx__wait_a_moment(const ctx__atomic *p, uint32_t seen)
{
#if CTX__FD_TIMED
  struct timespec limit = timespec_of(1000000);
  syscall(futex(), p, FUTEX_WAIT_PRIVATE, seen, &limit, NULL, 0);
#else
  ctx__wait(p, seen, INT64_MAX);
#endif
}

/* ---- threads and processes ------------------------------------------------ */

/* Hooks of the host run on this stack; only the pages that they touch are real. */
static const size_t stack_size = 1 << 20;

struct start {
  void *(*f)(void *);
  void *arg;
};

static void *exact(void *arg)
{
  struct start start = *(struct start *)arg;
  free(arg);
#if CTX__FD_TIMED
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* wakes without the usual 50 us of slack */
#endif
  return start.f(start.arg);
}

static int start_with(ctx__thread *t, struct start *start)
{
  pthread_attr_t attr;
  sigset_t all, before;
  int failed = pthread_attr_init(&attr);
  if (failed != 0) return failed;
  sigfillset(&all);
  failed = pthread_attr_setstacksize(&attr, stack_size);
  if (failed == 0) failed = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (failed == 0) {
    failed = pthread_create(t, &attr, exact, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  pthread_attr_destroy(&attr);
  return failed;
}

int ctx__thread_start(ctx__thread *t, void *(*f)(void *), void *arg)
{
  struct start *start = malloc(sizeof *start);
  if (start == NULL) return ENOMEM;
  *start = (struct start){f, arg};
  int failed = start_with(t, start);
  if (failed != 0) free(start);
  return failed;
}

uint32_t ctx__process = 1;
static ctx__atomic watched;

static void in_child(void)
{
  ctx__process++;
#if !CTX__FD_TIMED
  open_rooms(); /* a thread that is not here may have been in one */
#endif
}

/* Two threads may come here at once: a child may count twice. */
int ctx__watch_forks(void)
{
  if (CTX__LOAD(&watched) != 0) return 0;
  int failed = pthread_atfork(NULL, NULL, in_child);
  if (failed == 0) CTX__STORE(&watched, 1);
  return failed;
}

/* ---- signals -------------------------------------------------------------- */

enum { SIGNALS = 64 };

/* What a handler may touch: who reads the pipe looks at all that have come. */
static ctx__atomic come[SIGNALS];
static int come_read = -1, come_write = -1;
static ctx__atomic come_process;

static struct sigaction before[SIGNALS];
static void (*signal_received)(int signal);
static pthread_mutex_t signals_mutex = PTHREAD_MUTEX_INITIALIZER;

static void handle(int signal)
{
  int error = errno;
  if (CTX__PROCESS() == CTX__LOAD(&come_process)) {
    CTX__STORE(&come[signal - 1], 1);
    (void)!write(come_write, "", 1); /* a full pipe is being read */
  }
  errno = error;
}

static void *watch_signals(void *arg)
{
  char bytes[64];
  (void)arg;
  for (;;) {
    ssize_t n = read(come_read, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EINTR)) return NULL;
    for (int s = 1; s <= SIGNALS; s++) {
      if (CTX__EXCHANGE(&come[s - 1], 0) != 0) signal_received(s);
    }
  }
}

static int open_pipe(void)
{
  int ends[2];
  if (pipe(ends) != 0) return errno;
  bool ok = fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0 &&
            fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0;
  int error = errno;
  if (!ok) {
    close(ends[0]);
    close(ends[1]);
    return error;
  }
  come_read = ends[0];
  come_write = ends[1];
  return 0;
}

static void close_pipe(void)
{
  close(come_read);
  close(come_write);
  come_read = come_write = -1;
}

static int open_signals(void (*received)(int))
{
  pthread_t watcher;
  int failed = ctx__watch_forks();
  if (failed == 0) failed = open_pipe();
  if (failed != 0) return failed;
  signal_received = received;
  CTX__STORE(&come_process, CTX__PROCESS());
  failed = ctx__thread_start(&watcher, watch_signals, NULL);
  if (failed == 0) {
    pthread_detach(watcher);
  } else {
    CTX__STORE(&come_process, 0);
    close_pipe();
  }
  return failed;
}

int ctx__signals_open(void (*received)(int signal))
{
  uint32_t of = CTX__LOAD(&come_process);
  if (of != 0 && of != CTX__PROCESS()) return ECHILD; /* the mutex may be held there */
  pthread_mutex_lock(&signals_mutex);
  int failed = 0;
  if (CTX__LOAD(&come_process) == 0) failed = open_signals(received);
  pthread_mutex_unlock(&signals_mutex);
  return failed;
}

int ctx__signal_catch(int signal)
{
  struct sigaction ours = {.sa_handler = handle, .sa_flags = SA_RESTART};
  sigfillset(&ours.sa_mask);
  return sigaction(signal, &ours, &before[signal - 1]) == 0 ? 0 : errno;
}

void ctx__signal_restore(int signal)
{
  struct sigaction now;
  if (sigaction(signal, NULL, &now) == 0 && now.sa_handler == handle)
    sigaction(signal, &before[signal - 1], NULL);
}

bool ctx__signal_can(int signal)
{
  switch (signal) {
  case SIGKILL:
  case SIGSTOP:
  case SIGSEGV:
  case SIGBUS:
  case SIGFPE:
  case SIGILL: return false;
  default: return signal < NSIG;
  }
}

const char *ctx__signal_name(int signal)
{
  static const struct {
    int signal;
    const char *name;
  } names[] = {{SIGINT, "INT"},   {SIGTERM, "TERM"}, {SIGHUP, "HUP"},   {SIGQUIT, "QUIT"},
               {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGALRM, "ALRM"}, {SIGPIPE, "PIPE"},
               {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"}, {SIGTSTP, "TSTP"}, {SIGWINCH, "WINCH"},
               {SIGABRT, "ABRT"}, {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (names[i].signal == signal) return names[i].name;
  }
  return NULL;
}

/* ---- descriptors ------------------------------------------------------------ */

#if CTX__FD_TIMED

int ctx__fd_open(ctx__fd *f)
{
  f->write = -1;
  f->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  return f->fd >= 0 ? 0 : -1;
}

void ctx__fd_arm(const ctx__fd *f, int64_t ns)
{
  struct itimerspec t = {{0, 0}, {0, 0}};
  int error = errno;
  if (ns != INT64_MAX) t.it_value = timespec_of(ns > 0 ? ns : 1);
  timerfd_settime(f->fd, TFD_TIMER_ABSTIME, &t, NULL);
  errno = error;
}

#else

static bool prepare(int fd)
{
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

int ctx__fd_open(ctx__fd *f)
{
  int ends[2];
  if (pipe(ends) != 0) return -1;
  *f = (ctx__fd){ends[0], ends[1]};
  if (prepare(ends[0]) && prepare(ends[1])) return 0;
  int error = errno;
  ctx__fd_close(f);
  errno = error;
  return -1;
}

/* Readable now or not at all. */
void ctx__fd_arm(const ctx__fd *f, int64_t ns)
{
  char bytes[16];
  int error = errno;
  while (read(f->fd, bytes, sizeof bytes) > 0) continue;
  if (ns <= ctx__now()) (void)!write(f->write, "", 1);
  errno = error;
}

#endif

static bool move_to(int fd, int number)
{
  if (fd < 0) return true;
  bool moved = dup2(fd, number) >= 0 && fcntl(number, F_SETFD, FD_CLOEXEC) == 0;
  close(fd);
  return moved;
}

int ctx__fd_renew(ctx__fd *f)
{
  ctx__fd renewed;
  if (ctx__fd_open(&renewed) != 0) return -1;
  bool moved = move_to(renewed.fd, f->fd);
  return move_to(renewed.write, f->write) && moved ? 0 : -1; /* never: Linux has no other end */
}

void ctx__fd_close(ctx__fd *f)
{
  if (f->fd >= 0) close(f->fd);
  if (f->write >= 0) close(f->write); /* never: Linux has no other end */
  f->fd = f->write = -1;
}
