/*
 * check - the harness of the C tests
 *
 * A test is a function that states facts by CHECK. A fact that does not hold is
 * printed with its place and fails the test, which goes on; CHECK answers
 * whether it held, for tests that had better stop. Threads that a test starts
 * may CHECK too. A test that the file SKIPS names is left out, as it says why.
 *
 *   TEST(order) { CHECK_INT(first(), 1); }
 *
 *   static const struct test tests[] = {T(order, "D10 the first comes first")};
 *
 *   int main(int argc, char **argv)
 *   {
 *     return check_run("queue", tests, sizeof tests / sizeof *tests, argc, argv);
 *   }
 *
 * Knows nothing but the standard library.
 */
#ifndef CTX_CHECK_H
#define CTX_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_SHOWN = 10 }; /* failures printed a test: a loop may have a million */

struct test {
  const char *name; /* what is true, in the present tense; its rule's number first */
  void (*run)(void);
};

#define TEST(name) static void name(void)
#define T(fn, title) \
  { \
    title, fn \
  }

#define CHECK(cond) check_true((cond), __FILE__, __LINE__, #cond)
#define CHECK_INT(a, b) check_int((long long)(a), (long long)(b), __FILE__, __LINE__, #a " == " #b)
#define CHECK_STR(a, b) check_str((a), (b), __FILE__, __LINE__, #a " == " #b)

static int check_failures; /* of the running test; atomic */
static int check_points;   /* of the program: places at which an allocation was made to fail */

/* Counts a failure. True: it is one of those to be printed. */
static inline bool check_fail(void)
{
  return __atomic_fetch_add(&check_failures, 1, __ATOMIC_RELAXED) < CHECK_SHOWN;
}

static inline bool check_true(bool ok, const char *file, int line, const char *text)
{
  if (!ok && check_fail()) printf("# %s:%d: %s\n", file, line, text);
  return ok;
}

static inline bool check_int(long long a, long long b, const char *file, int line, const char *text)
{
  if (a != b && check_fail()) printf("# %s:%d: %s: %lld is not %lld\n", file, line, text, a, b);
  return a == b;
}

static inline bool check_str(const char *a, const char *b, const char *file, int line,
                             const char *text)
{
  bool ok = a != NULL && b != NULL ? strcmp(a, b) == 0 : a == b;
  if (ok || !check_fail()) return ok;
  printf("# %s:%d: %s: \"%s\" is not \"%s\"\n", file, line, text, a ? a : "(null)",
         b ? b : "(null)");
  return ok;
}

/* Whether a test is to be left out here, which is told. SKIPS has lines 'subject: title | why'. */
static inline bool check_skips(const char *subject, const struct test *t)
{
  char test[512], line[1024];
  const char *path = getenv("SKIPS");
  FILE *f = path != NULL ? fopen(path, "r") : NULL;
  if (f == NULL) return false;
  size_t n = (size_t)snprintf(test, sizeof test, "%s: %s | ", subject, t->name);
  bool found = false;
  while (!found && fgets(line, sizeof line, f) != NULL) found = strncmp(line, test, n) == 0;
  fclose(f);
  if (found) printf("skip - %s: %s: %s", subject, t->name, line + n);
  return found;
}

/* Runs one test; true when all its facts held. */
static inline bool check_one(const char *subject, const struct test *t)
{
  __atomic_store_n(&check_failures, 0, __ATOMIC_RELAXED);
  t->run();
  int failures = __atomic_load_n(&check_failures, __ATOMIC_RELAXED);
  if (failures > CHECK_SHOWN) printf("# and %d more\n", failures - CHECK_SHOWN);
  printf("%s - %s: %s\n", failures == 0 ? "ok" : "not ok", subject, t->name);
  return failures == 0;
}

/*
 * Runs all 'n' tests, or those with argv[1] in their names. Answers the exit
 * status: not 0 when a test failed.
 */
static inline int check_run(const char *subject, const struct test *tests, size_t n, int argc,
                            char **argv)
{
  size_t passed = 0, failed = 0;
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* a crash loses no line */
  for (size_t i = 0; i < n; i++) {
    if (argc > 1 && strstr(tests[i].name, argv[1]) == NULL) continue;
    if (check_skips(subject, &tests[i])) continue;
    if (check_one(subject, &tests[i])) {
      passed++;
    } else {
      failed++;
    }
  }
  if (check_points > 0) printf("# %d points of failure\n", check_points);
  printf("# %zu passed, %zu failed\n", passed, failed);
  return failed != 0;
}

#endif
