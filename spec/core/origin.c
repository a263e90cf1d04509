/*
 * origin - names, where an end came from, and contexts as text
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* The place of the line before the next one, as a cancel by macro tells it. */
#define LINE_BEFORE(text) snprintf((text), sizeof(text), "%s:%d", __FILE__, __LINE__ - 1)

static ctx_origin origin_of(const ctx_context *c)
{
  ctx_origin o = {.kind = 0};
  CHECK(ctx_origin_of(c, &o));
  return o;
}

/* ---- who, where and when ------------------------------------------------ */

TEST(live)
{
  struct world w;
  ctx_context *bg = manual(&w), *c = ctx_with_cancel(bg);
  ctx_origin o = {.at_ns = 7};
  char text[64] = "?";
  CHECK(!ctx_origin_of(c, &o) && !ctx_origin_of(bg, &o));
  CHECK_INT(o.at_ns, 7);
  CHECK_INT(ctx_origin_text(c, text, sizeof text), 0);
  CHECK_STR(text, "");
  ctx_release(c);
  world_close(&w);
}

TEST(explicit)
{
  struct world w;
  char site[256];
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_engine_advance(w.engine, 70);
  ctx_cancel(c);
  LINE_BEFORE(site);
  ctx_engine_advance(w.engine, 5);
  ctx_origin o = origin_of(c);
  CHECK(o.context == c);
  CHECK(o.cause == ctx_cause_of(c));
  CHECK_STR(o.site, site);
  CHECK_INT(o.at_ns, 70);
  CHECK_INT(o.kind, CTX_ORIGIN_EXPLICIT);
  CHECK_INT(o.err, CTX_CANCELED);
  ctx_release(c);
  world_close(&w);
}

TEST(with_cause)
{
  struct world w;
  char site[256];
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_cancel_cause(c, cause("why"));
  LINE_BEFORE(site);
  CHECK_STR(origin_of(c).site, site);
  CHECK_STR(ctx_cause_text(origin_of(c).cause, NULL), "why");
  ctx_release(c);
  world_close(&w);
}

TEST(no_site)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  (ctx_cancel)(c);
  CHECK(origin_of(c).site == NULL);
  char text[128];
  CHECK(ctx_origin_text(c, text, sizeof text) > 0);
  CHECK_STR(text, "context canceled (context 1 was canceled, 0.000 s ago)");
  ctx_release(c);
  world_close(&w);
}

TEST(site_in_cause)
{
  struct world w;
  char site[] = "script.lua:12", text[128];
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_cause *x = need(ctx_cause_new_at(NULL, 0, 3, NULL, NULL, site));
  memset(site, 'x', sizeof site - 1);
  ctx_cancel_cause(c, x);
  CHECK_STR(origin_of(c).site, "script.lua:12");
  CHECK(ctx_cause_text(ctx_cause_of(c), NULL) == ctx_strerror(CTX_CANCELED));
  CHECK_INT(ctx_cause_code(x), 3);
  ctx_origin_text(c, text, sizeof text);
  CHECK_STR(text, "context canceled (context 1 was canceled at script.lua:12, 0.000 s ago)");
  ctx_release(c);
  world_close(&w);
}

TEST(all_below)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w)), *b = ctx_with_cancel(a);
  ctx_context *v = ctx_with_value(b, &w, NULL, NULL), *c = ctx_with_timeout(v, 1000);
  ctx_cancel_at(a, cause("why"), CTX_ORIGIN_MEMBER, "here:1");
  ctx_context *late = ctx_with_cancel(c), *all[] = {a, b, v, c, late};
  for (int i = 0; i < 5; i++) {
    ctx_origin o = origin_of(all[i]);
    CHECK(o.context == a);
    CHECK_STR(o.site, "here:1");
    CHECK_INT(o.kind, CTX_ORIGIN_MEMBER);
    ctx_release(all[i]);
  }
  world_close(&w);
}

TEST(by_deadline)
{
  struct world w;
  ctx_context *c = ctx_with_timeout(host(&w), 50), *below = ctx_with_cancel(c);
  w.now_ns = 80; /* noticed late, by a question */
  ctx_origin o = origin_of(below);
  CHECK(o.context == c);
  CHECK_INT(o.kind, CTX_ORIGIN_DEADLINE);
  CHECK_INT(o.err, CTX_DEADLINE_EXCEEDED);
  CHECK_INT(o.at_ns, 50);
  CHECK(o.site == NULL);
  ctx_context *born_done = ctx_with_timeout(ctx_engine_background(w.engine), -3);
  CHECK_INT(origin_of(born_done).at_ns, 80);
  CHECK_INT(origin_of(born_done).kind, CTX_ORIGIN_DEADLINE);
  ctx_release(born_done);
  ctx_release(below);
  ctx_release(c);
  world_close(&w);
}

TEST(second)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w)), *b = ctx_with_cancel(a);
  CHECK(ctx_cancel_at(b, NULL, CTX_ORIGIN_HOST, "first:1"));
  CHECK(!ctx_cancel_at(b, NULL, CTX_ORIGIN_MEMBER, "second:1"));
  ctx_cancel_at(a, NULL, CTX_ORIGIN_EXPLICIT, "above:1");
  CHECK_STR(origin_of(b).site, "first:1");
  CHECK_INT(origin_of(b).kind, CTX_ORIGIN_HOST);
  CHECK_STR(origin_of(a).site, "above:1");
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(real_clock)
{
  ctx_context *c = ctx_with_cancel(ctx_background());
  int64_t before_ns = ctx_engine_now(ctx_engine_of(c));
  ctx_cancel(c);
  int64_t after_ns = ctx_engine_now(ctx_engine_of(c));
  CHECK(origin_of(c).at_ns >= before_ns - CTX_MS(10));
  CHECK(origin_of(c).at_ns <= after_ns);
  ctx_release(c);
}

TEST(line)
{
  struct world w;
  char text[256], part[20];
  ctx_context *c = ctx_with_cancel(manual(&w)), *below = ctx_with_cancel(c);
  CHECK_INT(ctx_set_name(c, "the\nrequest"), 0);
  ctx_cancel_at(c, cause("client\r\nhung up"), CTX_ORIGIN_EXPLICIT, "server.c:80");
  ctx_engine_advance(w.engine, CTX_MS(1213));
  size_t len = ctx_origin_text(below, text, sizeof text);
  CHECK_STR(text, "context canceled: client  hung up (\"the request\" was canceled at server.c:80, "
                  "1.213 s ago)");
  CHECK_INT(len, strlen(text));
  CHECK_INT(ctx_origin_text(below, part, sizeof part), len);
  CHECK_STR(part, "context canceled: c");
  CHECK_INT(ctx_origin_text(below, NULL, 0), len);
  ctx_release(below);
  ctx_release(c);
  world_close(&w);
}

/* ---- names ------------------------------------------------------------------ */

static void check_name(const ctx_context *c, const char *name)
{
  char text[300] = "?";
  CHECK_INT(ctx_name(c, text, sizeof text), strlen(name));
  CHECK_STR(text, name);
}

TEST(names)
{
  struct world w;
  ctx_context *bg = manual(&w), *c = ctx_with_value(bg, &w, NULL, NULL);
  check_name(c, "");
  CHECK_INT(ctx_set_name(c, "first"), 0);
  CHECK_INT(ctx_set_name(bg, "root"), 0);
  check_name(c, "first");
  CHECK_INT(ctx_set_name(c, "second"), 0);
  check_name(c, "second");
  char three[4];
  CHECK_INT(ctx_name(c, three, sizeof three), 6);
  CHECK_STR(three, "sec");
  CHECK_INT(ctx_name(c, NULL, 0), 6);
  CHECK_INT(ctx_set_name(c, NULL), 0);
  check_name(c, "");
  check_name(bg, "root");
  ctx_release(c);
  world_close(&w);
}

TEST(long_name)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  char name[400], meant[400];
  memset(name, 'n', sizeof name);
  name[254] = '\xc3', name[255] = '\xa9', name[399] = '\0'; /* an e with an accent */
  memcpy(meant, name, 254);
  meant[254] = '\0';
  CHECK_INT(ctx_set_name(c, name), 0);
  check_name(c, meant);
  name[254] = 'n', name[255] = '\0';
  CHECK_INT(ctx_set_name(c, name), 0);
  check_name(c, name);
  ctx_release(c);
  world_close(&w);
}

/* Bytes that are no character at all: none of them is the first of one. */
TEST(no_characters)
{
  struct world w;
  char name[400];
  ctx_context *c = ctx_with_cancel(manual(&w));
  memset(name, '\x80', sizeof name);
  name[399] = '\0';
  CHECK_INT(ctx_set_name(c, name), 0);
  check_name(c, "");
  ctx_release(c);
  world_close(&w);
}

TEST(ids)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  CHECK_INT(ctx_id(b), 1);
  CHECK_INT(ctx_id(a), 2);
  CHECK_INT(ctx_id(b), 1);
  CHECK_INT(ctx_id(bg), 3);
  ctx_release(a);
  ctx_release(b);
  world_close(&w);
}

TEST(no_memory)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  char text[128];
  int64_t blocks = w.blocks;
  for (int n = 1; n <= 2; n++) {
    w.fail_at = w.calls + n;
    CHECK_INT(ctx_set_name(c, "name"), ENOMEM);
    CHECK_INT(w.blocks, blocks);
  }
  w.forever = true;
  w.fail_at = 1;
  CHECK_INT(ctx_id(c), 0);
  ctx_cancel_at(c, NULL, CTX_ORIGIN_EXPLICIT, "here:1");
  CHECK(ctx_origin_text(c, text, sizeof text) > 0);
  CHECK_STR(text, "context canceled (a context was canceled at here:1, 0.000 s ago)");
  CHECK(ctx_text(c, text, sizeof text) > 0);
  CHECK_STR(text, "....WithCancel");
  ctx_release(c);
  world_close(&w);
}

/* ---- the chain ------------------------------------------------------------- */

static void check_text(const ctx_context *c, const char *meant)
{
  char text[256];
  CHECK_INT(ctx_text(c, text, sizeof text), strlen(meant));
  CHECK_STR(text, meant);
}

TEST(chain)
{
  struct world w;
  ctx_context *bg = manual(&w), *todo = ctx_engine_todo(w.engine), *a = ctx_with_cancel(todo);
  ctx_context *d = ctx_with_timeout(a, CTX_MS(1500)), *v = ctx_with_value(d, &w, &w, NULL);
  ctx_context *k = ctx_without_cancel(v), *f = ctx_with_deadline(k, CTX_NEVER);
  ctx_engine_advance(w.engine, CTX_MS(300));
  ctx_set_name(a, "request");
  check_text(bg, "context.Background");
  check_text(todo, "context.TODO");
  check_text(v, "context.TODO.WithCancel\"request\".WithDeadline(1.500 [1.200s]).WithValue");
  check_text(f, "context.TODO.WithCancel\"request\".WithDeadline(1.500 [1.200s]).WithValue"
                ".WithoutCancel.WithDeadline(never)");
  ctx_context *all[] = {f, k, v, d, a};
  for (int i = 0; i < 5; i++) ctx_release(all[i]);
  world_close(&w);
}

/* Before the beginning of time, and after the deadline. */
TEST(past)
{
  struct world w;
  char text[128];
  ctx_context *bg = world_open(&w, CTX_DRIVER_MANUAL, -CTX_SECONDS(10));
  ctx_context *c = ctx_with_deadline(bg, -CTX_MS(2500)), *d = ctx_with_deadline(bg, -CTX_MS(10500));
  check_text(c, "context.Background.WithDeadline(-2.500 [7.500s])");
  check_text(d, "context.Background.WithDeadline(-10.500 [0.000s])");
  ctx_engine_advance(w.engine, CTX_SECONDS(10) - 1);
  check_text(c, "context.Background.WithDeadline(-2.500 [0.000s])");
  ctx_context *e = ctx_with_deadline(bg, -1);
  check_text(e, "context.Background.WithDeadline(0.000 [0.000s])");
  CHECK(ctx_origin_text(c, text, sizeof text) > 0);
  CHECK_STR(text, "context deadline exceeded (context 1 reached its deadline, 2.499 s ago)");
  ctx_set_name(c, "a\x7f"
                  "b");
  CHECK(ctx_origin_text(c, text, sizeof text) > 0);
  CHECK_STR(text, "context deadline exceeded (\"a b\" reached its deadline, 2.499 s ago)");
  ctx_release(e);
  ctx_release(d);
  ctx_release(c);
  world_close(&w);
}

/* ---- several threads ---------------------------------------------------------- */

enum { ROUNDS = 2000 };

struct race {
  ctx_context *c, *below;
  pthread_barrier_t barrier;
};

static void *ask(void *arg)
{
  struct race *r = arg;
  char text[256];
  ctx_origin o;
  for (int i = 0; i < ROUNDS; i++) {
    pthread_barrier_wait(&r->barrier);
    while (!ctx_origin_of(r->below, &o)) ctx_name(r->c, text, sizeof text);
    CHECK(o.context == r->c);
    CHECK_STR(o.site, "here:1");
    CHECK(ctx_origin_text(r->below, text, sizeof text) > 0);
    pthread_barrier_wait(&r->barrier);
  }
  return NULL;
}

TEST(race)
{
  struct race r;
  struct world w;
  pthread_t asker;
  ctx_context *bg = manual(&w);
  pthread_barrier_init(&r.barrier, NULL, 2);
  CHECK_INT(pthread_create(&asker, NULL, ask, &r), 0);
  for (int i = 0; i < ROUNDS; i++) {
    r.c = ctx_with_cancel(bg);
    r.below = ctx_with_cancel(r.c);
    pthread_barrier_wait(&r.barrier);
    ctx_set_name(r.c, "one");
    ctx_set_name(r.c, "another");
    ctx_cancel_at(r.c, NULL, CTX_ORIGIN_EXPLICIT, "here:1");
    pthread_barrier_wait(&r.barrier);
    ctx_release(r.below);
    ctx_release(r.c);
  }
  pthread_join(asker, NULL);
  pthread_barrier_destroy(&r.barrier);
  world_close(&w);
}

/* An allocator that gives a context a name at one of the next times when it is asked for memory. */
struct namer {
  ctx_context *c;
  int at; /* 0: it does not */
  int blocks;
};

static void *name_and_alloc(void *arg, size_t size)
{
  struct namer *n = arg;
  bool now = n->at > 0 && --n->at == 0;
  if (now) CHECK_INT(ctx_set_name(n->c, "of the allocator"), 0);
  n->blocks++;
  return malloc(size);
}

static void count_free(void *arg, void *block, size_t size)
{
  (void)size;
  ((struct namer *)arg)->blocks--;
  free(block);
}

static void name_meanwhile(int at)
{
  struct namer n = {NULL, 0, 0};
  char name[32];
  ctx_engine_options o = {
    .driver = CTX_DRIVER_HOST, .alloc = name_and_alloc, .free = count_free, .arg = &n};
  ctx_engine *e = need(ctx_engine_open(&o));
  ctx_context *c = need(ctx_with_cancel(ctx_engine_background(e)));
  n.c = c;
  n.at = at;
  CHECK_INT(ctx_set_name(c, "last"), 0);
  CHECK_INT(n.at, 0);
  CHECK_INT(ctx_name(c, name, sizeof name), 4);
  CHECK_STR(name, "last");
  ctx_release(c);
  CHECK_INT(ctx_engine_close(e), 0);
  CHECK_INT(n.blocks, 0);
}

TEST(named_meanwhile)
{
  name_meanwhile(1);
  name_meanwhile(2);
}

static const struct test tests[] = {
  T(live, "E7 a live context has no origin"),
  T(explicit, "E7 a cancel tells its place in the source, and the instant"),
  T(with_cause, "E7 and so one with a cause"),
  T(no_site, "E7 the functions behind the macros know no place"),
  T(site_in_cause, "E7 a cause may bring the place, and say no more than the err"),
  T(all_below, "E7 all below answer who ended first"),
  T(by_deadline, "E7 a deadline ends at its instant, whoever notices when"),
  T(second, "E7 the second cancel changes nothing"),
  T(real_clock, "E7 on the monotonic clock the instant is exact to 10 ms"),
  T(line, "E7 it is one line for people, whatever the texts in it"),
  T(names, "N1 a name may be set, changed and taken away"),
  T(long_name, "N1 a name is cut between two characters"),
  T(no_characters, "N1 a long name without a whole character is none"),
  T(ids, "E7 a number is given to who is first asked for it"),
  T(no_memory, "E7 names and texts do with no memory what they can"),
  T(chain, "N1 the chain is shown from its root, N2 without values"),
  T(past, "D1 E7 N1 instants of the past are shown as such"),
  T(race, "E7 whoever sees the end sees where it came from"),
  T(named_meanwhile, "a name stands, also where the allocator has given another meanwhile"),
};

int main(int argc, char **argv)
{
  return check_run("origin", tests, sizeof tests / sizeof *tests, argc, argv);
}
