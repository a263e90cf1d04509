/*
 * operation - what the macros of the platform do, one thread at a time
 *
 * Each says what it is about to do and what it will touch, waits till it is chosen,
 * and does it. Dropping a lock and allocating are no steps of their own; see search.h.
 */
#include "explorer.h"

#include "search.h"

int64_t now_ns;

#define CLOCK ((uintptr_t)&now_ns)
/* Who sleeps on a word is another object than the word. */
#define SLEEPERS(p) ((uintptr_t)(p) + 1)

const char *kind_name(enum kind kind)
{
  static const char *const names[KINDS] = {
    [BEGIN] = "begins",        [STEPS_ON] = "step",      [LOADS] = "loads",
    [STORES] = "stores",       [ADDS] = "adds",          [SUBS] = "subtracts",
    [EXCHANGES] = "exchanges", [COMPARES] = "compares",  [LOCKS] = "locks",
    [WAITS] = "waits",         [WAKES_UP] = "wakes up",  [WAKES] = "wakes",
    [JOINS] = "joins",         [READS_CLOCK] = "now",    [TICKS] = "time",
    [FREES] = "frees",         [USES_FD] = "descriptor",
  };
  return names[kind];
}

/* The next step of the running thread, on one object. */
static void step(enum kind kind, uintptr_t object, enum how how, const char *where)
{
  struct operation *next = &threads[running].next;
  next->kind = kind;
  next->where = where;
  next->access[0] = (struct access){object, how};
  next->access[1].how = NOTHING;
  thread_step();
}

void explore_step(const char *where)
{
  step(STEPS_ON, 0, NOTHING, where);
}

/* ---- atomics ---------------------------------------------------------------- */

static void atomic(enum kind kind, const volatile void *p, enum how how, const char *where)
{
  step(kind, (uintptr_t)p, how, where);
  memory_touch(p, where);
}

static uint64_t get(const volatile void *p, size_t size)
{
  switch (size) {
  case 1: return *(const volatile uint8_t *)p;
  case 2: return *(const volatile uint16_t *)p;
  case 4: return *(const volatile uint32_t *)p;
  default: return *(const volatile uint64_t *)p;
  }
}

static void set(volatile void *p, size_t size, uint64_t v)
{
  switch (size) {
  case 1: *(volatile uint8_t *)p = (uint8_t)v; break;
  case 2: *(volatile uint16_t *)p = (uint16_t)v; break;
  case 4: *(volatile uint32_t *)p = (uint32_t)v; break;
  default: *(volatile uint64_t *)p = v; break;
  }
}

uint64_t explore_load(const volatile void *p, size_t size, const char *where)
{
  atomic(LOADS, p, READ, where);
  return get(p, size);
}

void explore_store(volatile void *p, size_t size, uint64_t v, const char *where)
{
  atomic(STORES, p, WRITE, where);
  set(p, size, v);
}

void explore_add(volatile void *p, size_t size, uint64_t v, const char *where)
{
  atomic(ADDS, p, ADD, where);
  set(p, size, get(p, size) + v);
}

uint64_t explore_sub(volatile void *p, size_t size, uint64_t v, const char *where)
{
  atomic(SUBS, p, WRITE, where);
  uint64_t before = get(p, size);
  set(p, size, before - v);
  return before;
}

uint64_t explore_exchange(volatile void *p, size_t size, uint64_t v, const char *where)
{
  atomic(EXCHANGES, p, WRITE, where);
  uint64_t before = get(p, size);
  set(p, size, v);
  return before;
}

bool explore_cas(volatile void *p, size_t size, void *expected, uint64_t v, const char *where)
{
  atomic(COMPARES, p, WRITE, where);
  uint64_t before = get(p, size);
  bool same = before == get(expected, size);
  set(same ? p : expected, size, same ? v : before);
  return same;
}

/* ---- locks ---------------------------------------------------------------------- */

void explore_lock(ctx__lock *l, const char *where)
{
  struct thread *t = &threads[running];
  memory_touch(l, where);
  t->next.lock = l;
  atomic(LOCKS, l, WRITE, where);
  *l = (ctx__lock)running + 1;
  t->held++;
}

void explore_unlock(ctx__lock *l, const char *where)
{
  memory_touch_between(l, where);
  if (*l != (ctx__lock)running + 1) fail(where, "drops a lock that it does not hold");
  *l = 0;
  threads[running].held--;
  if (!alone) publish(l);
}

void explore_foreign(const char *where)
{
  if (threads[running].held != 0) fail(where, "calls foreign code with a lock held");
}

struct ctx__self *explore_self(void)
{
  return &threads[running].self;
}

size_t explore_shard(void)
{
  return running < CTX__SHARDS - 1 ? (size_t)running : CTX__SHARDS - 1;
}

/* ---- waiting ---------------------------------------------------------------------- */

static void wake_thread(struct thread *t)
{
  const struct thread *self = &threads[running];
  t->woken = true;
  t->waker = alone ? 0 : search_depth();
  t->waker_past = self->past;
}

static bool sleeps(const struct thread *t)
{
  return !t->finished && t->sleeps_on != NULL && !t->woken;
}

void explore_wait(const ctx__atomic *p, uint32_t seen, int64_t until_ns, const char *where)
{
  struct thread *t = &threads[running];
  t->next.kind = WAITS;
  t->next.where = where;
  t->next.access[0] = (struct access){(uintptr_t)p, READ};
  t->next.access[1] = (struct access){SLEEPERS(p), WRITE};
  t->next.access[2] = (struct access){CLOCK, until_ns != INT64_MAX ? READ : NOTHING};
  thread_step();
  memory_touch(p, where);
  if (*p != seen || until_ns <= now_ns) return;
  t->sleeps_on = p;
  t->until_ns = until_ns;
  t->woken = false;
  step(WAKES_UP, 0, NOTHING, where);
  t->sleeps_on = NULL;
}

void explore_wait_a_moment(const ctx__atomic *p, uint32_t seen, const char *where)
{
  explore_wait(p, seen, now_ns + 1000000, where);
}

/* The memory of the word may be gone: it is not looked at. */
void explore_wake(const ctx__atomic *p, const char *where)
{
  step(WAKES, SLEEPERS(p), WRITE, where);
  for (int i = 0; i < thread_count; i++) {
    if (sleeps(&threads[i]) && threads[i].sleeps_on == p) wake_thread(&threads[i]);
  }
}

void explore_await(const ctx__atomic *p, const char *where)
{
  while (explore_load(p, sizeof *p, where) == 0) explore_wait(p, 0, INT64_MAX, where);
}

void fail_asleep(void)
{
  for (int i = 0; i < thread_count; i++) {
    const struct thread *t = &threads[i];
    if (i == MAIN && t->next.kind == JOINS) continue;
    if (!t->finished)
      fail(t->next.where, "all wait for ever: thread %c %s", 'a' + i, kind_name(t->next.kind));
  }
  fail(NULL, "all wait for ever");
}

/* ---- time --------------------------------------------------------------------------- */

/* Wakes whose instant has come. */
static void wake_due(void)
{
  for (int i = 0; i < thread_count; i++) {
    if (sleeps(&threads[i]) && threads[i].until_ns <= now_ns) wake_thread(&threads[i]);
  }
}

/* All that has happened so far comes before the jump, and that before all the rest. */
bool jump(void)
{
  int64_t first_ns = INT64_MAX;
  struct past all = {{0}};
  for (int i = 0; i < thread_count; i++) {
    if (sleeps(&threads[i]) && threads[i].until_ns < first_ns) first_ns = threads[i].until_ns;
    past_join(&all, &threads[i].past);
  }
  if (first_ns == INT64_MAX) return false;
  now_ns = first_ns;
  if (tracing) printf("       -  time jumps to %lld\n", (long long)now_ns);
  wake_due();
  for (int i = 0; i < thread_count; i++) {
    threads[i].past = all;
    threads[i].waker = 0;
  }
  return true;
}

void explore_tick(int64_t ns, const char *where)
{
  if (!time_passes) fail(where, "the scenario does not say that time passes");
  step(TICKS, CLOCK, WRITE, where);
  if (ns > now_ns) now_ns = ns;
  wake_due();
}

int64_t explore_now(const char *where)
{
  step(READS_CLOCK, CLOCK, READ, where);
  return now_ns;
}

/* ---- threads -------------------------------------------------------------------------- */

int explore_start(ctx__thread *t, void *(*f)(void *), void *arg)
{
  explore_step("the start of a thread");
  int n = thread_new(f, arg);
  threads[n].past = threads[running].past;
  if (alone) threads[n].past.to[running] = stamp_plain();
  alone = false;
  *t = n;
  return 0;
}

void explore_join(ctx__thread t, const char *where)
{
  if (threads[t].joined) fail(where, "joins thread %c twice", 'a' + t);
  threads[running].next.target = t;
  step(JOINS, 0, NOTHING, where);
  threads[t].joined = true;
  bool all = true;
  for (int i = 1; i < thread_count; i++) all = all && threads[i].joined;
  alone = all && running == MAIN;
}

void explore_once(ctx__once *o, void (*f)(void), const char *where)
{
  explore_lock(&o->lock, where);
  if (!o->done) f();
  o->done = true;
  explore_unlock(&o->lock, where);
}

/* ---- memory ------------------------------------------------------------------------------ */

void *explore_alloc(size_t size, const char *where)
{
  return memory_new(size, where);
}

void explore_free(void *block, const char *where)
{
  if (block == NULL) return;
  threads[running].next.target = memory_block(block, where);
  step(FREES, 0, NOTHING, where);
  memory_bury(threads[running].next.target);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

enum { FDS = 16, FIRST_FD = 100 };

static struct descriptor {
  bool open;
  int64_t from_ns; /* readable from then on */
} fds[FDS];
static int fd_count;

static struct descriptor *fd_at(int fd, const char *where)
{
  struct descriptor *d = &fds[fd - FIRST_FD];
  if (fd < FIRST_FD || fd >= FIRST_FD + fd_count || !d->open)
    fail(where, "uses a closed descriptor");
  return d;
}

int explore_fd_open(ctx__fd *f)
{
  if (fd_count == FDS) return -1;
  fds[fd_count] = (struct descriptor){true, INT64_MAX};
  f->fd = FIRST_FD + fd_count++;
  return 0;
}

void explore_fd_arm(const ctx__fd *f, int64_t ns, const char *where)
{
  step(USES_FD, (uintptr_t)&fds[f->fd - FIRST_FD], WRITE, where);
  fd_at(f->fd, where)->from_ns = ns;
}

void explore_fd_close(ctx__fd *f, const char *where)
{
  if (f->fd < 0) return;
  step(USES_FD, (uintptr_t)&fds[f->fd - FIRST_FD], WRITE, where);
  fd_at(f->fd, where)->open = false;
  f->fd = -1;
}

bool explore_readable(int fd, const char *where)
{
  struct operation *next = &threads[running].next;
  next->access[2].how = NOTHING;
  step(USES_FD, (uintptr_t)&fds[fd - FIRST_FD], READ, where);
  return fd_at(fd, where)->from_ns <= explore_now(where);
}

void operations_reset(void)
{
  now_ns = 0;
  fd_count = 0;
}

void operations_check(void)
{
  for (int i = 1; i < thread_count; i++) {
    if (!threads[i].joined) fail(NULL, "thread %c is never joined", 'a' + i);
  }
  for (int i = 0; i < fd_count; i++) {
    if (fds[i].open) fail(NULL, "a descriptor is never closed");
  }
}
