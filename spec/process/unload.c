/*
 * unload - the shared library is closed while its thread runs
 *
 * It stays in memory (it is linked with -z nodelete): its thread goes on, and who opens it
 * again finds the same engine. UNLOADS is how often.
 */
#include "process.h"

#include <dlfcn.h>

enum { UNLOADS = 200 };

/* The leak sanitizer cannot look into the thread-local memory of a closed library. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
  return 1;
}

/* The library as this program knows it: it is not linked to it. */
struct library {
  void *handle;
  ctx_context *(*background)(void);
  ctx_context *(*with_timeout)(ctx_context *parent, int64_t timeout_ns);
  ctx_hook *(*after_func)(ctx_context *c, ctx_hook_fn *f, void *arg, unsigned flags);
  void (*hook_release)(ctx_hook *h);
  void (*release)(ctx_context *c);
};

/* ISO C knows no way from an object to a function. */
static void find(const struct library *l, const char *name, void *function)
{
  void *found = dlsym(l->handle, name);
  if (!CHECK(found != NULL)) abort();
  memcpy(function, &found, sizeof found);
}

static struct library load(void)
{
  char path[4096];
  const char *build = getenv("BUILD");
  snprintf(path, sizeof path, "%s/libctx.so.0", build != NULL ? build : "build");
  struct library l = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
  if (!CHECK(l.handle != NULL)) abort();
  find(&l, "ctx_background", &l.background);
  find(&l, "ctx_with_timeout", &l.with_timeout);
  find(&l, "ctx_after_func", &l.after_func);
  find(&l, "ctx_hook_release", &l.hook_release);
  find(&l, "ctx_release", &l.release);
  return l;
}

static void count_run(ctx_context *c, void *arg)
{
  (void)c;
  count(arg, 1);
}

/* Loads, attaches a hook that runs a little later, and closes at once. */
static void load_and_close(int64_t *ran)
{
  struct library l = load();
  ctx_context *c = need(l.with_timeout(l.background(), 500000));
  ctx_hook *h = need(l.after_func(c, count_run, ran, 0));
  l.hook_release(h);
  l.release(c);
  CHECK_INT(dlclose(l.handle), 0);
}

static void *load_in_thread(void *arg)
{
  load_and_close(arg);
  return NULL;
}

TEST(close_while_the_thread_runs)
{
  static int64_t ran; /* the thread that counts is still there later */
  int n = setting("UNLOADS", UNLOADS);
  for (int i = 0; i < n; i++) load_and_close(&ran);
  EVENTUALLY(READ(ran) == n);
}

TEST(close_on_threads_that_end)
{
  static int64_t ran; /* the thread that counts is still there later */
  int n = setting("UNLOADS", UNLOADS);
  for (int i = 0; i < n; i++) join(start(load_in_thread, &ran));
  EVENTUALLY(READ(ran) == n);
}

TEST(fork_after_close)
{
  static int64_t ran; /* the thread that counts is still there later */
  for (int i = 0; i < 10; i++) {
    load_and_close(&ran);
    pid_t child = fork();
    if (child == 0) {
      begin_child();
      struct library l = load();
      _exit(l.with_timeout(l.background(), 1) == NULL && errno == ECHILD ? 0 : 1);
    }
    CHECK_INT(end_of(child), 0);
    EVENTUALLY(READ(ran) == i + 1);
  }
}

static const struct test tests[] = {
  T(close_while_the_thread_runs, "dlclose() leaves the engine's thread running, and its hooks run"),
  T(close_on_threads_that_end, "a thread that has used a library closed since ends"),
  T(fork_after_close, "a fork after dlclose() finds the library's engine dead in the child"),
};

int main(int argc, char **argv)
{
  leave_no_core();
  return check_run("unload", tests, sizeof tests / sizeof *tests, argc, argv);
}
