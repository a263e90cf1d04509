/*
 * heap - what comes from the C library's own heap, when that has none to give
 *
 * A cause, a semaphore and a group belong to no allocator of an engine; neither does an engine
 * that was given none. The linker puts the malloc below in the place of the library's.
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <errno.h>

static int64_t left = -1; /* blocks that are given before all fails; -1: any number */
static int64_t out;       /* blocks given and not freed */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void __real_free(void *block);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
  if (left == 0) return NULL;
  if (left > 0) left--;
  out++;
  return __real_malloc(size);
}

void __wrap_free(void *block)
{
  if (block != NULL) out--;
  __real_free(block);
}

/* Tries 'make' with more and more blocks, until it succeeds: what it has made. Every failure is
 * ENOMEM and leaves nothing. */
static void *sweep(void *(*make)(void *arg), void *arg, int fails)
{
  int64_t before = out, n = 0;
  void *made = NULL;
  for (; made == NULL && n < 20; n++) {
    errno = 0;
    left = n;
    made = make(arg);
    left = -1;
    if (made != NULL) break;
    check_points++;
    CHECK_INT(errno, ENOMEM);
    CHECK_INT(out, before);
  }
  CHECK_INT(n, fails);
  return made;
}

static void *make_cause(void *arg)
{
  (void)arg;
  return ctx_cause_new("why", 3, 0, NULL, NULL);
}

TEST(causes)
{
  ctx_cause *made = sweep(make_cause, NULL, 1);
  CHECK_STR(ctx_cause_text(made, NULL), "why");
  ctx_cause_release(made);
  errno = 0;
  CHECK(ctx_cause_new("", SIZE_MAX, 0, NULL, NULL) == NULL);
  CHECK_INT(errno, ENOMEM);
  CHECK(ctx_cause_retain(NULL) == NULL);
  ctx_cause_release(NULL);
  made = need(ctx_cause_new(NULL, 5, 7, NULL, NULL));
  CHECK_STR(ctx_cause_text(made, NULL), "");
  CHECK_INT(ctx_cause_code(made), 7);
  ctx_cause_release(made);
  CHECK_INT(out, 0);
}

/* Two causes belong to nobody. */
TEST(plain_causes)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_cancel(c);
  ctx_cause *plain = ctx_cause_of(c);
  CHECK(ctx_cause_retain(plain) == plain);
  for (int i = 0; i < 3; i++) ctx_cause_release(plain);
  CHECK_STR(ctx_cause_text(plain, NULL), "context canceled");
  ctx_release(c);
  world_close(&w);
}

static void *make_semaphore(void *arg)
{
  (void)arg;
  return ctx_semaphore_open(3);
}

TEST(semaphores)
{
  ctx_semaphore_close(sweep(make_semaphore, NULL, 1));
  ctx_semaphore_close(NULL);
  errno = 0;
  CHECK(ctx_semaphore_open(0) == NULL);
  CHECK_INT(errno, EINVAL);
  CHECK_INT(out, 0);
}

static void *make_group(void *parent)
{
  return ctx_group_open(parent, 2);
}

TEST(groups)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_group *g = sweep(make_group, bg, 3); /* the world takes its blocks from here, too */
  left = 0;
  CHECK_INT(ctx_group_set_limit(g, 5), ENOMEM);
  left = -1;
  CHECK_INT(ctx_group_add(g), 0);
  CHECK_INT(ctx_group_add(g), 0);
  CHECK_INT(ctx_group_try_add(g), EAGAIN); /* the limit is as it was */
  ctx_group_done(g, NULL);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_set_limit(g, SIZE_MAX), 0); /* as many as a semaphore can count */
  CHECK_INT(ctx_group_try_add(g), 0);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_close(g), 0);
  errno = 0;
  CHECK(ctx_group_open(NULL, 2) == NULL);
  CHECK_INT(errno, EINVAL);
  world_close(&w);
  CHECK_INT(out, 0);
}

static void *make_engine(void *arg)
{
  (void)arg;
  return ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_MANUAL});
}

TEST(engines)
{
  ctx_engine *e = sweep(make_engine, NULL, 1);
  ctx_context *c = need(ctx_with_cancel(ctx_engine_background(e)));
  left = 0;
  CHECK(ctx_cancel(c));
  ctx_release(c);
  CHECK_INT(ctx_engine_close(e), 0);
  left = -1;
  CHECK_INT(out, 0);
}

static const struct test tests[] = {
  T(causes, "a cause that finds no memory is none; no cause may be given, and released"),
  T(plain_causes, "E1 the plain cause is there however often it is released"),
  T(semaphores, "M2 a semaphore that finds no memory leaves nothing"),
  T(groups, "L1 a group that finds no memory leaves nothing, and keeps its limit"),
  T(engines, "an engine of the library's own heap cancels and ends without memory"),
};

int main(int argc, char **argv)
{
  return check_run("heap", tests, sizeof tests / sizeof *tests, argc, argv);
}
