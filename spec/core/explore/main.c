/*
 * main - runs the scenarios, and tells of the first schedule that fails
 *
 *   explore              all, each as far as its table says
 *   explore -l, -s       those of them whose search is cut because it is long; the others
 *   explore NAME...      these
 *   explore NAME:CHOICES one schedule, step by step
 *   explore -p NAME      with more and more preemptions, until one fails, which is
 *                        what is asked for: something was planted
 *   explore -n NAME      without the reduction, to compare
 */
#include "explorer.h"

#include "search.h"

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

static const struct scenario *const tables[] = {
  litmus_scenarios, chance_scenarios, lock_scenarios,    cancel_scenarios,    expiry_scenarios,
  extend_scenarios, merge_scenarios,  life_scenarios,    hook_scenarios,      wait_scenarios,
  driver_scenarios, signal_scenarios, mailbox_scenarios, semaphore_scenarios, snapshot_scenarios,
};

bool tracing;
bool time_passes;
const void *failed_at;

static const struct scenario *scenario;

/* ---- one schedule ------------------------------------------------------------ */

static struct {
  bool failed, cut;
  char message[400];
} verdict;

static int64_t outcomes;
unsigned explore_seed;

void fail(const char *where, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int n = snprintf(verdict.message, sizeof verdict.message, "%s%s", where ? where : "",
                   where ? ": " : "");
  vsnprintf(verdict.message + n, sizeof verdict.message - (size_t)n, format, args);
  va_end(args);
  if (where != NULL) failed_at = NULL;
  verdict.failed = true;
  threads_stop();
}

void cut(void)
{
  verdict.cut = true;
  threads_stop();
}

/* What was freed and is full of poison leads nowhere. */
static void on_signal(int number)
{
  fail(threads[running].next.where, "signal %d after this", number);
}

static void whole_life(void)
{
  scenario->run();
  operations_check();
  memory_check();
}

/* Engines of this schedule that no thread of their own drives, until they are closed. */
static ctx_engine *watched[2];

static void check_engines(void)
{
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
    const char *broken = watched[i] != NULL ? ctx__check(watched[i]) : NULL;
    explore_expect(broken == NULL, broken, "ctx__check");
  }
}

static void run_once(const uint8_t *choices, size_t n)
{
  verdict.failed = verdict.cut = false;
  failed_at = NULL;
  memset(watched, 0, sizeof watched);
  memory_reset();
  operations_reset();
  search_reset(choices, n);
  threads_run(whole_life);
}

/* ---- one scenario --------------------------------------------------------------- */

struct result {
  unsigned long schedules;
  int threads, outcomes;
  bool failed;
  double seconds;
};

static double seconds_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_cut(const struct result *r)
{
  return scenario->most != 0 && r->schedules >= scenario->most;
}

static void search(struct result *r, int bound, enum mode mode)
{
  double began = seconds_now();
  search_begin(bound, mode);
  time_passes = scenario->time_passes;
  outcomes = 0;
  do {
    run_once(NULL, 0);
    r->schedules++;
    if (thread_count - 1 > r->threads) r->threads = thread_count - 1;
    r->failed = verdict.failed;
  } while (!r->failed && !is_cut(r) && search_advance());
  r->outcomes = __builtin_popcountll((unsigned long long)outcomes);
  r->seconds += seconds_now() - began;
}

/* In which line of which function the code lies, as binutils tell. */
static void print_code(const void *code)
{
  char command[100], line[300];
  snprintf(command, sizeof command, "addr2line -fpe /proc/%ld/exe %p", (long)getpid(), code);
  FILE *f = popen(command, "r");
  if (f == NULL) return;
  while (fgets(line, sizeof line, f) != NULL) printf("    at %s", line);
  pclose(f);
}

static void print_failure(void)
{
  char string[4000];
  search_print(string, sizeof string);
  printf("    %s\n", verdict.message);
  if (failed_at != NULL) print_code(failed_at);
  printf("    %d steps, %d preemptions; to see it: make explore REPLAY=%s:%s\n", search_depth(),
         search_preemptions(), scenario->name, string);
}

static void print_result(const struct result *r, bool ok, int bound)
{
  char how[20] = "complete";
  if (bound != COMPLETE) snprintf(how, sizeof how, "bound %d%s", bound, is_cut(r) ? ", cut" : "");
  printf("%s - %-24s %d threads %9lu schedules  %-8s %6.2f s  %s\n", ok ? "ok" : "not ok",
         scenario->name, r->threads, r->schedules, how, r->seconds, scenario->says);
}

/* Whether the search with this bound has the outcomes of a naive one. */
static bool agrees(struct result *r, int bound)
{
  struct result naive = {0};
  search(r, bound, REDUCED);
  int64_t seen = outcomes;
  search(&naive, bound, NAIVE);
  r->seconds += naive.seconds;
  if (r->failed || naive.failed || seen == outcomes) return !r->failed && !naive.failed;
  printf("    seed %u, bound %d: %llx, naively %llx\n", explore_seed, bound,
         (unsigned long long)seen, (unsigned long long)outcomes);
  return false;
}

static bool run_seeds(void)
{
  struct result r = {0};
  bool ok = true;
  for (explore_seed = 1; explore_seed <= scenario->seeds; explore_seed++) {
    for (int bound = COMPLETE; bound <= 2; bound++) ok = agrees(&r, bound) && ok;
  }
  print_result(&r, ok, COMPLETE);
  return ok;
}

/* As its table says; the tests of the explorer itself end in what they must. */
static bool run_scenario(enum mode mode)
{
  struct result r = {0};
  search(&r, scenario->bound, mode);
  bool ok = !r.failed;
  if (scenario->fails != NULL) ok = r.failed && strstr(verdict.message, scenario->fails) != NULL;
  if (scenario->outcomes != 0) ok = ok && r.outcomes == scenario->outcomes;
  print_result(&r, ok, scenario->bound);
  if (!ok && scenario->outcomes != 0) printf("    %d outcomes\n", r.outcomes);
  if (!ok && r.failed) print_failure();
  return ok;
}

/* With more and more preemptions, until one fails. */
static bool run_planted(void)
{
  struct result r = {0};
  int bound = 0, last = scenario->bound != COMPLETE ? scenario->bound : 3;
  for (; !r.failed && bound <= last; bound++) search(&r, bound, REDUCED);
  if (!r.failed && scenario->bound == COMPLETE) search(&r, COMPLETE, REDUCED);
  printf("%s - planted in %-16s schedule %lu\n", r.failed ? "ok" : "not ok", scenario->name,
         r.schedules);
  if (r.failed) print_failure();
  return r.failed;
}

/* a3b12 as aaabbbbbbbbbbbb. What is no such string ends the program. */
static size_t parse(const char *s, uint8_t *choices, size_t max)
{
  size_t n = 0;
  const char *whole = s;
  while (islower((unsigned char)*s)) {
    char *end;
    uint8_t t = (uint8_t)(*s - 'a');
    long times = strtol(s + 1, &end, 10);
    if (times <= 0) break;
    for (; times > 0 && n < max; times--) choices[n++] = t;
    s = end;
  }
  if (*s == '\0') return n;
  fprintf(stderr, "not a schedule, which is like a3b12: %s\n", whole);
  exit(2);
}

/* How many of the 'n' choices were followed in the run that is over: others may have been
 * impossible, where the sources are no longer what they were. */
static size_t followed(const uint8_t *choices, size_t n)
{
  static uint8_t made[STEPS];
  static char string[4 * STEPS];
  search_print(string, sizeof string);
  size_t steps = parse(string, made, STEPS), i = 0;
  while (i < n && i < steps && made[i] == choices[i]) i++;
  return i;
}

static bool replay(const char *string)
{
  static uint8_t choices[STEPS];
  size_t n = parse(string, choices, STEPS);
  tracing = true;
  search_begin(COMPLETE, REDUCED);
  time_passes = scenario->time_passes;
  run_once(choices, n);
  if (verdict.failed) print_failure();
  size_t until = followed(choices, n);
  if (until < n) printf("    the schedule cannot be followed from step %zu on\n", until + 1);
  return !verdict.failed && until == n;
}

/* ---- all ------------------------------------------------------------------------------ */

static const struct scenario *find(const char *name, size_t len)
{
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    for (const struct scenario *s = tables[i]; s->name != NULL; s++) {
      if (strlen(s->name) == len && memcmp(s->name, name, len) == 0) return s;
    }
  }
  fprintf(stderr, "there is no scenario %.*s\n", (int)len, name);
  exit(2);
}

static bool run_named(const char *arg, const char *option)
{
  size_t len = strcspn(arg, ":");
  scenario = find(arg, len);
  if (arg[len] == ':') return replay(arg + len + 1);
  if (strcmp(option, "-p") == 0) return run_planted();
  if (scenario->seeds != 0) return run_seeds();
  return run_scenario(strcmp(option, "-n") == 0 ? NAIVE : REDUCED);
}

static void catch_signals(void)
{
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGABRT, &action, NULL);
}

int main(int argc, char **argv)
{
  int passed = 0, failed = 0, from = 1;
  const char *option = argc > 1 && argv[1][0] == '-' ? argv[from++] : "";
  catch_signals();
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  for (int i = from; i < argc; i++) run_named(argv[i], option) ? passed++ : failed++;
  for (size_t i = 0; from == argc && i < sizeof tables / sizeof *tables; i++) {
    for (const struct scenario *s = tables[i]; s->name != NULL; s++) {
      if (strcmp(option, s->most != 0 ? "-s" : "-l") == 0) continue;
      run_named(s->name, option) ? passed++ : failed++;
    }
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}

/* ---- what scenarios call ------------------------------------------------------------------ */

void explore_outcome(unsigned n)
{
  outcomes |= INT64_C(1) << n;
}

void explore_expect(bool ok, const char *text, const char *where)
{
  if (!ok) fail(where, "not so: %s", text);
}

void explore_expect_int(int64_t a, int64_t b, const char *text, const char *where)
{
  if (a != b) fail(where, "not so: %s: %lld is not %lld", text, (long long)a, (long long)b);
}

void *explore_new(size_t size, const char *where)
{
  void *block = memory_new(size, where);
  memset(block, 0, size);
  return block;
}

struct parts {
  part *f;
  void *arg;
};

static void *run_part(void *arg)
{
  struct parts *p = arg;
  p->f(p->arg);
  return NULL;
}

void together(void *arg, part *first, ...)
{
  struct parts parts[THREADS];
  ctx__thread started[THREADS];
  int n = 0;
  va_list more;
  va_start(more, first);
  for (part *f = first; f != NULL; f = va_arg(more, part *)) {
    parts[n] = (struct parts){f, arg};
    explore_start(&started[n], run_part, &parts[n]);
    n++;
  }
  va_end(more);
  for (int i = 0; i < n; i++) explore_join(started[i], "together");
  check_engines();
}

ctx_engine *explore_engine(ctx_driver driver)
{
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = driver});
  explore_expect(e != NULL, "there is an engine", EXPLORE_HERE);
  int place = watched[0] != NULL;
  explore_expect(watched[place] == NULL, "there is room for one more engine", EXPLORE_HERE);
  if (driver != CTX_DRIVER_THREAD) watched[place] = e;
  return e;
}

int explore_close(ctx_engine *e)
{
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
    if (watched[i] == e) watched[i] = NULL;
  }
  return (ctx_engine_close)(e);
}
