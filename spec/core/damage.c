/*
 * damage - what wheel_check says of a wheel that is broken
 *
 * A wheel with some entries is damaged in one place, and wheel_check has to tell of it; then
 * the place is mended. So what other tests rely on has been seen to see.
 */
#include "wheel.h"

#include "check.h"

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
  CHECK_STR(wheel_check(&w), NULL);
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
  CHECK_STR(wheel_check(&w), NULL);
  clear(due, 2);
  clear(&here, 1);
  clear(&soon, 1);
  clear(crowd, CROWD);
  CHECK_STR(wheel_check(&w), NULL);
}

/* Damages a member for the time of one look. */
#define SEEN(member, damaged, says) \
  do { \
    int64_t before = (int64_t)(member); \
    (member) = (__typeof__((member) + 0u))(damaged); \
    CHECK_STR(wheel_check(&w), (says)); \
    (member) = (__typeof__((member) + 0u))before; \
    CHECK_STR(wheel_check(&w), NULL); \
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
  CHECK_STR(wheel_check(&w), "an entry does not know its place");
  soon.place ^= 1;
  struct list_link *before = soon.link.prev;
  soon.link.prev = &here.link;
  CHECK_STR(wheel_check(&w), "a list is torn");
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

static const struct test tests[] = {
  T(early, "an entry that is due too early, or in the wrong order, is seen"),
  T(slots, "an entry in the wrong slot, and a bit that is wrong, are seen"),
  T(lists, "a torn list, and a number that is wrong, are seen"),
  T(state, "instants and places that cannot be are seen"),
  T(moving, "a stranger in the slot that moves down is seen"),
};

int main(int argc, char **argv)
{
  return check_run("damage", tests, sizeof tests / sizeof *tests, argc, argv);
}
