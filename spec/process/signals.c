/*
 * signals - contexts that a signal ends
 */
#include "process.h"

#include <pthread.h>

static const int INT_TERM[] = {SIGINT, SIGTERM}, USR1[] = {SIGUSR1};

/* Who is there before us counts. */
static volatile sig_atomic_t others;

static void other(int signal)
{
  (void)signal;
  others++;
}

static void (*disposition(int signal))(int)
{
  struct sigaction now;
  sigaction(signal, NULL, &now);
  return now.sa_handler;
}

static ctx_context *listen_to(size_t n, const int signals[])
{
  return need(ctx_notify_signals(ctx_background(), n, signals));
}

TEST(first)
{
  signal(SIGTERM, other);
  ctx_context *c = listen_to(2, INT_TERM), *below = ctx_with_cancel(c);
  CHECK_INT(ctx_err(c), 0);
  raise(SIGTERM);
  CHECK_INT(ctx_wait(below, CTX_SECONDS(20)), CTX_CANCELED);
  CHECK_STR(ctx_cause_text(ctx_cause_of(below), NULL), "signal SIGTERM");
  CHECK_INT(ctx_cause_code(ctx_cause_of(c)), SIGTERM);
  ctx_origin o;
  CHECK(ctx_origin_of(below, &o) && o.context == c);
  CHECK_INT(o.kind, CTX_ORIGIN_SIGNAL);
  CHECK(disposition(SIGTERM) == other);
  CHECK(disposition(SIGINT) == SIG_DFL);
  CHECK_INT(others, 0);
  raise(SIGTERM);
  CHECK_INT(others, 1);
  signal(SIGTERM, SIG_DFL);
  ctx_release(below);
  ctx_release(c);
}

TEST(several)
{
  ctx_context *a = listen_to(1, USR1), *b = listen_to(1, USR1), *c = listen_to(2, INT_TERM);
  raise(SIGUSR1);
  CHECK_INT(ctx_wait(a, CTX_SECONDS(20)), CTX_CANCELED);
  CHECK_INT(ctx_wait(b, CTX_SECONDS(20)), CTX_CANCELED);
  CHECK_INT(ctx_err(c), 0);
  ctx_cancel(c);
  CHECK(disposition(SIGINT) == SIG_DFL);
  ctx_release(a);
  ctx_release(b);
  ctx_release(c);
}

TEST(restored)
{
  ctx_context *parent = ctx_with_cancel(ctx_background());
  ctx_context *a = need(ctx_notify_signals(parent, 1, USR1)), *b = listen_to(1, USR1);
  ctx_context *c = listen_to(1, USR1);
  ctx_cancel(parent);
  ctx_release(b); /* without a cancel */
  CHECK(disposition(SIGUSR1) != SIG_DFL);
  ctx_cancel(c);
  CHECK(disposition(SIGUSR1) == SIG_DFL);
  ctx_context *late = need(ctx_notify_signals(parent, 1, USR1));
  CHECK_INT(ctx_err(late), CTX_CANCELED);
  CHECK(disposition(SIGUSR1) == SIG_DFL);
  ctx_release(late);
  ctx_release(a);
  ctx_release(c);
  ctx_release(parent);
}

/* Whoever has put in a handler meanwhile keeps it. */
TEST(replaced)
{
  ctx_context *c = listen_to(1, USR1);
  signal(SIGUSR1, other);
  ctx_cancel(c);
  CHECK(disposition(SIGUSR1) == other);
  signal(SIGUSR1, SIG_DFL);
  ctx_release(c);
}

TEST(by_deadline)
{
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_MANUAL}));
  ctx_context *p = ctx_with_timeout(ctx_engine_background(e), 50);
  ctx_context *c = need(ctx_notify_signals(p, 1, USR1));
  CHECK(disposition(SIGUSR1) != SIG_DFL);
  ctx_engine_advance(e, 50);
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  CHECK(disposition(SIGUSR1) == SIG_DFL);
  ctx_release(c);
  ctx_release(p);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(refused)
{
  const int bad[][2] = {{SIGKILL, SIGINT}, {SIGINT, SIGSTOP}, {0, 1},
                        {SIGSEGV, 1},      {65, 1},           {-1, 1}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    errno = 0;
    CHECK(ctx_notify_signals(ctx_background(), 2, bad[i]) == NULL);
    CHECK_INT(errno, EINVAL);
  }
  CHECK(ctx_notify_signals(ctx_background(), 0, USR1) == NULL);
  CHECK(ctx_notify_signals(NULL, 1, USR1) == NULL);
  CHECK(ctx_notify_signals(ctx_background(), 1, NULL) == NULL);
  CHECK(disposition(SIGINT) == SIG_DFL);
}

/* A second Ctrl-C does what it always did. */
TEST(second_kills)
{
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    leave_no_core();
    execl("/proc/self/exe", "signals", "--twice", (char *)NULL);
    _exit(9);
  }
  CHECK_INT(end_of(child), 1000 + SIGINT);
}

static int be_interrupted_twice(void)
{
  alarm(HANG_S);
  ctx_context *c = listen_to(2, INT_TERM);
  raise(SIGINT);
  if (ctx_wait(c, CTX_SECONDS(20)) != CTX_CANCELED) return 3;
  raise(SIGINT);
  return 4;
}

TEST(forked)
{
  ctx_context *c = listen_to(1, USR1);
  pid_t child = fork();
  if (child == 0) {
    begin_child();
    raise(SIGUSR1);
    errno = 0;
    ctx_engine_track(ctx_engine_of(c), true);
    bool refused = ctx_notify_signals(ctx_background(), 1, USR1) == NULL && errno == ECHILD;
    _exit(refused ? 0 : 1);
  }
  CHECK_INT(end_of(child), 0);
  CHECK_INT(ctx_wait(c, CTX_MS(5)), 0); /* the child's signal is not ours */
  ctx_cancel(c);
  ctx_release(c);
}

TEST(written)
{
  char *text = NULL, chain[128];
  size_t size;
  FILE *f = need(open_memstream(&text, &size));
  ctx_context *c = listen_to(1, USR1);
  ctx_set_name(c, "main");
  CHECK_INT(ctx_dump(c, f), 0);
  fclose(f);
  CHECK_STR(text, "signal \"main\", live\n");
  free(text);
  ctx_text(c, chain, sizeof chain);
  CHECK_STR(chain, "context.Background.NotifySignals\"main\"");
  ctx_release(c);
}

enum { STORM = 3000 };

static void *send(void *thread)
{
  for (int i = 0; i < STORM; i++) pthread_kill(*(pthread_t *)thread, SIGUSR1);
  return NULL;
}

TEST(storm)
{
  signal(SIGUSR1, SIG_IGN); /* what comes between two listeners */
  pthread_t sender, self = pthread_self();
  ctx_context *last = listen_to(1, INT_TERM);
  CHECK_INT(pthread_create(&sender, NULL, send, &self), 0);
  for (int i = 0; i < 300; i++) {
    ctx_context *c = listen_to(1, USR1);
    if (i % 2 == 0) ctx_wait(c, CTX_MS(1));
    if (i % 3 == 0) ctx_cancel(c);
    ctx_release(c);
  }
  pthread_join(sender, NULL);
  CHECK_INT(ctx_err(last), 0);
  CHECK(disposition(SIGUSR1) == SIG_IGN);
  signal(SIGUSR1, SIG_DFL);
  ctx_release(last);
  CHECK(disposition(SIGINT) == SIG_DFL);
}

TEST(nothing_left)
{
  becomes_empty(ctx_engine_of(ctx_background()));
}

static const struct test tests[] = {
  T(first, "K2 the first listed signal ends it, and its cause names that"),
  T(several, "K2 all who listen to a signal get it"),
  T(restored, "K2 the disposition comes back with the last listener, however it goes"),
  T(replaced, "K2 a handler that came after ours stays"),
  T(by_deadline, "K2 and when its parent ends"),
  T(refused, "K2 what cannot be caught is refused"),
  T(second_kills, "K2 the second Ctrl-C kills as ever"),
  T(forked, "K2 in a forked child nothing is heard"),
  T(storm, "K2 signals may come in thousands"),
  T(written, "N3 it is shown as what it is"),
  T(nothing_left, "K2 nothing is left"),
};

int main(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "--twice") == 0) return be_interrupted_twice();
  return check_run("signals", tests, sizeof tests / sizeof *tests, argc, argv);
}
