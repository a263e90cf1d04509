#include "platform.h"

#include "engine.h"

/* ---- the lock ---------------------------------------------------------- */

void engine_lock(ctx_engine *e)
{
  CTX__LOCK(&e->lock);
}

/* The thread is woken by who drops the lock. */
static void sound_alarm_locked(ctx_engine *e)
{
  CTX__SUB_RELEASE(&e->alarm, 1);
  e->alarming = true;
}

void engine_unlock(ctx_engine *e)
{
  bool alarming = e->alarming;
  e->alarming = false;
  CTX__UNLOCK(&e->lock);
  if (alarming) CTX__WAKE(&e->alarm);
}

/* ---- the life of an engine -------------------------------------------- */

int engine_check_options(const ctx_engine_options *o)
{
  bool half_allocator = (o->alloc == NULL) != (o->free == NULL);
  bool known = (unsigned)o->driver <= CTX_DRIVER_MANUAL;
  bool two_clocks = o->driver != CTX_DRIVER_HOST && o->now != NULL;
  return half_allocator || !known || two_clocks ? EINVAL : 0;
}

void engine_init(ctx_engine *e, const ctx_engine_options *options)
{
  *e = (ctx_engine){
    .driver = options->driver, .memory = *options, .fd = CTX__FD_NONE, .told_ns = INT64_MAX};
  e->tracking = options->track != 0;
  if (options->driver == CTX_DRIVER_MANUAL)
    clock_init_manual(&e->clock, options->start_ns);
  else if (options->now != NULL)
    clock_init_host(&e->clock, options->now, options->arg);
  else
    clock_init_monotonic(&e->clock);
  wheel_init(&e->wheel, clock_now(&e->clock));
}

void engine_close(ctx_engine *e)
{
  engine_lock(e);
  CTX__STORE(&e->closed, 1);
  CTX__FD_CLOSE(&e->fd);
  CTX__STORE(&e->fd_process, 0);
  sound_alarm_locked(e);
  engine_unlock(e);
}

void *engine_alloc(ctx_engine *e, size_t size)
{
  CTX__FOREIGN();
  void *block = e->memory.alloc != NULL ? e->memory.alloc(e->memory.arg, size) : CTX__ALLOC(size);
  if (block == NULL) errno = ENOMEM;
  return block;
}

void engine_free(ctx_engine *e, void *block, size_t size)
{
  CTX__FOREIGN();
  if (e->memory.free != NULL)
    e->memory.free(e->memory.arg, block, size);
  else
    CTX__FREE(block);
}

void engine_count(ctx_engine *e, enum engine_count what, int by)
{
  size_t i = CTX__SHARD();
  ctx__atomic64 *count = &e->shard[i].count[what];
  if (CTX__SHARD_IS_OWN(i))
    CTX__STORE(count, CTX__LOAD_RELAXED(count) + by);
  else
    CTX__ADD_RELEASE(count, by);
}

static int64_t sum(ctx_engine *e, enum engine_count what)
{
  int64_t sum = 0;
  for (int i = 0; i < CTX__SHARDS; i++) sum += CTX__LOAD(&e->shard[i].count[what]);
  return sum;
}

static const int64_t patience_ns = 1000000000;

bool engine_await_none(ctx_engine *e, enum engine_count what)
{
  int64_t until_ns = sum(e, what) != 0 ? CTX__NOW() + patience_ns : 0;
  while (sum(e, what) != 0) { /* race: with the last to leave */
    if (CTX__NOW() >= until_ns) return false;
    CTX__WAIT_A_MOMENT(&e->closed, 1);
  }
  return true;
}

/* ---- calling out ------------------------------------------------------ */

void engine_call_begin_locked(ctx_engine *e, struct engine_call *call, const void *what)
{
  struct ctx__self *self = CTX__SELF();
  *call = (struct engine_call){.engine = e, .what = what, .outer = self->calling};
  list_append(&e->calls, &call->link);
  engine_unlock(e);
  self->calling = call;
  CTX__FOREIGN();
}

void engine_call_end(struct engine_call *call)
{
  ctx_engine *e = call->engine;
  CTX__SELF()->calling = call->outer;
  if (engine_is_dead(e)) return; /* the call has forked, and this is the child */
  engine_lock(e);
  list_remove(&e->calls, &call->link);
  bool awaited = e->awaiting > 0;
  if (awaited) CTX__ADD(&e->calls_ended, 1);
  engine_unlock(e);
  if (awaited) CTX__WAKE(&e->calls_ended);
}

bool engine_calling(const ctx_engine *e)
{
  for (struct engine_call *c = CTX__SELF()->calling; c != NULL; c = c->outer) {
    if (e == NULL || c->engine == e) return true;
  }
  return false;
}

static bool runs_locked(ctx_engine *e, const void *what)
{
  for (struct list_link *k = e->calls.first; k != NULL; k = list_after(&e->calls, k)) {
    if (LIST_ELEMENT(k, struct engine_call, link)->what == what) return true;
  }
  return false;
}

void engine_await_call_locked(ctx_engine *e, const void *what)
{
  while (runs_locked(e, what)) {
    uint32_t seen = CTX__LOAD(&e->calls_ended);
    e->awaiting++;
    engine_unlock(e);
    CTX__WAIT(&e->calls_ended, seen, INT64_MAX);
    engine_lock(e);
    e->awaiting--;
  }
}

/* ---- what waits for the driver ---------------------------------------- */

int engine_accepts(ctx_engine *e)
{
  if (engine_is_dead(e)) return ECHILD;
  return CTX__LOAD(&e->closed) != 0 ? ECANCELED : 0;
}

int64_t engine_next_locked(const ctx_engine *e)
{
  if (!list_empty(&e->queue) || CTX__LOAD(&e->signals) != 0) return INT64_MIN;
  return wheel_next(&e->wheel);
}

/* A descriptor from before a fork still tells the parent process. */
static bool has_fd(const ctx_engine *e)
{
  return CTX__LOAD(&e->fd_process) == CTX__PROCESS();
}

/* A handler may come between, and tell it 'now': that is not to be undone. */
static void tell_fd_locked(ctx_engine *e)
{
  CTX__FD_ARM(&e->fd, e->told_ns);
  if (CTX__LOAD(&e->signals) != 0) CTX__FD_ARM(&e->fd, INT64_MIN);
}

void engine_rearm_locked(ctx_engine *e)
{
  e->told_ns = engine_next_locked(e);
  if (has_fd(e)) tell_fd_locked(e);
}

static bool has_thread(const ctx_engine *e)
{
  return CTX__LOAD_RELAXED(&e->thread_is) != THREAD_NONE;
}

/* Somebody sleeps till an instant that he was told. */
static bool is_told(const ctx_engine *e)
{
  return has_thread(e) || has_fd(e);
}

void engine_wake_locked(ctx_engine *e)
{
  if (!is_told(e)) return;
  int64_t next_ns = engine_next_locked(e);
  if (next_ns >= e->told_ns) return;
  e->told_ns = next_ns;
  if (has_thread(e))
    sound_alarm_locked(e);
  else
    tell_fd_locked(e);
}

void engine_wake_from_signal(ctx_engine *e)
{
  if (e->driver == CTX_DRIVER_THREAD) {
    CTX__SUB_RELEASE(&e->alarm, 1); /* 'signals' was set before */
    CTX__WAKE_FROM_SIGNAL(&e->alarm);
  } else if (has_fd(e)) {
    CTX__FD_ARM(&e->fd, INT64_MIN);
  }
}

static void arm_locked(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns)
{
  if (deadline_ns < e->wheel.now_ns) deadline_ns = e->wheel.now_ns;
  wheel_disarm(&e->wheel, entry);
  if (deadline_ns != CTX_NEVER) wheel_arm(&e->wheel, entry, deadline_ns);
}

static void arm(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns, bool anew)
{
  engine_lock(e);
  if (!e->closed && (anew || !wheel_armed(entry))) {
    arm_locked(e, entry, deadline_ns);
    engine_wake_locked(e);
  }
  engine_unlock(e);
}

bool engine_arm_first(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns)
{
  engine_lock(e);
  if (!e->closed) arm_locked(e, entry, deadline_ns);
  bool earlier = is_told(e) && engine_next_locked(e) < e->told_ns;
  engine_unlock(e);
  return earlier;
}

void engine_wake(ctx_engine *e)
{
  engine_lock(e);
  engine_wake_locked(e);
  engine_unlock(e);
}

void engine_arm(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns)
{
  arm(e, entry, deadline_ns, true);
}

void engine_keep(ctx_engine *e, struct wheel_entry *entry, int64_t deadline_ns)
{
  arm(e, entry, deadline_ns, false);
}

bool engine_disarm(ctx_engine *e, struct wheel_entry *entry)
{
  engine_lock(e);
  bool armed = wheel_disarm(&e->wheel, entry);
  engine_unlock(e);
  return armed;
}

/* ---- asking ----------------------------------------------------------- */

int64_t ctx_engine_now(const ctx_engine *e)
{
  return clock_now(&e->clock);
}

bool ctx_engine_is_monotonic(const ctx_engine *e)
{
  return clock_is_monotonic(&e->clock);
}

int64_t ctx_engine_next(ctx_engine *e)
{
  if (engine_is_dead(e)) return CTX_NEVER;
  engine_lock(e);
  int64_t next_ns = engine_next_locked(e);
  engine_unlock(e);
  return next_ns;
}

/* Opens the descriptor, or makes one that was opened before a fork that of this process. */
static int open_fd_locked(ctx_engine *e)
{
  int failed = CTX__WATCH_FORKS();
  if (failed != 0) {
    errno = failed;
    return -1;
  }
  if (e->fd.fd < 0) {
    if (CTX__FD_OPEN(&e->fd) != 0) return -1;
  } else if (!has_fd(e)) {
    if (CTX__FD_RENEW(&e->fd) != 0) return -1;
  }
  CTX__EXCHANGE(&e->fd_process, CTX__PROCESS());
  engine_rearm_locked(e);
  return e->fd.fd;
}

int ctx_engine_fd(ctx_engine *e)
{
  bool possible = e->driver == CTX_DRIVER_HOST && clock_is_monotonic(&e->clock);
  if (!possible || !CTX__FD_TIMED) {
    errno = possible ? ENOTSUP : EINVAL; /* never: on Linux what is possible is supported */
    return -1;
  }
  engine_lock(e);
  int fd = open_fd_locked(e);
  engine_unlock(e);
  return fd;
}

void ctx_engine_counters(ctx_engine *e, ctx_counters *counters)
{
  int64_t timers = 0, fds = 0, threads = 0;
  if (!engine_is_dead(e)) {
    engine_lock(e);
    timers = (int64_t)e->wheel.count;
    fds = e->fd.fd >= 0;
    threads = CTX__LOAD(&e->thread_is) == THREAD_RUNS;
    engine_unlock(e);
  }
  *counters = (ctx_counters){.contexts = sum(e, COUNT_CONTEXTS),
                             .hooks = sum(e, COUNT_HOOKS),
                             .timers = timers,
                             .threads = threads,
                             .fds = sum(e, COUNT_FDS) + fds};
}
