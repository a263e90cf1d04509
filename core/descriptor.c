#include "platform.h"

#include "descriptor.h"

/* The annex of 'c' where it holds a descriptor, or NULL. */
static struct annex *holder_locked(const ctx_context *c)
{
  struct annex *a = annex_of(c);
  return a != NULL && a->process != 0 ? a : NULL;
}

/* Tells the kernel when 'c' ends, as far as it is known now. */
static void arm_locked(ctx_context *c, const struct annex *a)
{
  int64_t end_ns = INT64_MAX;
  if (state_is_done(CTX__LOAD_RELAXED(&c->node.state)))
    end_ns = INT64_MIN;
  else if (node_can_end(&c->node) && CTX__FD_TIMED && clock_is_monotonic(&c->engine->clock))
    end_ns = CTX__LOAD(&c->deadline_ns);
  CTX__FD_ARM(&a->fd, end_ns);
}

void descriptor_signal_locked(ctx_context *c)
{
  struct annex *a = holder_locked(c);
  if (a != NULL && a->process == CTX__PROCESS()) CTX__FD_ARM(&a->fd, INT64_MIN);
}

void descriptor_rearm_locked(ctx_context *c)
{
  struct annex *a = holder_locked(c);
  if (a != NULL && a->process == CTX__PROCESS()) arm_locked(c, a);
}

/* Gives 'c' the descriptor 'fd'. False: it has got one meanwhile. */
static bool keep(ctx_context *c, struct annex *a, const ctx__fd *fd)
{
  CTX__LOCK(&c->node.lock);
  bool first = a->process == 0;
  if (first) {
    a->fd = *fd;
    a->process = CTX__PROCESS();
    arm_locked(c, a);
  }
  CTX__UNLOCK(&c->node.lock);
  return first;
}

/* The number of the descriptor that 'c' has, made this process's own where it came from another
 * one; -1: that fails; -2: there is none. */
static int find(ctx_context *c)
{
  int number = -2;
  CTX__LOCK(&c->node.lock);
  struct annex *a = holder_locked(c);
  if (a != NULL) {
    number = a->fd.fd;
    if (a->process != CTX__PROCESS()) {
      if (CTX__FD_RENEW(&a->fd) != 0) number = -1;
      if (number >= 0) a->process = CTX__PROCESS();
      if (number >= 0) arm_locked(c, a);
    }
  }
  CTX__UNLOCK(&c->node.lock);
  return number;
}

/* Closes 'fd', which nobody has, and keeps errno. */
static void close_again(ctx__fd *fd)
{
  int error = errno;
  CTX__FD_CLOSE(fd);
  errno = error;
}

int descriptor_open(ctx_context *c)
{
  int number = find(c), failed = CTX__WATCH_FORKS();
  if (number != -2) return number;
  ctx__fd fd = CTX__FD_NONE;
  errno = failed;
  if (failed != 0 || CTX__FD_OPEN(&fd) != 0) return -1;
  struct annex *a = annex_make(c);
  if (a != NULL && keep(c, a, &fd)) {
    engine_count(c->engine, COUNT_FDS, 1);
    return fd.fd;
  }
  close_again(&fd);
  return a != NULL ? find(c) : -1;
}
