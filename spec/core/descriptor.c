/*
 * descriptor - what a poll sees of a context
 *
 * The deadlines here are real; that a descriptor is not readable too early is exact.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>

#ifdef SLOW
enum { ROUNDS = 300 };
#else
enum { ROUNDS = 2000 };
#endif

/* Whether the kernel itself knows when a deadline comes. */
#if defined(__linux__) && !defined(CTX__PORTABLE)
enum { KERNEL_KNOWS = 1 };
#else
enum { KERNEL_KNOWS = 0 };
#endif

enum { CREW = 8 };

/* The descriptor of 'c', which has one or can be given one. */
static int fd_of(ctx_context *c)
{
  int fd = ctx_fd(c);
  CHECK(fd >= 0);
  CHECK_INT(ctx_fd(c), fd);
  return fd;
}

/* ---- when it is readable -------------------------------------------------- */

TEST(readable_by_cancel)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  int fd = fd_of(c);
  CHECK(!readable(fd));
  ctx_cancel(c);
  for (int i = 0; i < 100; i++) CHECK(readable(fd));
  CHECK_INT(ctx_fd(c), fd);
  ctx_release(c);
  world_close(&w);
}

TEST(readable_by_the_parent)
{
  struct world w;
  ctx_context *parent = ctx_with_cancel(threaded(&w)), *c = ctx_with_cancel(parent);
  int above = fd_of(parent), below = fd_of(c);
  CHECK(above != below);
  ctx_cancel(parent);
  CHECK(readable(above));
  CHECK(readable(below));
  ctx_release(c);
  ctx_release(parent);
  world_close(&w);
}

/* Polls 'c' alone: no loop and no question ends it, and no thread where the kernel can. */
static void readable_at_its_deadline(ctx_context *c)
{
  int fd = fd_of(c);
  CHECK(wait_readable(fd));
  CHECK(real_now() >= ctx_deadline(c));
  CHECK(readable(fd));
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  CHECK(readable(fd));
}

TEST(readable_at_the_deadline)
{
  struct world w;
  int key = 0, before = threads_at_rest();
  ctx_context *bg = threaded(&w);
  for (int i = 0; i < 3; i++) {
    ctx_context *a = ctx_with_timeout(bg, CTX_MS(3)), *b = ctx_with_cancel(a);
    ctx_context *c = ctx_with_value(b, &key, NULL, NULL), *polled[] = {a, b, c};
    readable_at_its_deadline(polled[i]);
    ctx_release(c);
    ctx_release(b);
    ctx_release(a);
  }
  if (KERNEL_KNOWS) CHECK_INT(threads(), before);
  EVENTUALLY(counters(&w).contexts == 0);
  world_close(&w);
}

TEST(readable_when_asked_late)
{
  struct world w;
  ctx_context *bg = threaded(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, 0);
  ctx_context *c = ctx_with_timeout(bg, CTX_MS(1)), *d = ctx_with_cancel(a);
  ctx_cancel(a);
  while (real_now() < ctx_deadline(c)) sched_yield();
  CHECK(readable(fd_of(a)));
  CHECK(readable(fd_of(b)));
  CHECK(readable(fd_of(c)));
  CHECK(readable(fd_of(d)));
  ctx_release(d);
  ctx_release(c);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(readable_by_a_question)
{
  struct world w;
  ctx_context *c = ctx_with_timeout(host(&w), 50);
  ctx_context *late = ctx_with_timeout(ctx_engine_background(w.engine), 50);
  int fd = fd_of(c);
  w.now_ns = 49;
  CHECK(!ctx_done(c));
  CHECK(!readable(fd));
  w.now_ns = 50;
  CHECK(!readable(fd));
  CHECK(ctx_done(c));
  CHECK(readable(fd));
  CHECK(readable(fd_of(late))); /* to ask for it is a question */
  ctx_release(late);
  ctx_release(c);
  world_close(&w);
}

/* The kernel knows nothing of a clock that is set by hand. */
TEST(readable_by_advance)
{
  struct world w;
  ctx_context *c = ctx_with_timeout(manual(&w), 50);
  int fd = fd_of(c);
  CHECK(!readable(fd));
  CHECK_INT(ctx_engine_advance(w.engine, 49), 0);
  CHECK(!readable(fd));
  CHECK_INT(ctx_engine_advance(w.engine, 1), 0);
  CHECK(readable(fd));
  ctx_release(c);
  world_close(&w);
}

/* Where only a driver knows the deadline, a closed engine has nobody who could tell. */
TEST(closed_engine_refuses)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, 50);
  int fd = fd_of(a);
  int64_t blocks = w.blocks;
  CHECK_INT(ctx_engine_close(w.engine), 0);
  errno = 0;
  CHECK_INT(ctx_fd(b), -1);
  CHECK_INT(errno, ECANCELED);
  CHECK_INT(w.blocks, blocks);
  ctx_cancel(a);
  CHECK(readable(fd));
  ctx_release(b);
  ctx_release(a);
  world_memory_is_back(&w);
}

TEST(never_readable)
{
  struct world w;
  int key = 0;
  ctx_context *bg = threaded(&w), *detached = ctx_without_cancel(bg);
  ctx_context *v = ctx_with_value(bg, &key, NULL, NULL);
  ctx_context *u = ctx_with_value(detached, &key, NULL, NULL);
  CHECK_INT(fd_of(v), fd_of(bg));
  CHECK_INT(fd_of(u), fd_of(detached));
  CHECK(fd_of(bg) != fd_of(detached));
  CHECK(fd_of(ctx_engine_todo(w.engine)) != fd_of(bg));
  CHECK(!ctx_cancel(bg) && !ctx_cancel(detached));
  CHECK(!readable(fd_of(bg)) && !readable(fd_of(detached)));
  ctx_release(u);
  ctx_release(v);
  ctx_release(detached);
  world_close(&w);
}

TEST(closed_engine_tells)
{
  struct world w;
  ctx_context *bg = threaded(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, CTX_MS(3));
  int before = fd_of(a);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  if (KERNEL_KNOWS)
    CHECK(wait_readable(fd_of(b)));
  else
    CHECK_INT(ctx_fd(b), -1);
  CHECK(!readable(before));
  ctx_cancel(a);
  CHECK(readable(before));
  ctx_release(b);
  ctx_release(a);
  world_memory_is_back(&w);
}

/* ---- whose it is, and how long ---------------------------------------------- */

TEST(shared_by_values)
{
  struct world w;
  int key = 0;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  ctx_context *v = ctx_with_value(c, &key, NULL, NULL), *u = ctx_with_value(v, &key, NULL, NULL);
  int fd = fd_of(u), open = descriptors();
  CHECK_INT(fd_of(v), fd);
  CHECK_INT(fd_of(c), fd);
  CHECK_INT(descriptors(), open);
  ctx_cancel(c);
  CHECK(readable(fd));
  ctx_release(u);
  ctx_release(v);
  CHECK(readable(fd));
  ctx_release(c);
  world_close(&w);
}

/* One context live to the last, one canceled; roots with their engine. */
TEST(closed_with_the_context)
{
  struct world w;
  int before = descriptors();
  ctx_context *bg = threaded(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, 1000000);
  int64_t blocks = w.blocks;
  CHECK(fcntl(fd_of(a), F_GETFD) == FD_CLOEXEC);
  fd_of(b);
  fd_of(bg);
  CHECK(descriptors() >= before + 3);
  CHECK_INT(w.blocks, blocks + 3);
  ctx_cancel(b);
  ctx_release(a);
  ctx_release(b);
  CHECK_INT(w.blocks, blocks - 1);
  world_is_empty(&w);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  world_memory_is_back(&w);
  CHECK_INT(descriptors(), before);
}

/* ---- beside hooks and waiters -------------------------------------------------- */

static void note(ctx_context *c, void *arg)
{
  int *last = arg;
  CHECK(readable(ctx_fd(c)));
  ++*last;
}

TEST(stays_beside_hooks)
{
  struct world w;
  int ran = 0;
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_hook *a = need(ctx_after_func(c, note, &ran, CTX_HOOK_INLINE));
  int fd = fd_of(c);
  ctx_hook *b = need(ctx_after_func(c, note, &ran, CTX_HOOK_INLINE));
  ctx_hook *d = need(ctx_after_func(c, note, &ran, CTX_HOOK_INLINE));
  CHECK(ctx_hook_stop(a));
  CHECK(ctx_hook_stop(d));
  CHECK_INT(ctx_wait(c, 0), 0);
  ctx_cancel(c);
  CHECK_INT(ran, 1);
  CHECK_INT(ctx_fd(c), fd);
  ctx_hook_release(a);
  ctx_hook_release(b);
  ctx_hook_release(d);
  ctx_release(c);
  world_close(&w);
}

/* ---- when there is none to be had ------------------------------------------------ */

TEST(no_memory)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  int64_t blocks = w.blocks;
  int before = descriptors();
  w.fail_at = w.calls + 1;
  CHECK_INT(ctx_fd(c), -1);
  CHECK_INT(errno, ENOMEM);
  CHECK_INT(w.blocks, blocks);
  CHECK_INT(descriptors(), before);
  CHECK(!readable(fd_of(c)));
  ctx_release(c);
  world_close(&w);
}

/* Lets no descriptor be opened that is not open; gives what is to be restored. */
static struct rlimit no_more_descriptors(void)
{
  struct rlimit before, none;
  int lowest = dup(0);
  close(lowest);
  getrlimit(RLIMIT_NOFILE, &before);
  none = before;
  none.rlim_cur = (rlim_t)lowest;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  return before;
}

TEST(no_descriptor)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  int64_t blocks = w.blocks;
  int before = descriptors();
  struct rlimit limit = no_more_descriptors();
  for (int i = 0; i < 3; i++) {
    errno = 0;
    CHECK_INT(ctx_fd(c), -1);
    CHECK_INT(errno, EMFILE);
  }
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK_INT(w.blocks, blocks);
  CHECK_INT(descriptors(), before);
  int fd = fd_of(c);
  ctx_cancel(c);
  CHECK(readable(fd));
  ctx_release(c);
  world_close(&w);
}

/* ---- several threads ---------------------------------------------------------------- */

struct crew {
  ctx_context *c;
  pthread_barrier_t barrier;
  int fd[CREW];
  bool cancels; /* the last of them does */
};

struct member {
  struct crew *crew;
  int who;
  pthread_t thread;
};

static void *member_thread(void *arg)
{
  const struct member *m = arg;
  pthread_barrier_wait(&m->crew->barrier);
  if (m->crew->cancels && m->who == CREW - 1) ctx_cancel(m->crew->c);
  m->crew->fd[m->who] = ctx_fd(m->crew->c);
  return NULL;
}

/* How many descriptors the process has more for one of a context. */
static int price(ctx_context *bg)
{
  int before = descriptors();
  ctx_context *c = need(ctx_with_cancel(bg));
  fd_of(c);
  int after = descriptors();
  ctx_release(c);
  return after - before;
}

/* All ask at once: one number for all. */
static void ask_together(struct world *w, ctx_context *bg, bool cancels)
{
  struct crew crew = {.c = need(ctx_with_cancel(bg)), .cancels = cancels};
  struct member m[CREW];
  int before = descriptors(), one = price(bg);
  int64_t blocks = w->blocks;
  pthread_barrier_init(&crew.barrier, NULL, CREW);
  for (int i = 0; i < CREW; i++) {
    m[i] = (struct member){.crew = &crew, .who = i};
    m[i].thread = start(member_thread, &m[i]);
  }
  for (int i = 0; i < CREW; i++) join(m[i].thread);
  for (int i = 0; i < CREW; i++) CHECK_INT(crew.fd[i], crew.fd[0]);
  CHECK_INT(readable(crew.fd[0]), cancels);
  CHECK_INT(descriptors(), before + one);
  CHECK(fcntl(crew.fd[0], F_GETFD) == FD_CLOEXEC);
  CHECK_INT(w->blocks, blocks + 1);
  pthread_barrier_destroy(&crew.barrier);
  ctx_release(crew.c);
}

TEST(asked_for_by_eight)
{
  struct world w;
  ctx_context *bg = manual(&w);
  for (int i = 0; i < ROUNDS / 10; i++) ask_together(&w, bg, i % 2 == 0);
  world_close(&w);
}

/* An allocator that asks for the descriptor of a context, when it is asked for memory. */
struct asker {
  ctx_context *c; /* NULL: it does not */
  int fd;
};

static void *ask_and_alloc(void *arg, size_t size)
{
  struct asker *a = arg;
  ctx_context *c = a->c;
  a->c = NULL;
  if (c != NULL) a->fd = ctx_fd(c);
  return malloc(size);
}

static void just_free(void *arg, void *block, size_t size)
{
  (void)arg, (void)size;
  free(block);
}

TEST(asked_for_meanwhile)
{
  struct asker a = {NULL, -1};
  ctx_engine_options o = {
    .driver = CTX_DRIVER_THREAD, .alloc = ask_and_alloc, .free = just_free, .arg = &a};
  int before = descriptors();
  ctx_engine *e = need(ctx_engine_open(&o));
  ctx_context *c = need(ctx_with_cancel(ctx_engine_background(e)));
  ctx_counters n;
  a.c = c;
  int fd = ctx_fd(c);
  CHECK(a.c == NULL && fd >= 0);
  CHECK_INT(fd, a.fd);
  ctx_engine_counters(e, &n);
  CHECK_INT(n.fds, 1);
  ctx_release(c);
  CHECK_INT(ctx_engine_close(e), 0);
  CHECK_INT(descriptors(), before);
}

static const struct test tests[] = {
  T(readable_by_cancel, "J3 readable once canceled, for ever"),
  T(readable_by_the_parent, "J3 readable when the end comes from above"),
  T(readable_at_the_deadline, "J3 readable at a deadline, inherited too, with no thread of ours"),
  T(readable_when_asked_late, "J3 readable at once when asked for after the end"),
  T(readable_by_a_question, "J3 on the clock of a host it tells the end, not the deadline"),
  T(readable_by_advance, "J3 on a manual clock it is readable from the end on"),
  T(never_readable, "J3 that of a root or a detached context is never readable"),
  T(closed_engine_refuses, "J3 on a closed engine a deadline by hand is refused with ECANCELED"),
  T(closed_engine_tells, "J3 on a closed engine it tells of cancel and deadline"),
  T(shared_by_values, "J3 value layers share that of their context"),
  T(closed_with_the_context, "J3 closed with its context, and on exec"),
  T(stays_beside_hooks, "J3 hooks are registered, stopped and run beside it"),
  T(no_memory, "J3 without memory it fails, and nothing has changed"),
  T(no_descriptor, "J3 with EMFILE it fails, and nothing has changed"),
  T(asked_for_by_eight, "J3 eight threads that ask at once are given one number"),
  T(asked_for_meanwhile, "J3 it is one, also where the allocator has asked for it meanwhile"),
};

int main(int argc, char **argv)
{
  if (no_proc("descriptor")) return 0;
  threads_at_rest();
  return check_run("descriptor", tests, sizeof tests / sizeof *tests, argc, argv);
}
