/*
 * limits - a process that has no more descriptors, threads or memory, or is stopped
 *
 * In a child, which takes the limit upon itself.
 */
#include "process.h"

enum { NOBODY = 65534 };

#ifdef __GLIBC__
typedef __rlimit_resource_t resource;
#else
typedef int resource;
#endif

static void limit(resource what, rlim_t to)
{
  struct rlimit l;
  CHECK_INT(getrlimit(what, &l), 0);
  l.rlim_cur = to < l.rlim_max ? to : l.rlim_max;
  CHECK_INT(setrlimit(what, &l), 0);
}

static void in_child(void (*facts)(void))
{
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    facts();
    fflush(stdout);
    _exit(READ(check_failures) != 0);
  }
  CHECK_INT(end_of(child), 0);
}

static void note(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  WRITE(*(int *)arg, 1);
}

/* ---- descriptors ------------------------------------------------------------- */

static void without_descriptors(void)
{
  const int usr1 = SIGUSR1;
  struct rlimit before;
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST}));
  ctx_context *c = need(ctx_with_cancel(ctx_engine_background(e)));
  getrlimit(RLIMIT_NOFILE, &before);
  int held[64], n = 0;
  limit(RLIMIT_NOFILE, 64);
  while (n < 64 && (held[n] = dup(0)) >= 0) n++;
  CHECK(ctx_fd(c) == -1 && errno == EMFILE);
  CHECK(ctx_engine_fd(e) == -1 && (errno == EMFILE || errno == ENOTSUP));
  CHECK(ctx_notify_signals(c, 1, &usr1) == NULL && errno == EMFILE);
  ctx_counters count;
  ctx_engine_counters(e, &count);
  CHECK_INT(count.fds, 0);
  CHECK_INT(count.contexts, 1);
  CHECK(!ctx_done(c));
  while (n > 0) close(held[--n]);
  int fd = ctx_fd(c);
  CHECK(fd >= 0);
  CHECK(ctx_cancel(c));
  CHECK(readable(fd));
  ctx_release(c);
  CHECK_INT(ctx_engine_close(e), 0);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(descriptors_run_out)
{
  in_child(without_descriptors);
}

/* ---- threads and memory ---------------------------------------------------------- */

/* What needs a thread is refused, and all else goes on. */
static void without_threads(void)
{
  int ran = 0;
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_THREAD}));
  ctx_context *c = need(ctx_with_timeout(ctx_engine_background(e), CTX_MS(1)));
  CHECK(ctx_after_func(c, note, &ran, 0) == NULL && errno == EAGAIN);
  CHECK_INT(ctx_engine_start(e), EAGAIN);
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(READ(ran), 0);
  ctx_release(c);
  becomes_empty(e);
  CHECK_INT(ctx_engine_close(e), 0);
}

static void as_nobody(void)
{
  if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0) abort();
  limit(RLIMIT_NPROC, 0);
  without_threads();
}

TEST(threads_run_out)
{
  if (getuid() == 0) /* who may not become another has threads of his own already */
    in_child(as_nobody);
  else
    printf("skip - limits: who is not root cannot do without his other threads\n");
}

#ifndef SANITIZED /* which needs all the addresses there are */

/* As much as there is now, and less than the stack of a thread. */
static void in_little_space(void)
{
  long pages = 0;
  FILE *f = need(fopen("/proc/self/statm", "r"));
  CHECK_INT(fscanf(f, "%ld", &pages), 1);
  fclose(f);
  limit(RLIMIT_AS, (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (1 << 19));
  without_threads();
}

TEST(space_runs_out)
{
  in_child(in_little_space);
}

#endif

/* ---- stopped ------------------------------------------------------------------------ */

/* Waits on an engine with a thread, whose hook must have run, too. Says when it begins. */
static void wait_a_little(int begins)
{
  int ran = 0;
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_THREAD}));
  ctx_context *c = need(ctx_with_timeout(ctx_engine_background(e), CTX_MS(500)));
  ctx_hook *h = need(ctx_after_func(c, note, &ran, 0));
  CHECK_INT(write(begins, "", 1), 1);
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  CHECK(ctx_engine_now(e) >= ctx_deadline(c) + CTX_MS(50)); /* it was stopped when that came */
  EVENTUALLY(READ(ran) == 1);
  ctx_hook_release(h);
  ctx_release(c);
  becomes_empty(e);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(stopped)
{
  int status, begins[2];
  char byte;
  CHECK_INT(pipe(begins), 0);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    wait_a_little(begins[1]);
    fflush(stdout);
    _exit(READ(check_failures) != 0);
  }
  close(begins[1]);
  CHECK_INT(read(begins[0], &byte, 1), 1);
  close(begins[0]);
  int64_t until_ns = real_now() + CTX_MS(550); /* it lies in the past when the child goes on */
  if (!CHECK(child > 0)) return;               /* -1 would stop everybody */
  CHECK_INT(kill(child, SIGSTOP), 0);
  CHECK_INT(waitpid(child, &status, WUNTRACED), child);
  CHECK(WIFSTOPPED(status));
  while (real_now() < until_ns) sched_yield();
  CHECK_INT(kill(child, SIGCONT), 0);
  CHECK_INT(end_of(child), 0);
}

static const struct test tests[] = {
  T(descriptors_run_out, "J3 without descriptors there is EMFILE, and nothing has changed"),
  T(threads_run_out, "without threads there is EAGAIN, and who waits needs none"),
#ifndef SANITIZED
  T(space_runs_out, "so it is without the memory for a stack"),
#endif
  T(stopped, "D2 what was due while the process was stopped is done when it goes on"),
};

int main(int argc, char **argv)
{
  return check_run("limits", tests, sizeof tests / sizeof *tests, argc, argv);
}
