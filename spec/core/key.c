#include "platform.h"

#include "key.h"

#include "check.h"

static struct key *intern(char type, const char *bytes, size_t len)
{
  return key_intern(&(struct key_name){type, bytes, len});
}

TEST(one_name)
{
  struct key *a = intern('s', "user", 4), *same = intern('s', "user", 4);
  CHECK(a != NULL && a == same);
  CHECK_INT(key_count(), 1);
  struct key *others[] = {intern('s', "use", 3),
                          intern('s', "uses", 4),
                          intern('s', "", 0),
                          intern('s', "user\0", 5),
                          intern('i', "user", 4),
                          key_new(),
                          key_new()};
  enum { OTHERS = sizeof others / sizeof *others };
  for (int i = 0; i < OTHERS; i++) {
    CHECK(others[i] != NULL && others[i] != a);
    for (int k = 0; k < i; k++) CHECK(others[i] != others[k]);
  }
  CHECK_INT(key_count(), 6);
  for (int i = 0; i < OTHERS; i++) key_release(others[i]);
  key_release(same);
  CHECK_INT(key_count(), 1);
  CHECK(key_retain(a) == a);
  key_release(a);
  CHECK_INT(key_count(), 1);
  key_release(a);
  key_release(NULL);
  CHECK_INT(key_count(), 0);
}

/* Whose hashes are equal in all bits: bytes, lengths and types tell them apart. */
TEST(equal_hashes)
{
  struct key *a[] = {intern('s', "\xa1\xa7\xd6\xfd\x4a\x2d\xa1\x83", 8),
                     intern('s', "\x13\xf8\x81\xb9\xdf\xec\x07\x97", 8)};
  struct key *b[] = {intern('s', "\x96\x55\xe2\xd4\xc9\x75\x63\xa1", 8),
                     intern('s', "\x32\xb3\x5d\xfa\x17\xa4\x28", 7)};
  struct key *c[] = {intern('s', "user", 4), intern('i', "oser", 4)};
  struct key *const *two[] = {a, b, c};
  CHECK_INT(key_count(), 6);
  for (int i = 0; i < 3; i++) {
    CHECK(two[i][0] != two[i][1]);
    key_release(two[i][1]);
    key_release(two[i][0]);
  }
  CHECK_INT(key_count(), 0);
}

enum { MANY = 10000 };

TEST(many)
{
  static struct key *keys[MANY];
  for (int i = 0; i < MANY; i++) keys[i] = intern('i', (char *)&i, sizeof i);
  CHECK_INT(key_count(), MANY);
  for (int i = 0; i < MANY; i++) {
    struct key *same = intern('i', (char *)&i, sizeof i);
    if (!CHECK(same == keys[i])) break;
    key_release(same);
  }
  for (int i = 0; i < MANY; i += 2) key_release(keys[i]);
  for (int i = 1; i < MANY; i += 2) {
    struct key *same = intern('i', (char *)&i, sizeof i);
    if (!CHECK(same == keys[i])) break;
    key_release(same);
    key_release(keys[i]);
  }
  CHECK_INT(key_count(), 0);
}

enum { THREADS = 4, ROUNDS = 20000, NAMES = 5 };

/* While it is held, a key is the same for everybody; nobody else ever holds two. */
static struct {
  ctx__lock lock;
  struct key *held[NAMES];
  int holders[NAMES];
} shared;

static void hold(int name, struct key *k)
{
  CTX__LOCK(&shared.lock);
  if (shared.holders[name]++ == 0) shared.held[name] = k;
  CHECK(shared.held[name] == k);
  CTX__UNLOCK(&shared.lock);
}

static void let_go(int name)
{
  CTX__LOCK(&shared.lock);
  shared.holders[name]--;
  CTX__UNLOCK(&shared.lock);
}

static void *come_and_go(void *arg)
{
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    int name = i % NAMES;
    struct key *k = intern('i', (char *)&name, sizeof name);
    hold(name, k);
    let_go(name);
    key_release(k);
  }
  return NULL;
}

TEST(threads)
{
  ctx__thread threads[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK_INT(CTX__THREAD_START(&threads[i], come_and_go, NULL), 0);
  for (int i = 0; i < THREADS; i++) CTX__THREAD_JOIN(&threads[i]);
  CHECK_INT(key_count(), 0);
}

static const struct test tests[] = {
  T(one_name, "F6 a name has one key as long as somebody holds it"),
  T(equal_hashes, "F6 names with equal hashes have keys of their own"),
  T(many, "F6 10,000 names have as many keys"),
  T(threads, "F6 threads that come and go have one key at a time for a name"),
};

int main(int argc, char **argv)
{
  return check_run("key", tests, sizeof tests / sizeof *tests, argc, argv);
}
