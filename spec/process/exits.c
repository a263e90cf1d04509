/*
 * exits - a process ends, whatever its engines are doing
 *
 * Each child has two engines whose threads run hooks without end, contexts that live and a
 * thread that waits; then it ends in one of the ways there are. For Lua it is the interpreter
 * under test that runs exits.lua.
 *
 * EXITS is how often each way is gone, LUA_EXITS the same for Lua.
 */
#include "process.h"

#ifdef SLOW
enum { EXITS = 30, LUA_EXITS = 5 };
#else
enum { EXITS = 200, LUA_EXITS = 50 };
#endif

/* Those who leave without asking their threads leave things behind. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
  return 1;
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
  return "atexit_sleep_ms=0";
}

static jmp_buf main_frame;

/* ---- a busy process ------------------------------------------------------- */

struct busy {
  ctx_engine *engine;
  ctx_context *done, *live;
  ctx_hook again; /* attaches itself anew, for ever */
  ctx_hook *pending;
  ctx_timer timer;
};

static struct busy busy[2];

static void come_again(ctx_context *c, void *arg)
{
  struct busy *b = arg;
  ctx_release(ctx_with_timeout(b->live, 1000));
  ctx_hook_attach(&b->again, c);
}

static void nothing(ctx_context *c, void *arg)
{
  (void)c, (void)arg;
}

static void arm_again(ctx_timer *t, void *arg)
{
  struct busy *b = arg;
  ctx_timer_arm(t, ctx_engine_now(b->engine) + 10000);
}

static void *wait_for_ever(void *arg)
{
  ctx_wait(arg, CTX_NEVER);
  return NULL;
}

static void be_busy(struct busy *b, ctx_engine *e)
{
  b->engine = e;
  b->done = need(ctx_with_timeout(ctx_engine_background(e), 0));
  b->live = need(ctx_with_timeout(ctx_engine_background(e), CTX_SECONDS(3600)));
  b->pending = need(ctx_after_func(b->live, nothing, NULL, 0));
  ctx_timer_init(&b->timer, e, arm_again, b);
  ctx_timer_arm(&b->timer, 0);
  ctx_hook_init(&b->again, come_again, b, 0);
  if (ctx_hook_attach(&b->again, b->done) != 0) abort();
}

/* ---- the ways to end ------------------------------------------------------ */

static void by_exit(void)
{
  exit(0);
}

static void by_return(void)
{
  longjmp(main_frame, 1);
}

static void by_quick_exit(void)
{
  quick_exit(0);
}

static void by_underscore_exit(void)
{
  _exit(0);
}

static void by_abort(void)
{
  abort();
}

static void exit_in_hook(ctx_context *c, void *arg)
{
  (void)c, (void)arg;
  exit(0);
}

static void by_exit_in_hook(void)
{
  ctx_hook_release(need(ctx_after_func(busy[1].done, exit_in_hook, NULL, 0)));
  ctx_wait(busy[1].live, CTX_NEVER);
}

/* Others still run as the handlers of exit do. */
static void by_exit_of_two(void)
{
  ctx_hook_release(need(ctx_after_func(busy[0].done, exit_in_hook, NULL, 0)));
  _exit(ctx_wait(busy[1].live, CTX_MS(1)));
}

static void exit_busy(void (*way)(void))
{
  begin_child();
  be_busy(&busy[0], ctx_engine_of(ctx_background()));
  be_busy(&busy[1], need(ctx_engine_open(NULL)));
  start(wait_for_ever, busy[0].live);
  way();
}

static void exit_many(void (*way)(void), int status)
{
  for (int i = 0, n = setting("EXITS", EXITS); i < n; i++) {
    pid_t child = fork();
    if (child == 0) exit_busy(way);
    if (!CHECK(child > 0) || !CHECK_INT(end_of(child), status)) break;
  }
}

TEST(exit_from_main)
{
  exit_many(by_exit, 0);
}

TEST(exit_from_a_hook)
{
  exit_many(by_exit_in_hook, 0);
}

TEST(exit_at_the_same_time)
{
  exit_many(by_exit_of_two, 0);
}

TEST(return_from_main)
{
  exit_many(by_return, 0);
}

TEST(quick_exit_from_main)
{
  exit_many(by_quick_exit, 0);
}

TEST(underscore_exit)
{
  exit_many(by_underscore_exit, 0);
}

TEST(abort_from_main)
{
  exit_many(by_abort, 1000 + SIGABRT);
}

/* ---- Lua ------------------------------------------------------------------ */

static pid_t spawn_lua(const char *way)
{
  pid_t child = fork();
  if (child != 0) return child;
  int null = open("/dev/null", O_WRONLY);
  dup2(null, STDERR_FILENO); /* the error of the way 'error', and what a state warns of */
  alarm(HANG_S);
  execl("/bin/sh", "sh", "-c", "exec $LUA_COMMAND spec/process/exits.lua \"$0\"", way,
        (char *)NULL);
  _exit(127);
}

static void exit_lua(const char *way, int status)
{
  enum { AT_ONCE = 2 };
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  for (int i = 0, n = setting("LUA_EXITS", LUA_EXITS); i < n; i += AT_ONCE) {
    pid_t children[AT_ONCE];
    int wrong = 0;
    for (int k = 0; k < AT_ONCE; k++) children[k] = spawn_lua(way);
    for (int k = 0; k < AT_ONCE; k++) wrong += !CHECK_INT(end_of(children[k]), status);
    if (wrong != 0) break;
  }
}

TEST(os_exit)
{
  exit_lua("exit", 0);
}

TEST(os_exit_and_close)
{
  exit_lua("close", 0);
}

TEST(os_exit_in_a_task)
{
  exit_lua("task", 0);
}

TEST(error_at_the_top)
{
  exit_lua("error", 1);
}

TEST(end_of_the_script)
{
  exit_lua("end", 0);
}

static const struct test tests[] = {
  T(exit_from_main, "exit() ends a process whose engines' threads run hooks"),
  T(exit_from_a_hook, "exit() in a hook, on the engine's thread, does"),
  T(exit_at_the_same_time, "exit() in a hook and _exit() from main at the same time do"),
  T(return_from_main, "a return from main does"),
  T(quick_exit_from_main, "quick_exit() does"),
  T(underscore_exit, "_exit() does"),
  T(abort_from_main, "abort() does, by its signal"),
};

static const struct test lua_tests[] = {
  T(os_exit, "os.exit(0) ends a script with tasks that wait and contexts that live"),
  T(os_exit_and_close, "os.exit(0, true), which closes the state, does"),
  T(os_exit_in_a_task, "os.exit(0, true) in a task does"),
  T(error_at_the_top, "an error that nobody catches does, with status 1"),
  T(end_of_the_script, "the end of the script does"),
};

int main(int argc, char **argv)
{
  if (setjmp(main_frame) != 0) return 0;
  leave_no_core();
  int failed = check_run("exits", tests, sizeof tests / sizeof *tests, argc, argv);
  if (getenv("LUA_COMMAND") != NULL)
    failed |= check_run("exits", lua_tests, sizeof lua_tests / sizeof *lua_tests, argc, argv);
  else
    puts("skip - exits: of Lua: no interpreter is given by LUA_COMMAND");
  return failed;
}
