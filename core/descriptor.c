#include "platform.h"

#include "descriptor.h"

struct descriptor {
  struct list_link link; /* in the context's hooks, before all others */
  uint32_t process;      /* CTX__PROCESS() when it was opened */
  ctx__fd fd;
};

static struct descriptor *of(const ctx_context *c)
{
  if ((c->node.marks & MARK_DESCRIPTOR) == 0) return NULL;
  return LIST_ELEMENT(c->hooks.first, struct descriptor, link);
}

/* Tells the kernel when 'c' ends, as far as it is known now. */
static void arm_locked(ctx_context *c, const struct descriptor *d)
{
  int64_t end_ns = INT64_MAX;
  if (state_is_done(CTX__LOAD_RELAXED(&c->node.state)))
    end_ns = INT64_MIN;
  else if (node_can_end(&c->node) && CTX__FD_TIMED && clock_is_monotonic(&c->engine->clock))
    end_ns = CTX__LOAD(&c->deadline_ns);
  CTX__FD_ARM(&d->fd, end_ns);
}

void descriptor_signal_locked(ctx_context *c)
{
  struct descriptor *d = of(c);
  if (d != NULL && d->process == CTX__PROCESS()) CTX__FD_ARM(&d->fd, INT64_MIN);
}

/* Gives 'c' the descriptor 'd'. False: it has got one meanwhile. */
static bool keep(ctx_context *c, struct descriptor *d)
{
  CTX__LOCK(&c->node.lock);
  bool first = of(c) == NULL;
  if (first) {
    list_prepend(&c->hooks, &d->link);
    c->node.marks |= MARK_DESCRIPTOR;
    arm_locked(c, d);
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
  struct descriptor *d = of(c);
  if (d != NULL) {
    number = d->fd.fd;
    if (d->process != CTX__PROCESS()) {
      if (CTX__FD_RENEW(&d->fd) != 0) number = -1;
      if (number >= 0) d->process = CTX__PROCESS();
      if (number >= 0) arm_locked(c, d);
    }
  }
  CTX__UNLOCK(&c->node.lock);
  return number;
}

int descriptor_open(ctx_context *c)
{
  int number = find(c), failed = CTX__WATCH_FORKS();
  if (number != -2) return number;
  struct descriptor *d = failed == 0 ? engine_alloc(c->engine, sizeof *d) : NULL;
  if (d == NULL) {
    errno = ENOMEM;
    return -1;
  }
  *d = (struct descriptor){.process = CTX__PROCESS(), .fd = CTX__FD_NONE};
  bool opened = CTX__FD_OPEN(&d->fd) == 0;
  number = d->fd.fd;
  if (opened && keep(c, d)) {
    engine_count(c->engine, COUNT_FDS, 1);
    return number;
  }
  int error = errno;
  CTX__FD_CLOSE(&d->fd);
  engine_free(c->engine, d, sizeof *d);
  errno = error;
  return opened ? find(c) : -1;
}

void descriptor_drop(ctx_context *c)
{
  struct descriptor *d = of(c);
  if (d == NULL) return;
  list_remove(&c->hooks, &d->link);
  CTX__FD_CLOSE(&d->fd);
  engine_count(c->engine, COUNT_FDS, -1);
  engine_free(c->engine, d, sizeof *d);
}
