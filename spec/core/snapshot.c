/*
 * snapshot - the live tree, taken and written down
 */
#define _GNU_SOURCE 1
#define CTX_TRACK_SITES 1

#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* ---- taken ------------------------------------------------------------------ */

static const ctx_snapshot_entry *at(const ctx_snapshot *s, size_t i)
{
  return ctx_snapshot_at(s, i);
}

TEST(tree)
{
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(a, 50);
  ctx_context *v = ctx_with_value(a, &w, NULL, NULL), *c = ctx_with_cancel(v);
  ctx_context *d = ctx_with_cancel(b), *gone = ctx_with_cancel(b), *all[] = {d, c, v, b, a};
  ctx_set_name(c, "c");
  ctx_cancel(gone);
  w.now_ns = 20;
  ctx_snapshot *s = need(ctx_snapshot_take(v)); /* ends with a */
  ctx_context *const order[] = {a, b, d, c};
  const size_t depths[] = {0, 1, 2, 1}, parents[] = {0, 0, 1, 0};
  CHECK_INT(ctx_snapshot_count(s), 4);
  for (size_t i = 0; i < 4; i++) {
    CHECK(at(s, i)->context == order[i]);
    CHECK_INT(at(s, i)->depth, depths[i]);
    CHECK_INT(at(s, i)->parent, parents[i]);
    CHECK_STR(at(s, i)->kind, order[i] == b ? "deadline" : "cancel");
    CHECK_STR(at(s, i)->name, order[i] == c ? "c" : "");
    CHECK_INT(at(s, i)->left_ns, order[i] == b || order[i] == d ? 30 : CTX_NEVER);
    CHECK_INT(at(s, i)->age_ns, -1);
    CHECK_INT(at(s, i)->err, 0);
  }
  for (int i = 0; i < 5; i++) ctx_release(all[i]);
  ctx_release(gone);
  CHECK_INT(counters(&w).contexts, 5); /* v by c */
  ctx_snapshot_free(s);
  world_close(&w);
}

static void run(ctx_context *c, void *arg)
{
  (void)c;
  (void)arg;
}

static void *wait_for(void *c)
{
  ctx_wait(c, CTX_NEVER);
  return NULL;
}

TEST(waiting)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(threaded(&w));
  pthread_t sleeper;
  ctx_hook *h = need(ctx_after_func(c, run, NULL, CTX_HOOK_INLINE));
  CHECK(ctx_fd(c) >= 0);
  CHECK_INT(pthread_create(&sleeper, NULL, wait_for, c), 0);
  size_t waiters = 0;
  while (waiters == 0) {
    ctx_snapshot *s = need(ctx_snapshot_take(c));
    waiters = at(s, 0)->waiters;
    CHECK_INT(at(s, 0)->hooks, 1);
    ctx_snapshot_free(s);
  }
  CHECK_INT(waiters, 1);
  ctx_cancel(c);
  pthread_join(sleeper, NULL);
  ctx_hook_release(h);
  ctx_release(c);
  world_close(&w);
}

/* Nobody has asked yet whether 'b' is over, when it is found. */
TEST(over)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_timeout(a, 50);
  world_set(&w, START + 51);
  ctx_snapshot *s = need(ctx_snapshot_take(a));
  CHECK_INT(ctx_snapshot_count(s), 2);
  CHECK_INT(at(s, 1)->left_ns, 0);
  CHECK_INT(at(s, 1)->err, CTX_DEADLINE_EXCEEDED);
  ctx_snapshot_free(s);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(done)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(host(&w)), *b = ctx_with_cancel(a);
  ctx_cancel(a);
  ctx_snapshot *s = need(ctx_snapshot_take(a));
  CHECK_INT(ctx_snapshot_count(s), 1);
  CHECK_INT(at(s, 0)->err, CTX_CANCELED);
  ctx_snapshot_free(s);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

/* ---- tracking ------------------------------------------------------------------ */

TEST(root)
{
  struct world w;
  ctx_context *bg = manual(&w), *before = ctx_with_cancel(bg);
  ctx_engine_track(w.engine, true);
  ctx_context *a = ctx_with_cancel(bg), *v = ctx_with_value(bg, &w, NULL, NULL);
  int line = __LINE__ - 1;
  ctx_engine_advance(w.engine, 7);
  ctx_context *b = ctx_with_cancel(v), *k = ctx_without_cancel(a), *c = ctx_with_cancel(k);
  ctx_context *t = ctx_with_cancel(ctx_engine_todo(w.engine));
  ctx_snapshot *s = need(ctx_snapshot_take(bg));
  char site[256];
  snprintf(site, sizeof site, "%s:%d", __FILE__, line);
  CHECK_INT(ctx_snapshot_count(s), 3);
  CHECK_STR(at(s, 0)->kind, "background");
  CHECK(at(s, 1)->context == a);
  CHECK_STR(at(s, 1)->site, site);
  CHECK_INT(at(s, 1)->age_ns, 7);
  CHECK(at(s, 2)->context == b);
  ctx_snapshot_free(s);
  s = need(ctx_snapshot_take(v)); /* a value that never ends shows the root */
  CHECK_INT(ctx_snapshot_count(s), 3);
  CHECK(at(s, 0)->context == bg);
  ctx_snapshot_free(s);
  s = need(ctx_snapshot_take(k));
  CHECK_INT(ctx_snapshot_count(s), 2);
  CHECK(at(s, 1)->context == c);
  ctx_snapshot_free(s);
  ctx_context *all[] = {t, c, k, b, v, a, before};
  for (int i = 0; i < 7; i++) ctx_release(all[i]);
  world_close(&w);
}

TEST(untracked_again)
{
  struct world w;
  ctx_engine_options o = {.driver = CTX_DRIVER_MANUAL, .track = 1};
  ctx_engine *e = need(ctx_engine_open(&o));
  ctx_context *a = ctx_with_cancel(ctx_engine_background(e));
  ctx_engine_track(e, false);
  ctx_context *b = ctx_with_cancel(ctx_engine_background(e));
  ctx_snapshot *s = need(ctx_snapshot_take(ctx_engine_background(e)));
  CHECK_INT(ctx_snapshot_count(s), 2);
  CHECK(at(s, 1)->context == a);
  ctx_snapshot_free(s);
  ctx_release(a);
  ctx_release(b);
  CHECK_INT(ctx_engine_close(e), 0);
  manual(&w);
  world_close(&w);
}

/* ---- written ------------------------------------------------------------------- */

struct paper {
  char *text;
  size_t size;
  FILE *f;
};

static FILE *take_paper(struct paper *p)
{
  *p = (struct paper){NULL, 0, NULL};
  return p->f = need(open_memstream(&p->text, &p->size));
}

static void check_paper(struct paper *p, const char *meant)
{
  fclose(p->f);
  CHECK_STR(p->text, meant);
  free(p->text);
}

/* A tree for all that is written: the names are to be escaped. */
static ctx_context *draw_tree(struct world *w, ctx_context *below[2])
{
  ctx_context *a = ctx_with_cancel(manual(w));
  below[0] = ctx_with_timeout(a, CTX_MS(2500));
  below[1] = ctx_with_cancel(below[0]);
  ctx_set_name(a, "a \"b\"\n");
  ctx_engine_advance(w->engine, CTX_MS(1000));
  return a;
}

static void release_tree(struct world *w, ctx_context *a, ctx_context *below[2])
{
  ctx_release(below[1]);
  ctx_release(below[0]);
  ctx_release(a);
  world_close(w);
}

TEST(text)
{
  struct world w;
  struct paper p;
  ctx_context *below[2], *a = draw_tree(&w, below);
  CHECK_INT(ctx_dump(a, take_paper(&p)), 0);
  check_paper(&p, "cancel \"a \"b\" \", live\n"
                  "  deadline context 1, live, 1.500 s left\n"
                  "    cancel context 2, live, 1.500 s left\n");
  ctx_cancel_cause(a, cause("why"));
  CHECK_INT(ctx_dump(a, take_paper(&p)), 0);
  check_paper(&p, "cancel \"a \"b\" \", why\n");
  release_tree(&w, a, below);
}

TEST(graphviz)
{
  struct world w;
  struct paper p;
  ctx_context *below[2], *a = draw_tree(&w, below);
  CHECK_INT(ctx_dump_dot(a, take_paper(&p)), 0);
  check_paper(&p, "digraph contexts {\n  node [shape=box];\n"
                  "  n0 [label=\"cancel \\\"a \\\"b\\\" \\\", live\"];\n"
                  "  n1 [label=\"deadline context 1, live, 1.500 s left\"];\n  n0 -> n1;\n"
                  "  n2 [label=\"cancel context 2, live, 1.500 s left\"];\n  n1 -> n2;\n}\n");
  release_tree(&w, a, below);
}

static void nothing(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  (void)arg;
}

/* What is done is dashed, and what waits is counted, in one and in many. */
TEST(graphviz_of_many)
{
  struct world w;
  struct paper p;
  ctx_context *below[2], *a = draw_tree(&w, below);
  ctx_hook *hook[3];
  for (int i = 0; i < 3; i++)
    hook[i] = need(ctx_after_func(i < 1 ? a : below[0], nothing, NULL, 0));
  ctx_set_name(a, "\\");
  CHECK_INT(ctx_dump_dot(a, take_paper(&p)), 0);
  check_paper(&p, "digraph contexts {\n  node [shape=box];\n"
                  "  n0 [label=\"cancel \\\"\\\\\\\", live, 1 hook\"];\n"
                  "  n1 [label=\"deadline context 1, live, 1.500 s left, 2 hooks\"];\n  n0 -> n1;\n"
                  "  n2 [label=\"cancel context 2, live, 1.500 s left\"];\n  n1 -> n2;\n}\n");
  ctx_cancel(below[0]);
  CHECK_INT(ctx_dump_dot(below[1], take_paper(&p)), 0);
  check_paper(
    &p, "digraph contexts {\n  node [shape=box];\n"
        "  n0 [label=\"cancel context 2, context canceled, 1.500 s left\", style=dashed];\n}\n");
  for (int i = 0; i < 3; i++) {
    ctx_hook_stop(hook[i]);
    ctx_hook_release(hook[i]);
  }
  release_tree(&w, a, below);
}

/* The deepest are written as far to the right as can be read. */
TEST(deep)
{
  enum { DEEP = 65 };
  struct world w;
  struct paper p;
  ctx_context *c[DEEP] = {ctx_with_cancel(manual(&w))};
  for (int i = 1; i < DEEP; i++) c[i] = ctx_with_cancel(c[i - 1]);
  CHECK_INT(ctx_dump(c[0], take_paper(&p)), 0);
  fclose(p.f);
  size_t most = 0;
  for (const char *line = p.text; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
    size_t blanks = strspn(line, " ");
    if (blanks > most) most = blanks;
  }
  CHECK_INT(most, 120);
  free(p.text);
  for (int i = DEEP; i-- > 0;) ctx_release(c[i]);
  world_close(&w);
}

TEST(oldest)
{
  struct world w;
  struct paper p;
  ctx_context *bg = manual(&w), *c[4];
  ctx_engine_track(w.engine, true);
  for (int i = 0; i < 4; i++) {
    char site[] = "file.c:0";
    site[7] = (char)('0' + i);
    ctx_track_site(site);
    c[i] = (ctx_with_cancel)(i == 0 ? bg : c[i - 1]);
    ctx_engine_advance(w.engine, CTX_MS(1000));
  }
  ctx_cancel(c[3]);
  CHECK_INT(ctx_dump_oldest(w.engine, 2, take_paper(&p)), 0);
  check_paper(&p, "cancel context 1, live, 4.000 s old, made at file.c:0\n"
                  "cancel context 2, live, 3.000 s old, made at file.c:1\n");
  CHECK_INT(ctx_dump_oldest(w.engine, 0, take_paper(&p)), 0);
  check_paper(&p, "");
  for (int i = 3; i >= 0; i--) ctx_release(c[i]);
  world_close(&w);
}

TEST(full)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  FILE *f = fopen("/dev/full", "w");
  if (f != NULL) {
    setvbuf(f, NULL, _IONBF, 0);
    CHECK_INT(ctx_dump(a, f), EIO);
    CHECK_INT(ctx_dump_dot(a, f), EIO);
    fclose(f);
  }
  ctx_release(a);
  world_close(&w);
}

/* ---- much, little, and many ------------------------------------------------------ */

enum { LARGE = 200000 };

TEST(large)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_context **c = need(malloc(LARGE * sizeof *c));
  for (size_t i = 0; i < LARGE; i++) c[i] = ctx_with_cancel(i % 2 == 0 || i < 3 ? a : c[i - 2]);
  ctx_snapshot *s = need(ctx_snapshot_take(a));
  CHECK_INT(ctx_snapshot_count(s), LARGE + 1);
  size_t deepest = 0;
  for (size_t i = 0; i <= LARGE; i++)
    if (at(s, i)->depth > deepest) deepest = at(s, i)->depth;
  CHECK_INT(deepest, LARGE / 2);
  ctx_snapshot_free(s);
  for (size_t i = LARGE; i-- > 0;) ctx_release(c[i]);
  free(c);
  ctx_release(a);
  world_close(&w);
}

TEST(no_memory)
{
  struct world w;
  ctx_context *below[2], *a = draw_tree(&w, below);
  int64_t blocks = w.blocks, n = 1;
  ctx_snapshot *s = NULL;
  for (; s == NULL && n < 20; n++) {
    w.fail_at = w.calls + n;
    errno = 0;
    s = ctx_snapshot_take(a);
    if (s != NULL) break;
    CHECK_INT(errno, ENOMEM);
    CHECK_INT(w.blocks, blocks);
  }
  w.fail_at = 0;
  CHECK(n > 3 && s != NULL);
  ctx_snapshot_free(s);
  ctx_snapshot_free(NULL);
  w.fail_at = w.calls + 1;
  CHECK_INT(ctx_dump(a, stdout), ENOMEM);
  ctx_engine_track(w.engine, true);
  ctx_context *one = ctx_with_cancel(ctx_engine_background(w.engine));
  for (n = 1; n <= 2; n++) {
    w.fail_at = w.calls + n;
    CHECK_INT(ctx_dump_oldest(w.engine, 3, stdout), ENOMEM);
  }
  ctx_release(one);
  (void)(ctx_with_cancel)(NULL);
  w.fail_at = w.calls + 2;
  CHECK((ctx_with_cancel)(a) == NULL); /* one without a site */
  CHECK_INT(errno, ENOMEM);
  w.fail_at = w.calls + 2;
  CHECK((ctx_with_cancel)(ctx_engine_background(w.engine)) == NULL);
  CHECK_INT(w.blocks, blocks);
  for (n = 1; n <= 3; n++) {
    w.fail_at = w.calls + n;
    CHECK(ctx_with_cancel(a) == NULL);
    CHECK_INT(errno, ENOMEM);
    CHECK_INT(w.blocks, blocks);
    CHECK_INT(counters(&w).contexts, 3);
  }
  w.fail_at = 0;
  release_tree(&w, a, below);
}

struct storm {
  ctx_context *a;
  int over; /* atomic */
};

static void *come_and_go(void *arg)
{
  struct storm *s = arg;
  for (int i = 0; i < 3000; i++) {
    ctx_context *b = ctx_with_cancel(s->a), *c = ctx_with_timeout(b, CTX_SECONDS(3));
    if (i % 3 == 0) ctx_cancel(b);
    ctx_release(b);
    ctx_release(c);
  }
  __atomic_store_n(&s->over, 1, __ATOMIC_RELEASE);
  return NULL;
}

TEST(threads)
{
  struct world w;
  pthread_t goer;
  ctx_context *bg = threaded(&w);
  struct storm storm = {ctx_with_cancel(bg), 0};
  ctx_engine_track(w.engine, true);
  CHECK_INT(pthread_create(&goer, NULL, come_and_go, &storm), 0);
  while (!__atomic_load_n(&storm.over, __ATOMIC_ACQUIRE)) {
    ctx_snapshot_free(need(ctx_snapshot_take(storm.a)));
    ctx_snapshot_free(need(ctx_snapshot_take(bg)));
  }
  pthread_join(goer, NULL);
  ctx_release(storm.a);
  world_close(&w);
}

static const struct test tests[] = {
  T(tree, "N3 it holds the live tree, a parent before its children, in their order"),
  T(waiting, "N3 it says how many hooks and threads wait"),
  T(over, "N3 one that is over, and nobody has said so, has no time left"),
  T(done, "N3 of one that is done it holds that alone"),
  T(root, "N3 a root knows its children while its engine tracks them, with place and age"),
  T(untracked_again, "N3 tracking is an option, and can be ended"),
  T(text, "N3 it is written as text"),
  T(graphviz, "N3 it is written for Graphviz"),
  T(graphviz_of_many, "N3 there what is done is dashed, and what waits is counted"),
  T(deep, "N3 the deepest stay in sight"),
  T(oldest, "N3 the oldest are written with the place where they were made"),
  T(full, "N3 a file that takes nothing is told of"),
  T(large, "N3 its size has no bound but memory"),
  T(no_memory, "N3 without memory it fails, and so does a tracked birth: nothing has changed"),
  T(threads, "N3 it may be taken while others come and go"),
};

int main(int argc, char **argv)
{
  return check_run("snapshot", tests, sizeof tests / sizeof *tests, argc, argv);
}
