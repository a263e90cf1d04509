/*
 * process - what the tests of a whole process share: what it holds, and how it ends
 *
 * A test that may hang sets an alarm, whose signal ends the process: that is a failure that
 * spec/run.sh counts. A child is forked with an alarm of its own, so that its parent only
 * has to wait for it.
 *
 * Knows world.h, system.h, and the operating system.
 */
#ifndef CTX_PROCESS_H
#define CTX_PROCESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "system.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED_THREADS 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZED_THREADS 1
#endif

enum { HANG_S = 60 }; /* what lasts longer is ended */

/* A number that the environment may set. */
static inline int setting(const char *name, int otherwise)
{
  const char *text = getenv(name);
  return text != NULL && atoi(text) > 0 ? atoi(text) : otherwise;
}

/* ---- what a process holds ---------------------------------------------- */

struct holdings {
  int threads;
  int descriptors;
};

static inline struct holdings holdings(void)
{
  return (struct holdings){threads(), descriptors()};
}

/* States that the process holds no more than 'before'. */
static inline void holds_as(struct holdings before)
{
  EVENTUALLY(threads() <= before.threads);
  CHECK_INT(threads(), before.threads);
  CHECK_INT(descriptors(), before.descriptors);
}

/* States that nothing lives in 'e', soon: its thread may be about to give back the last. */
static inline void becomes_empty(ctx_engine *e)
{
  ctx_counters n;
  EVENTUALLY(
    (ctx_engine_counters(e, &n), n.contexts == 0 && n.hooks == 0 && n.timers == 0 && n.fds == 0));
  CHECK(ctx__check(e) == NULL);
}

/* ---- children ------------------------------------------------------------ */

/* In a child: it is ended by a signal should it hang, and leaves no core behind. */
static inline void begin_child(void)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  signal(SIGALRM, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  alarm(HANG_S);
}

static inline void leave_no_core(void)
{
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

/* How a child has ended: its status, or 1000 and the signal. */
static inline int end_of(pid_t child)
{
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
