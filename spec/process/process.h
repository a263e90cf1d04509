/*
 * process - what the tests of a whole process share: what it holds, and how it ends
 *
 * A test that may hang sets an alarm, whose signal ends the process: that is a failure that
 * spec/run.sh counts. A child is forked with an alarm of its own, so that its parent only
 * has to wait for it.
 *
 * Knows world.h, and the operating system.
 */
#ifndef CTX_PROCESS_H
#define CTX_PROCESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED_THREADS 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZED_THREADS 1
#endif

/* How long a wait may last that ought to be short; and after how long a hang ends a process. */
enum { SOON_S = 10, PATIENCE_S = 60 };

/* A number that the environment may set. */
static inline int setting(const char *name, int otherwise)
{
  const char *text = getenv(name);
  return text != NULL && atoi(text) > 0 ? atoi(text) : otherwise;
}

/* ---- what a process holds ---------------------------------------------- */

/* Entries of a folder of /proc, or -1 where there is none. */
static inline int entries(const char *folder)
{
  DIR *d = opendir(folder);
  int n = 0;
  if (d == NULL) return -1;
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

struct holdings {
  int threads;
  int descriptors;
};

static inline struct holdings holdings(void)
{
  return (struct holdings){entries("/proc/self/task"), entries("/proc/self/fd")};
}

/* States that the process holds no more than 'before'. The kernel may show a thread for a
 * moment after it was joined. */
static inline void holds_as(struct holdings before)
{
  int64_t until_ns = ctx_engine_now(ctx_engine_of(ctx_background())) + CTX_SECONDS(SOON_S);
  while (holdings().threads > before.threads &&
         ctx_engine_now(ctx_engine_of(ctx_background())) < until_ns)
    sched_yield();
  CHECK_INT(holdings().threads, before.threads);
  CHECK_INT(holdings().descriptors, before.descriptors);
}

/* States that nothing lives in 'e', soon: its thread may be about to give back the last. */
static inline void becomes_empty(ctx_engine *e)
{
  int64_t until_ns = ctx_engine_now(e) + CTX_SECONDS(SOON_S);
  ctx_counters n;
  do {
    ctx_engine_counters(e, &n);
    if (n.contexts == 0 && n.hooks == 0 && n.timers == 0) break;
    sched_yield();
  } while (ctx_engine_now(e) < until_ns);
  CHECK_INT(n.contexts, 0);
  CHECK_INT(n.hooks, 0);
  CHECK_INT(n.timers, 0);
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
  alarm(PATIENCE_S);
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
