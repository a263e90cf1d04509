/*
 * damage - what wheel_check says of a wheel that is broken, and ctx__check of an engine
 *
 * A wheel with some entries, or an engine with some contexts, is damaged in one place, of which
 * has to be told; then the place is mended. So what other tests rely on has been seen to see.
 */
#include "context.h"
#include "wheel.h"

#include "check.h"
#include "world.h"

#define TICK ((int64_t)1 << WHEEL_TICK_BITS)

enum { CROWD = 100 }; /* more than one pop moves down */

static struct wheel w;
static struct wheel_entry due[2], here, soon, crowd[CROWD];

/* Two entries are due; one lies in the slot of the present tick, one in a later one, many above. */
static void begin(void)
{
  wheel_init(&w, 10 * TICK);
  wheel_arm(&w, &due[0], 10 * TICK - 2);
  wheel_arm(&w, &due[1], 10 * TICK - 1);
  wheel_arm(&w, &here, 10 * TICK + 50);
  wheel_arm(&w, &soon, 12 * TICK);
  for (int i = 0; i < CROWD; i++) wheel_arm(&w, &crowd[i], (WHEEL_SLOTS + i % 2) * TICK);
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

static void clear(struct wheel_entry *e, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    wheel_disarm(&w, &e[i]);
    wheel_entry_init(&e[i]);
  }
}

static void end(void)
{
  CHECK_STR(wheel_check(&w, NULL), NULL);
  clear(due, 2);
  clear(&here, 1);
  clear(&soon, 1);
  clear(crowd, CROWD);
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

/* Damages a member for the time of one look. */
#define SEEN(member, damaged, says) \
  do { \
    int64_t before = (int64_t)(member); \
    (member) = (__typeof__((member) + 0u))(damaged); \
    CHECK_STR(wheel_check(&w, NULL), (says)); \
    (member) = (__typeof__((member) + 0u))before; \
    CHECK_STR(wheel_check(&w, NULL), NULL); \
  } while (0)

TEST(early)
{
  begin();
  SEEN(due[1].deadline_ns, w.collected_ns + 1, "due: an entry is not due");
  SEEN(due[1].deadline_ns, due[0].deadline_ns - 1, "due: not sorted");
  end();
}

TEST(slots)
{
  begin();
  SEEN(soon.deadline_ns, w.collected_ns, "slot: an entry has been passed");
  SEEN(soon.deadline_ns, 13 * TICK, "slot: an entry is in the wrong place");
  SEEN(here.deadline_ns, w.rest_ns - 1, "slot: rest_ns is late");
  SEEN(w.occupied[0], w.occupied[0] ^ 1, "a bit does not tell of its slot");
  SEEN(w.occupied[1], 0, "a bit does not tell of its slot");
  end();
}

TEST(lists)
{
  begin();
  SEEN(w.count, w.count - 1, "more entries lie in the wheel than are counted");
  SEEN(w.count, w.count + 1, "fewer entries lie in the wheel than are counted");
  soon.place ^= 1;
  CHECK_STR(wheel_check(&w, NULL), "an entry does not know its place");
  soon.place ^= 1;
  struct list_link *before = soon.link.prev;
  soon.link.prev = &here.link;
  CHECK_STR(wheel_check(&w, NULL), "a list is torn");
  soon.link.prev = before;
  end();
}

TEST(state)
{
  begin();
  SEEN(w.now_ns, w.collected_ns - 1, "collected_ns is after now_ns");
  SEEN(w.collected_ns, 9 * TICK, "collected_ns is not at tick");
  SEEN(w.rest_ns, 10 * TICK - 1, "rest_ns is before tick");
  SEEN(w.moving, soon.place, "a slot of level 0 moves down");
  SEEN(w.moving, crowd[0].place + 1, "an empty slot moves down");
  end();
}

TEST(moving)
{
  bool more;
  begin();
  clear(due, 2);
  clear(&here, 1);
  clear(&soon, 1);
  CHECK(wheel_pop(&w, (WHEEL_SLOTS + 2) * TICK, &more) == NULL && more);
  size_t left = 0; /* one that is still to be moved */
  while (left < CROWD - 1 && crowd[left].place != w.moving) left++;
  CHECK_INT(crowd[left].place, w.moving);
  SEEN(crowd[left].deadline_ns, 3 * WHEEL_SLOTS * TICK, "slot: an entry is not of the moving slot");
  end();
}

TEST(ahead)
{
  bool more;
  begin();
  clear(due, 2);
  unsigned from = crowd[0].place;
  CHECK(wheel_pop(&w, 10 * TICK + 49, &more) == NULL && !more);
  CHECK(crowd[0].place != from);
  SEEN(crowd[0].deadline_ns, 3 * WHEEL_SLOTS * TICK, "spare row: an entry is not of the next slot");
  SEEN(crowd[0].deadline_ns, crowd[1].deadline_ns, "spare row: an entry is in the wrong place");
  end();
}

static const char *complain(const struct wheel_entry *e)
{
  return e == &soon ? "it is 'soon'" : NULL;
}

TEST(also)
{
  begin();
  CHECK_STR(wheel_check(&w, complain), "it is 'soon'");
  end();
}

/* ---- an engine ---------------------------------------------------------------------- */

static struct world world;
static ctx_context *up, *child, *beside, *outlives, *lone;
static ctx_timer timer;

static void no_timer(ctx_timer *t, void *arg)
{
  (void)t;
  (void)arg;
}

/* A context with a deadline and one of grace, below one without; one that hangs on nothing; a timer. */
static void open_engine(void)
{
  ctx_context *background = manual(&world);
  up = ctx_with_cancel(background);
  child = ctx_with_timeout(up, CTX_MS(1));
  beside = ctx_with_cancel(up);
  outlives = ctx_with_grace(child, CTX_MS(1));
  lone = ctx_with_timeout(background, CTX_MS(1));
  ctx_timer_init(&timer, world.engine, no_timer, NULL);
  CHECK_INT(ctx_timer_arm(&timer, START + CTX_MS(2)), 0);
  CHECK_STR(ctx__check(world.engine), NULL);
}

static void close_engine(void)
{
  CHECK_STR(ctx__check(world.engine), NULL);
  ctx_timer_disarm(&timer);
  ctx_release(outlives);
  ctx_release(lone);
  ctx_release(beside);
  ctx_release(child);
  ctx_release(up);
  world_close(&world);
}

/* Damages a member for the time of one look. */
#define TOLD(type, member, damaged, says) \
  do { \
    type before = (member); \
    (member) = (damaged); \
    CHECK_STR(ctx__check(world.engine), (says)); \
    (member) = before; \
    CHECK_STR(ctx__check(world.engine), NULL); \
  } while (0)

TEST(engine_lists)
{
  open_engine();
  ctx_engine *e = world.engine;
  struct list_link a, b = {&a, &b}; /* the one before 'a' is not 'b' */
  a = (struct list_link){&b, &b};
  struct list torn = {&a};
  TOLD(struct list, e->queue, torn, "the queue is torn");
  TOLD(struct list, e->calls, torn, "the list of calls is torn");
  TOLD(struct list, e->tracked, torn, "the list of the tracked is torn");
  TOLD(size_t, e->queue_count, 1, "the queue is not as long as it is counted");
  TOLD(size_t, e->wheel.count, 1, "more entries lie in the wheel than are counted");
  TOLD(ctx_context *, e->signaled[3], up, "nobody looks for a cancel of a signal handler");
  e->signals = 1; /* somebody does */
  TOLD(ctx_context *, e->signaled[3], up, NULL);
  e->signals = 0;
  close_engine();
}

TEST(engine_contexts)
{
  open_engine();
  struct deadline_context *d = deadline_context_of(child);
  const struct list_link away = {NULL, NULL};
  struct list_link other = {&other, &other}, *k = &child->node.sibling;
  int64_t before_it = d->context.node.own_ns - 1;
  TOLD(ctx__atomic, child->node.state, CTX_CANCELED, "a context that is done is armed");
  TOLD(int64_t, d->context.node.own_ns, before_it,
       "a context is armed, and another deadline is in force");
  TOLD(int64_t, d->wish.deadline_ns, before_it, "a context is armed too early");
  TOLD(int64_t, up->deadline_ns, before_it, "a context has a later deadline than what it hangs on");
  TOLD(ctx__atomic, up->node.state, CTX_CANCELED, "a live context hangs on one that is done");
  TOLD(struct list_link, *k, away, "a live context is not among the children");
  TOLD(struct list_link *, k->next->prev, &other, "a live context is not among the children");
  TOLD(struct list_link *, k->prev->next, &other, "a live context is not among the children");
  close_engine();
}

static const struct test tests[] = {
  T(early, "an entry that is due too early, or in the wrong order, is seen"),
  T(slots, "an entry in the wrong slot, and a bit that is wrong, are seen"),
  T(lists, "a torn list, and a number that is wrong, are seen"),
  T(state, "instants and places that cannot be are seen"),
  T(ahead, "the check sees what was moved ahead and does not belong there"),
  T(moving, "a stranger in the slot that moves down is seen"),
  T(also, "what the owner has to say of an entry is told"),
  T(engine_lists, "a torn list, a wrong count and a forgotten request of an engine are seen"),
  T(engine_contexts, "an armed context that is done, misplaced, early or late is seen"),
};

int main(int argc, char **argv)
{
  return check_run("damage", tests, sizeof tests / sizeof *tests, argc, argv);
}
