/*
 * mailbox - letters from any thread to one owner, and how he takes them back
 *
 * The owner is the thread of the test; others post. What is freed is freed as soon as that is
 * allowed: a sanitizer sees who touches it later.
 */
#define _GNU_SOURCE 1

#include "mailbox.h"

#include "system.h"
#include "world.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

enum { POSTERS = 4 };
#ifdef SLOW
enum { POSTS = 25000, ROUNDS = 5000 };
#else
enum { POSTS = 25000, ROUNDS = 20000 };
#endif

static void *spawned(pthread_t *thread, void *(*f)(void *), void *arg)
{
  if (pthread_create(thread, NULL, f, arg) != 0) abort();
  return arg;
}

static int64_t now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return CTX_SECONDS((int64_t)t.tv_sec) + t.tv_nsec;
}

static void received(struct letter *l)
{
  (void)l;
}

static struct mailbox *new_box(void)
{
  return need(mailbox_new());
}

/* A letter of its own, which holds its box. */
struct parcel {
  struct letter letter;
  int sender, number;
};

static struct parcel *new_parcel(struct mailbox *m, int sender, int number)
{
  struct parcel *p = need(malloc(sizeof *p));
  letter_init(&p->letter, mailbox_retain(m), received);
  p->sender = sender;
  p->number = number;
  return p;
}

static void drop_parcel(struct parcel *p)
{
  mailbox_release(p->letter.box);
  free(p);
}

/* ---- one thread ---------------------------------------------------------- */

TEST(order)
{
  struct mailbox *m = new_box();
  struct letter l[3];
  for (int i = 0; i < 3; i++) letter_init(&l[i], m, received);
  CHECK(mailbox_take(m) == NULL);
  for (int i = 0; i < 3; i++) CHECK(mailbox_post(&l[2 - i]));
  for (int i = 0; i < 3; i++) CHECK(mailbox_take(m) == &l[2 - i]);
  CHECK(mailbox_take(m) == NULL);
  CHECK(mailbox_post(&l[1]));
  CHECK(mailbox_take(m) == &l[1]);
  CHECK(mailbox_take(m) == NULL);
  mailbox_release(m);
}

TEST(withdrawn)
{
  struct mailbox *m = new_box();
  struct letter a, b;
  letter_init(&a, m, received), letter_init(&b, m, received);
  CHECK(!letter_withdraw(&a, false));
  letter_expect(&a);
  CHECK(letter_withdraw(&a, true));
  CHECK(!letter_withdraw(&a, false));
  letter_expect(&a), letter_expect(&b);
  CHECK(mailbox_post(&a));
  CHECK(mailbox_post(&b));
  CHECK(letter_withdraw(&a, false));
  CHECK(mailbox_take(m) == &b);
  CHECK(!letter_withdraw(&b, false));
  CHECK(mailbox_take(m) == NULL);
  mailbox_release(m);
}

TEST(closed)
{
  struct mailbox *m = new_box();
  struct parcel *early = new_parcel(m, 0, 0), *late = new_parcel(m, 0, 1);
  struct letter expected;
  letter_init(&expected, m, received);
  letter_expect(&expected);
  CHECK(mailbox_post(&early->letter));
  mailbox_close(m);
  CHECK(!mailbox_post(&late->letter));
  CHECK(mailbox_post(&expected));
  CHECK(mailbox_take(m) == &early->letter);
  CHECK(letter_withdraw(&expected, false));
  CHECK(mailbox_take(m) == NULL);
  drop_parcel(early), drop_parcel(late);
  mailbox_release(m);
}

/* ---- sleeping ------------------------------------------------------------ */

TEST(sleeps)
{
  struct mailbox *m = new_box();
  struct letter a, b;
  letter_init(&a, m, received), letter_init(&b, m, received);
  int64_t before_ns = now(), until_ns = before_ns + CTX_MS(20);
  while (now() < until_ns) mailbox_sleep(m, until_ns);
  mailbox_post(&a), mailbox_post(&b);
  mailbox_sleep(m, CTX_NEVER);
  CHECK(mailbox_take(m) == &a);
  mailbox_sleep(m, CTX_NEVER); /* one is left */
  CHECK(mailbox_take(m) == &b);
  CHECK(now() - before_ns < CTX_SECONDS(30));
  mailbox_release(m);
}

struct ping {
  struct mailbox *there, *back;
  struct letter letter;
};

static struct letter *next_letter(struct mailbox *m)
{
  struct letter *l;
  while ((l = mailbox_take(m)) == NULL) mailbox_sleep(m, CTX_NEVER);
  return l;
}

static void *answer(void *arg)
{
  struct ping *p = arg;
  for (int i = 0; i < ROUNDS; i++) {
    struct letter *l = next_letter(p->there);
    letter_init(l, p->back, received);
    mailbox_post(l);
  }
  return NULL;
}

/* Hangs when a wake-up is lost. */
TEST(no_lost_wakeup)
{
  struct ping p = {.there = new_box(), .back = new_box()};
  pthread_t thread;
  spawned(&thread, answer, &p);
  for (int i = 0; i < ROUNDS; i++) {
    letter_init(&p.letter, p.there, received);
    mailbox_post(&p.letter);
    CHECK(next_letter(p.back) == &p.letter);
  }
  pthread_join(thread, NULL);
  mailbox_release(p.there), mailbox_release(p.back);
}

struct pest {
  pthread_t victim;
  int over;
};

static void on_signal(int number)
{
  (void)number;
}

static void *pester(void *arg)
{
  struct pest *p = arg;
  while (!__atomic_load_n(&p->over, __ATOMIC_ACQUIRE)) {
    pthread_kill(p->victim, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

TEST(signal_ends_sleep)
{
  struct mailbox *m = new_box();
  struct sigaction action = {.sa_handler = on_signal}, before;
  sigaction(SIGUSR1, &action, &before);
  struct pest p = {.victim = pthread_self()};
  pthread_t thread;
  spawned(&thread, pester, &p);
  mailbox_sleep(m, CTX_NEVER);
  CHECK(mailbox_take(m) == NULL);
  __atomic_store_n(&p.over, 1, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  sigaction(SIGUSR1, &before, NULL);
  mailbox_release(m);
}

/* ---- many posters -------------------------------------------------------- */

struct poster {
  struct mailbox *box; /* a reference */
  int number;
  pthread_t thread;
};

static void *post_all(void *arg)
{
  struct poster *p = arg;
  for (int i = 0; i < POSTS; i++) {
    struct parcel *parcel = new_parcel(p->box, p->number, i);
    if (!mailbox_post(&parcel->letter)) drop_parcel(parcel);
  }
  mailbox_release(p->box);
  return NULL;
}

static void start_posters(struct poster *p, struct mailbox *m)
{
  for (int i = 0; i < POSTERS; i++) {
    p[i].box = mailbox_retain(m);
    p[i].number = i;
    spawned(&p[i].thread, post_all, &p[i]);
  }
}

static void join_posters(struct poster *p)
{
  for (int i = 0; i < POSTERS; i++) pthread_join(p[i].thread, NULL);
}

TEST(all_arrive)
{
  struct mailbox *m = new_box();
  struct poster p[POSTERS];
  int next[POSTERS] = {0};
  start_posters(p, m);
  for (int i = 0; i < POSTERS * POSTS; i++) {
    struct parcel *parcel = (struct parcel *)(void *)next_letter(m);
    CHECK_INT(parcel->number, next[parcel->sender]++);
    drop_parcel(parcel);
  }
  CHECK(mailbox_take(m) == NULL);
  mailbox_release(m);
  join_posters(p);
}

/* The owner goes in the middle: the box lives until the last poster has gone, too. */
TEST(owner_goes)
{
  for (int round = 0; round < 4; round++) {
    struct mailbox *m = new_box();
    struct poster p[POSTERS];
    struct letter *l;
    start_posters(p, m);
    for (int i = 0; i < 100 * round; i++) drop_parcel((struct parcel *)(void *)next_letter(m));
    mailbox_close(m);
    while ((l = mailbox_take(m)) != NULL) drop_parcel((struct parcel *)(void *)l);
    mailbox_release(m);
    join_posters(p);
  }
}

/* ---- taken back while it comes ------------------------------------------- */

struct slow {
  struct letter letter;
  int go, posted;
};

static void *post_slowly(void *arg)
{
  struct slow *s = arg;
  while (!__atomic_load_n(&s->go, __ATOMIC_ACQUIRE)) sched_yield();
  for (int i = 0; i < 100; i++) sched_yield();
  __atomic_store_n(&s->posted, 1, __ATOMIC_RELAXED);
  mailbox_post(&s->letter);
  return NULL;
}

TEST(waited_for)
{
  struct mailbox *m = new_box();
  for (int i = 0; i < 100; i++) {
    struct slow *s = need(calloc(1, sizeof *s));
    pthread_t thread;
    letter_init(&s->letter, m, received);
    letter_expect(&s->letter);
    spawned(&thread, post_slowly, s);
    __atomic_store_n(&s->go, 1, __ATOMIC_RELEASE);
    CHECK(letter_withdraw(&s->letter, false));
    CHECK(__atomic_load_n(&s->posted, __ATOMIC_RELAXED));
    free(s);
    pthread_join(thread, NULL);
  }
  CHECK(mailbox_take(m) == NULL);
  mailbox_release(m);
}

/* The thread that was to post it is not there in a forked child. */
TEST(not_waited_for)
{
  struct mailbox *m = new_box();
  struct letter l;
  letter_init(&l, m, received);
  letter_expect(&l);
  pid_t child = fork();
  if (child == 0) {
    bool withdrawn = letter_withdraw(&l, false);
    _exit(withdrawn && mailbox_take(m) == NULL ? 0 : 1);
  }
  ends_well(child);
  CHECK(letter_withdraw(&l, true));
  mailbox_release(m);
}

/* A hook of the owner's, on the heap so that a late touch is seen. */
struct watcher {
  ctx_hook hook;
  struct letter letter;
};

static void on_end(ctx_context *c, void *arg)
{
  (void)c;
  mailbox_post(&((struct watcher *)arg)->letter);
}

struct race {
  ctx_context *c[POSTERS]; /* each with a reference of its thread; NULL: it is over */
  struct mailbox *box;
  pthread_barrier_t begin, end;
  long taken, withdrawn;
};

struct racer {
  struct race *race;
  int number;
  pthread_t thread;
};

static void *cancel_each(void *arg)
{
  struct racer *r = arg;
  for (;;) {
    pthread_barrier_wait(&r->race->begin);
    ctx_context *c = r->race->c[r->number];
    if (c == NULL) return NULL;
    ctx_cancel(c);
    ctx_release(c);
    pthread_barrier_wait(&r->race->end);
  }
}

/* Watches all contexts, takes what has come by then, and lets go of all watchers. */
static void watch_and_let_go(struct race *r, int take)
{
  struct watcher *w[POSTERS];
  for (int i = 0; i < POSTERS; i++) {
    w[i] = need(malloc(sizeof *w[i]));
    letter_init(&w[i]->letter, r->box, received);
    letter_expect(&w[i]->letter);
    ctx_hook_init(&w[i]->hook, on_end, w[i], CTX_HOOK_INLINE);
    CHECK_INT(ctx_hook_attach(&w[i]->hook, r->c[i]), 0);
  }
  pthread_barrier_wait(&r->begin);
  for (int i = 0; i < take; i++) {
    if (mailbox_take(r->box) != NULL) r->taken++;
  }
  for (int i = 0; i < POSTERS; i++) {
    r->withdrawn += letter_withdraw(&w[i]->letter, ctx_hook_stop(&w[i]->hook));
    free(w[i]);
  }
  CHECK(mailbox_take(r->box) == NULL);
  pthread_barrier_wait(&r->end);
}

static void run_races(struct race *r, ctx_context *bg, int rounds)
{
  struct racer racer[POSTERS];
  pthread_barrier_init(&r->begin, NULL, POSTERS + 1);
  pthread_barrier_init(&r->end, NULL, POSTERS + 1);
  for (int i = 0; i < POSTERS; i++) {
    racer[i] = (struct racer){.race = r, .number = i};
    spawned(&racer[i].thread, cancel_each, &racer[i]);
  }
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < POSTERS; i++) r->c[i] = need(ctx_with_cancel(bg));
    watch_and_let_go(r, round % 8);
  }
  for (int i = 0; i < POSTERS; i++) r->c[i] = NULL;
  pthread_barrier_wait(&r->begin);
  for (int i = 0; i < POSTERS; i++) pthread_join(racer[i].thread, NULL);
  pthread_barrier_destroy(&r->begin), pthread_barrier_destroy(&r->end);
  CHECK_INT(r->taken + r->withdrawn, (long long)rounds * POSTERS);
}

TEST(withdraw_races)
{
  struct world w;
  ctx_context *bg = host(&w);
  struct race r = {.box = new_box()};
  run_races(&r, bg, ROUNDS / 4);
  mailbox_release(r.box);
  world_close(&w);
}

struct inside {
  struct race race;
  ctx_context *bg;
};

static void run_inside(ctx_context *c, void *arg)
{
  (void)c;
  struct inside *i = arg;
  run_races(&i->race, i->bg, ROUNDS / 8);
}

TEST(withdraw_in_hook)
{
  struct world w;
  struct inside i = {.race.box = new_box(), .bg = host(&w)};
  ctx_context *c = need(ctx_with_cancel(i.bg));
  ctx_hook hook;
  ctx_hook_init(&hook, run_inside, &i, CTX_HOOK_INLINE);
  CHECK_INT(ctx_hook_attach(&hook, c), 0);
  CHECK(ctx_cancel(c));
  CHECK(i.race.taken + i.race.withdrawn > 0);
  ctx_release(c);
  mailbox_release(i.race.box);
  world_close(&w);
}

static const struct test tests[] = {
  T(order, "letters are taken in the order of posts, and may be posted again"),
  T(withdrawn, "a letter that was taken back is not in the box"),
  T(closed, "a closed box refuses unasked letters, and takes in those that are waited for"),
  T(sleeps, "a sleep ends at its instant, and does not begin while a letter is left"),
  T(no_lost_wakeup, "a post wakes the owner, each time"),
  T(signal_ends_sleep, "J4 a signal ends the sleep"),
  T(all_arrive, "100,000 letters of 4 threads arrive, in the order of each"),
  T(owner_goes, "a box outlives its owner as long as somebody may post"),
  T(waited_for, "who takes back a letter that is on its way waits for it"),
  T(not_waited_for, "in a forked child it has got lost, and is not waited for"),
  T(withdraw_races, "a letter is taken or taken back, and nobody touches it after that"),
  T(withdraw_in_hook, "the same inside a hook of the host"),
};

int main(int argc, char **argv)
{
  return check_run("mailbox", tests, sizeof tests / sizeof *tests, argc, argv);
}
