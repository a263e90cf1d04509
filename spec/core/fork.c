/*
 * fork - what is left of the engines in a forked child
 *
 * A child says what is wrong as any test does, and ends with status 0 where all its facts
 * hold. First comes what a process with one thread can do; then engines with a thread.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>

#ifdef SLOW
enum { FORKS = 4 }; /* each of these children sleeps for a second at its end */
#else
enum { FORKS = 200 };
#endif

/* ---- a child ------------------------------------------------------------------ */

/* Where a child waits for its parent, and the parent for the child. */
struct turn {
  int to_child[2], to_parent[2];
};

static void turn_open(struct turn *t)
{
  if (pipe(t->to_child) != 0 || pipe(t->to_parent) != 0) abort();
}

static void turn_close(struct turn *t)
{
  for (int i = 0; i < 2; i++) {
    close(t->to_child[i]);
    close(t->to_parent[i]);
  }
}

static void give(int fd)
{
  CHECK_INT(write(fd, "", 1), 1);
}

static void take(int fd)
{
  char byte;
  CHECK(wait_readable(fd));
  CHECK_INT(read(fd, &byte, 1), 1);
}

static bool is_child;

#ifdef SANITIZED
/* The address sanitizer asks this before it looks for leaks: in a child all is left as it is. */
int __lsan_is_turned_off(void);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
  return is_child;
}
#endif

/* Forks; a child that hangs is killed. */
static pid_t fork_watched(void)
{
  fflush(stdout);
  pid_t pid = fork();
  is_child = pid == 0;
  if (pid == 0) alarm(PATIENCE_S);
  return pid;
}

/* Ends a child as 'leave' does, with status 0 when all its facts held. */
static void end_child(void (*leave)(int))
{
  fflush(stdout);
  leave(READ(check_failures) != 0);
}

/* States in a child what 'facts' does, and that it ends well. */
static void in_child(void (*facts)(void *), void *arg, void (*leave)(int))
{
  pid_t pid = fork_watched();
  if (pid == 0) {
    facts(arg);
    end_child(leave);
  }
  ends_well(pid);
}

/* ---- a process with one thread --------------------------------------------------- */

struct forked {
  ctx_engine *engine;
  ctx_context *c, *timed;
  ctx_timer timer;
  int fd, ran;
  struct turn turn;
};

static void count_timer(ctx_timer *t, void *arg)
{
  struct forked *f = arg;
  (void)t;
  f->ran++;
}

static void count_hook(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  __atomic_fetch_add((int *)arg, 1, __ATOMIC_ACQ_REL);
}

static void after(ctx_context *c, int *ran)
{
  ctx_hook_release(need(ctx_after_func(c, count_hook, ran, 0)));
}

static void manual_goes_on(void *arg)
{
  struct forked *f = arg;
  int ran = 0;
  ctx_context *c = need(ctx_with_timeout(f->c, 20));
  after(c, &ran);
  after(f->c, &ran);
  CHECK_INT(ctx_timer_arm(&f->timer, ctx_engine_now(f->engine) + 10), 0);
  CHECK_INT(ctx_engine_advance(f->engine, 30), 0);
  CHECK_INT(f->ran, 1);
  CHECK_INT(ran, 1);
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  CHECK(ctx_cancel(f->c));
  CHECK_INT(ctx_engine_advance(f->engine, 0), 0);
  CHECK_INT(ran, 2);
  ctx_release(c);
}

TEST(manual_engine_goes_on)
{
  struct world w;
  struct forked f = {.c = ctx_with_cancel(manual(&w))};
  f.engine = w.engine;
  ctx_timer_init(&f.timer, w.engine, count_timer, &f);
  in_child(manual_goes_on, &f, _exit);
  CHECK(!ctx_done(f.c));
  CHECK_INT(f.ran, 0);
  manual_goes_on(&f);
  ctx_release(f.c);
  world_close(&w);
}

/* In the child: its own descriptor comes and goes without the parent's. */
static void host_goes_on(void *arg)
{
  struct forked *f = arg;
  int fd = ctx_engine_fd(f->engine);
  CHECK_INT(fd, f->fd);
  CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK(!readable(fd));
  CHECK_INT(ctx_timer_arm(&f->timer, 0), 0);
  CHECK(wait_readable(fd));
  give(f->turn.to_parent[1]);
  take(f->turn.to_child[0]); /* the parent has armed its own, and polled */
  CHECK(readable(fd));
  CHECK_INT(ctx_engine_poll(f->engine), 1);
  CHECK(!readable(fd));
  CHECK_INT(f->ran, 1);
}

TEST(host_engine_goes_on)
{
  struct world w = {.now_ns = 0};
  struct forked f = {
    .engine = need(ctx_engine_open(&(ctx_engine_options){
      .driver = CTX_DRIVER_HOST, .alloc = world_alloc, .free = world_free, .arg = &w}))};
  f.fd = ctx_engine_fd(w.engine = f.engine);
  if (f.fd < 0) CHECK_INT(errno, ENOTSUP);
  turn_open(&f.turn);
  ctx_timer_init(&f.timer, f.engine, count_timer, &f);
  pid_t pid = f.fd >= 0 ? fork_watched() : -1;
  if (pid == 0) {
    host_goes_on(&f);
    end_child(_exit);
  }
  if (pid > 0) {
    take(f.turn.to_parent[0]);
    CHECK(!readable(f.fd));
    CHECK_INT(ctx_timer_arm(&f.timer, 0), 0);
    CHECK(wait_readable(f.fd));
    CHECK_INT(ctx_engine_poll(f.engine), 1);
    CHECK(!readable(f.fd));
    give(f.turn.to_child[1]);
    ends_well(pid);
  }
  turn_close(&f.turn);
  world_close(&w);
}

/* A child that does not ask for the descriptor leaves the parent's alone. */
static void child_arms_blindly(void *arg)
{
  struct forked *f = arg;
  CHECK_INT(ctx_timer_arm(&f->timer, 0), 0);
  CHECK_INT(ctx_engine_poll(f->engine), 1);
  CHECK(ctx_cancel(f->c));
  CHECK_INT(ctx_extend(f->timed, 0), 0);
  CHECK(ctx_done(f->timed));
}

TEST(child_leaves_descriptors_alone)
{
  struct world w = {.now_ns = 0};
  struct forked f = {
    .engine = need(ctx_engine_open(&(ctx_engine_options){
      .driver = CTX_DRIVER_HOST, .alloc = world_alloc, .free = world_free, .arg = &w}))};
  w.engine = f.engine;
  f.c = ctx_with_cancel(ctx_engine_background(f.engine));
  f.fd = ctx_engine_fd(f.engine);
  f.timed = ctx_with_timeout(ctx_engine_background(f.engine), CTX_SECONDS(1000));
  int fd = ctx_fd(f.c), timed_fd = ctx_fd(f.timed);
  CHECK(fd >= 0 && timed_fd >= 0);
  ctx_timer_init(&f.timer, f.engine, count_timer, &f);
  in_child(child_arms_blindly, &f, exit);
  CHECK(!readable(fd));
  CHECK(!readable(timed_fd));
  CHECK(f.fd < 0 || !readable(f.fd));
  ctx_release(f.timed);
  ctx_release(f.c);
  world_close(&w);
}

/* The child asks for the context's descriptor again, and cancels; then the parent. */
static void child_cancels(void *arg)
{
  struct forked *f = arg;
  int fd = ctx_fd(f->c);
  CHECK_INT(fd, f->fd);
  CHECK(!readable(fd));
  give(f->turn.to_parent[1]);
  take(f->turn.to_child[0]); /* the parent has canceled its own */
  CHECK(!readable(fd));
  CHECK(ctx_cancel(f->c));
  CHECK(readable(fd));
  ctx_release(f->c);
}

TEST(descriptor_of_a_context)
{
  struct world w;
  struct forked f = {.c = ctx_with_cancel(manual(&w))};
  f.fd = ctx_fd(f.c);
  CHECK(f.fd >= 0);
  turn_open(&f.turn);
  pid_t pid = fork_watched();
  if (pid == 0) {
    child_cancels(&f);
    end_child(_exit);
  }
  take(f.turn.to_parent[0]);
  ctx_cancel(f.c);
  CHECK(readable(f.fd));
  give(f.turn.to_child[1]);
  ends_well(pid);
  turn_close(&f.turn);
  ctx_release(f.c);
  world_close(&w);
}

/* The child goes on with its half of the poll. */
static void fork_hook(ctx_context *c, void *arg)
{
  pid_t *pid = arg;
  CHECK(ctx_done(c));
  *pid = fork_watched();
}

TEST(forked_in_a_hook_of_a_poll)
{
  struct world w;
  pid_t pid = -1;
  int ran = 0;
  ctx_context *c = ctx_with_cancel(host(&w));
  ctx_hook_release(need(ctx_after_func(c, fork_hook, &pid, 0)));
  after(c, &ran);
  ctx_cancel(c);
  CHECK_INT(ctx_engine_poll(w.engine), 2);
  CHECK_INT(ran, 1);
  ctx_release(c);
  world_close(&w);
  if (pid == 0) end_child(exit);
  ends_well(pid);
}

/* ---- an engine whose thread is not there ------------------------------------------ */

struct dead {
  struct world w;
  ctx_context *bg, *live, *canceled, *timed, *value;
  ctx_hook hook, attached;
  ctx_hook *on_heap;
  ctx_timer timer, armed;
  int key, ran, dropped;
};

static void dead_timer(ctx_timer *t, void *arg)
{
  (void)t;
  ++*(int *)arg;
}

static void dead_open(struct dead *d)
{
  *d = (struct dead){.ran = 0};
  d->bg = threaded(&d->w);
  d->live = ctx_with_cancel(d->bg);
  d->canceled = ctx_with_cancel(d->bg);
  d->timed = ctx_with_timeout(d->bg, CTX_MS(1));
  d->value = ctx_with_value(d->live, &d->key, d, NULL);
  ctx_cancel(d->canceled);
  ctx_hook_init(&d->hook, count_hook, &d->ran, 0);
  ctx_hook_init(&d->attached, count_hook, &d->ran, 0);
  d->on_heap = need(ctx_after_func(d->live, count_hook, &d->ran, 0));
  CHECK_INT(ctx_hook_attach(&d->attached, d->live), 0);
  ctx_timer_init(&d->timer, d->w.engine, dead_timer, &d->ran);
  ctx_timer_init(&d->armed, d->w.engine, dead_timer, &d->ran);
  CHECK_INT(ctx_timer_arm(&d->armed, ctx_engine_now(d->w.engine) + CTX_SECONDS(1000)), 0);
  while (real_now() < ctx_deadline(d->timed)) sched_yield();
}

static void dead_close(struct dead *d)
{
  CHECK(ctx_hook_stop(d->on_heap));
  ctx_hook_release(d->on_heap);
  CHECK(ctx_hook_stop(&d->attached));
  CHECK(ctx_timer_disarm(&d->armed));
  ctx_release(d->value);
  ctx_release(d->live);
  ctx_release(d->canceled);
  ctx_release(d->timed);
  CHECK_INT(d->ran, 0);
  EVENTUALLY(counters(&d->w).contexts == 0);
  world_close(&d->w);
}

#define FAILS(call, error) \
  do { \
    errno = 0; \
    CHECK(call); \
    CHECK_INT(errno, error); \
  } while (0)

static void dead_refuses(struct dead *d)
{
  FAILS(ctx_with_cancel(d->bg) == NULL, ECHILD);
  FAILS(ctx_with_cancel(d->live) == NULL, ECHILD);
  FAILS(ctx_with_timeout(d->canceled, 0) == NULL, ECHILD);
  FAILS(ctx_with_deadline(d->bg, 5) == NULL, ECHILD);
  FAILS(ctx_with_value(d->live, &d->key, d, count_drop) == NULL, ECHILD);
  FAILS(ctx_without_cancel(d->live) == NULL, ECHILD);
  FAILS(ctx_without_cancel_keep_deadline(d->live) == NULL, ECHILD);
  FAILS(ctx_with_grace(d->live, 5) == NULL, ECHILD);
  FAILS(ctx_merge(2, (ctx_context *[]){d->live, d->canceled}) == NULL, ECHILD);
  CHECK_INT(ctx_extend(d->timed, CTX_NEVER), ECHILD);
  FAILS(ctx_after_func(d->live, count_hook, &d->ran, 0) == NULL, ECHILD);
  FAILS(ctx_after_func(d->canceled, count_hook, &d->ran, CTX_HOOK_INLINE) == NULL, ECHILD);
  FAILS(ctx_fd(d->live) == -1, ECHILD);
  CHECK_INT(ctx_hook_attach(&d->hook, d->live), ECHILD);
  CHECK_INT(ctx_timer_arm(&d->timer, 0), ECHILD);
  CHECK_INT(ctx_engine_start(d->w.engine), ECHILD);
  CHECK(!ctx_cancel(d->live));
  CHECK(!ctx_cancel(d->timed));
  CHECK(!ctx_cancel_from_signal(d->live));
  CHECK(!ctx_done(d->live));
}

/* What only explains says less, and takes no lock. */
static void dead_explains(struct dead *d)
{
  char text[64];
  ctx_origin o;
  CHECK_INT(ctx_set_name(d->live, "name"), ECHILD);
  CHECK_INT(ctx_name(d->live, text, sizeof text), 0);
  CHECK_INT(ctx_id(d->live), 0);
  FAILS(ctx_snapshot_take(d->live) == NULL, ECHILD);
  CHECK_INT(ctx_dump(d->live, stdout), ECHILD);
  CHECK_INT(ctx_dump_oldest(d->w.engine, 3, stdout), ECHILD);
  ctx_text(d->live, text, sizeof text);
  CHECK_STR(text, "....WithCancel");
  if (CHECK(ctx_origin_of(d->canceled, &o))) CHECK(o.context == d->canceled && o.site == NULL);
}

static void dead_waits(struct dead *d)
{
  ctx_semaphore *s = need(ctx_semaphore_open(1));
  CHECK_INT(ctx_semaphore_acquire(s, d->live, 1), 0);
  CHECK_INT(ctx_semaphore_acquire(s, d->live, 1), ECHILD);
  CHECK_INT(ctx_semaphore_release(s, 1), 0);
  ctx_semaphore_close(s);
}

static void dead_answers(struct dead *d)
{
  CHECK_INT(ctx_err(d->canceled), CTX_CANCELED);
  CHECK_INT(ctx_err(d->timed), CTX_DEADLINE_EXCEEDED);
  CHECK_STR(ctx_cause_text(ctx_cause_of(d->canceled), NULL), ctx_strerror(CTX_CANCELED));
  CHECK_STR(ctx_cause_text(ctx_cause_of(d->timed), NULL), ctx_strerror(CTX_DEADLINE_EXCEEDED));
  CHECK_INT(ctx_err(d->value), 0);
  CHECK(ctx_value(d->value, &d->key) == d);
  CHECK_INT(ctx_wait(d->live, CTX_NEVER), 0);
  CHECK_INT(ctx_wait(d->value, CTX_SECONDS(1000)), 0);
  CHECK_INT(ctx_wait(d->bg, CTX_NEVER), 0);
  CHECK_INT(ctx_wait(d->timed, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_engine_next(d->w.engine), CTX_NEVER);
  CHECK_INT(ctx_engine_poll(d->w.engine), 0);
}

/* Each gives up something, and nothing of it reaches the allocator. */
static void dead_lets_go(struct dead *d)
{
  int64_t blocks = d->w.blocks;
  CHECK(!ctx_hook_stop_wait(&d->hook));
  CHECK(ctx_hook_stop_wait(&d->attached));
  CHECK(ctx_hook_stop(d->on_heap));
  ctx_hook_release(d->on_heap);
  CHECK(!ctx_timer_disarm(&d->armed));
  CHECK(!ctx_timer_disarm_wait(&d->armed));
  ctx_release(d->value);
  ctx_release(d->timed);
  ctx_release(d->canceled);
  ctx_release(d->live);
  CHECK_INT(ctx_engine_close(d->w.engine), ECHILD);
  CHECK_INT(d->w.blocks, blocks);
  CHECK_INT(d->ran, 0);
}

static void dead_facts(void *arg)
{
  dead_refuses(arg);
  dead_explains(arg);
  dead_waits(arg);
  dead_answers(arg);
  dead_lets_go(arg);
}

TEST(dead_in_the_child)
{
  struct dead d;
  dead_open(&d);
  in_child(dead_facts, &d, _exit);
  in_child(dead_facts, &d, exit);
  dead_close(&d);
}

/* A child of the child: it has more than one generation above it. */
static void child_of_child(void *arg)
{
  in_child(dead_facts, arg, exit);
  dead_facts(arg);
}

TEST(dead_in_its_child)
{
  struct dead d;
  dead_open(&d);
  in_child(child_of_child, &d, exit);
  dead_close(&d);
}

/* ---- a deadline that passes while the thread is busy ---------------------------------- */

struct blocked {
  bool runs, over; /* atomic */
  ctx_context *c;  /* past its deadline */
};

static void block(ctx_context *c, void *arg)
{
  struct blocked *b = arg;
  CHECK(ctx_done(c));
  WRITE(b->runs, true);
  EVENTUALLY(READ(b->over));
}

static void ended_by_nobody(void *arg)
{
  const struct blocked *b = arg;
  ctx_origin o;
  CHECK_INT(ctx_err(b->c), CTX_DEADLINE_EXCEEDED);
  CHECK(!ctx_origin_of(b->c, &o));
}

TEST(over_without_an_origin)
{
  struct world w;
  struct blocked b = {.over = false};
  ctx_context *first = ctx_with_cancel(threaded(&w));
  ctx_hook_release(need(ctx_after_func(first, block, &b, 0)));
  ctx_cancel(first);
  EVENTUALLY(READ(b.runs));
  b.c = need(ctx_with_timeout(ctx_engine_background(w.engine), 1000));
  while (real_now() < ctx_deadline(b.c)) sched_yield();
  in_child(ended_by_nobody, &b, _exit);
  WRITE(b.over, true);
  ctx_release(b.c);
  ctx_release(first);
  EVENTUALLY(counters(&w).hooks == 0 && counters(&w).contexts == 0);
  world_close(&w);
}

/* ---- locks that nobody is there to drop ----------------------------------------------- */

/* A sanitizer's own locks may be held by such a thread at the fork: with one there is none. */
#ifndef SANITIZED

struct busy {
  ctx_context *c;
  bool over; /* atomic */
};

/* Holds the locks of the engine as often as it can. */
static void *busy_thread(void *arg)
{
  struct busy *b = arg;
  while (!READ(b->over)) {
    ctx_context *c = need(ctx_with_timeout(b->c, CTX_SECONDS(1000)));
    ctx_context *below = need(ctx_with_cancel(c));
    ctx_cancel(c);
    ctx_release(below);
    ctx_release(c);
  }
  return NULL;
}

TEST(locked_at_the_fork)
{
  struct dead d;
  dead_open(&d);
  struct busy b = {.c = d.live};
  pthread_t thread = start(busy_thread, &b);
  for (int i = 0; i < FORKS; i++) in_child(dead_facts, &d, i % 2 == 0 ? _exit : exit);
  WRITE(b.over, true);
  join(thread);
  dead_close(&d);
}

#endif

/* ---- from the engine's own thread ---------------------------------------------------------- */

struct forking {
  pid_t pid; /* atomic; of the child */
  struct dead *dead;
};

/* The child states its facts, and returns out of the hook. */
static void fork_on_thread(ctx_context *c, void *arg)
{
  struct forking *f = arg;
  (void)c;
  pid_t pid = fork_watched();
  if (pid == 0) {
    dead_facts(f->dead);
    CHECK(!ctx_hook_stop_wait(&f->dead->hook));
    if (READ(check_failures) != 0) _exit(1);
    return;
  }
  WRITE(f->pid, pid);
}

static void fork_in_timer(ctx_timer *t, void *arg)
{
  (void)t;
  fork_on_thread(NULL, arg);
}

/* Forks in a hook or a timer of the engine of 'd'. */
static void fork_there(struct dead *d, bool timer)
{
  ctx_timer t;
  struct forking f = {.dead = d};
  ctx_timer_init(&t, d->w.engine, fork_in_timer, &f);
  if (timer)
    CHECK_INT(ctx_timer_arm(&t, 0), 0);
  else
    ctx_hook_release(need(ctx_after_func(d->canceled, fork_on_thread, &f, 0)));
  EVENTUALLY(READ(f.pid) != 0);
  ends_well(READ(f.pid));
  CHECK(!ctx_timer_disarm_wait(&t));
}

/* The only thread of the child is a copy of the engine's: its end is that of the child. */
TEST(forked_in_a_hook)
{
  struct dead d;
  dead_open(&d);
#ifndef SANITIZED
  struct busy b = {.c = d.live};
  pthread_t thread = start(busy_thread, &b);
#endif
  for (int i = 0; i < FORKS; i++) fork_there(&d, i % 2 == 0);
#ifndef SANITIZED
  WRITE(b.over, true);
  join(thread);
#endif
  dead_close(&d);
}

/* In a batch: what comes after the hook that has forked is the parent's. */
TEST(forked_in_a_batch)
{
  struct world w;
  pid_t pid = -1;
  int ran = 0;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  CHECK_INT(ctx_engine_start(w.engine), 0);
  ctx_hook_release(need(ctx_after_func(c, fork_hook, &pid, CTX_HOOK_INLINE)));
  ctx_hook_release(need(ctx_after_func(c, count_hook, &ran, CTX_HOOK_INLINE)));
  ctx_cancel(c);
  CHECK_INT(ran, pid != 0);
  if (pid == 0) end_child(_exit);
  ends_well(pid);
  ctx_release(c);
  world_close(&w);
}

/* ---- the default engine ------------------------------------------------------------------------ */

static void default_is_dead(void *arg)
{
  (void)arg;
  FAILS(ctx_with_cancel(ctx_background()) == NULL, ECHILD);
  ctx_engine *e = need(ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_MANUAL}));
  ctx_context *c = need(ctx_with_timeout(ctx_engine_background(e), 5));
  CHECK_INT(ctx_engine_advance(e, 5), 0);
  CHECK_INT(ctx_err(c), CTX_DEADLINE_EXCEEDED);
  ctx_release(c);
  CHECK_INT(ctx_engine_close(e), 0);
}

static void default_lives(void *arg)
{
  (void)arg;
  ctx_context *c = need(ctx_with_timeout(ctx_background(), CTX_MS(1)));
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  ctx_release(c);
}

TEST(default_engine)
{
  ctx_context *c = ctx_with_cancel(ctx_background());
  in_child(default_lives, NULL, exit);
  CHECK_INT(ctx_engine_start(ctx_engine_of(c)), 0);
  in_child(default_is_dead, NULL, exit);
  default_lives(NULL);
  ctx_release(c);
}

static const struct test tests[] = {
  T(manual_engine_goes_on, "a manual engine goes on in the child, apart from the parent's"),
  T(host_engine_goes_on, "a host's engine goes on, with a descriptor of its own"),
  T(child_leaves_descriptors_alone, "a child makes no descriptor of the parent's readable"),
  T(descriptor_of_a_context, "J3 in the child a context has a descriptor of its own"),
  T(forked_in_a_hook_of_a_poll, "forked in a hook, both go on with the poll"),
  T(dead_in_the_child, "an engine with a thread is dead in the child, and tells the truth"),
  T(dead_in_its_child, "it is dead in the child of the child as well"),
  T(over_without_an_origin, "E7 what no driver has ended is over in the child, and has no origin"),
#ifndef SANITIZED
  T(locked_at_the_fork, "it is dead without a lock taken, whoever held them at the fork"),
#endif
  T(forked_in_a_hook, "a child forked on the engine's thread ends with its hook or timer"),
  T(forked_in_a_batch,
    "a child forked in an inline hook runs no other hook of the parent's cancel"),
  T(default_engine, "the default engine is dead once its thread was started, others open"),
};

int main(int argc, char **argv)
{
  return check_run("fork", tests, sizeof tests / sizeof *tests, argc, argv);
}
