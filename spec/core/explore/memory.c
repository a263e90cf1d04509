/*
 * memory - an arena that forgets nothing until the schedule ends
 *
 * A freed block is poisoned and stays where it is, so that who touches it is found. Every
 * plain read and write of the sources comes here too, as a call that the compiler has
 * put before it: a plain access that is not ordered with another thread's by what has
 * happened before is a race. That no schedule has one is what allows the search to switch
 * only at operations.
 */
#include "explorer.h"

#include "search.h"

enum { ARENA = 1 << 17, GRANULE = 16, BLOCKS = 512, OUTSIDE = 0, POISON = 0xdb };

struct block {
  char *start;
  size_t size;
  bool freed;
  const char *where;
  uint16_t last[THREADS]; /* when each thread has touched it, as in a past */
};

/* Of the byte that a plain access begins with. */
struct shadow {
  unsigned run;
  uint16_t written;
  uint8_t writer;
  uint16_t read[THREADS];
};

static char arena[ARENA] __attribute__((aligned(64)));
static uint16_t granules[ARENA / GRANULE]; /* the block that lies there */
static struct shadow shadows[ARENA];
static struct block blocks[BLOCKS]; /* from 1 on */
static int block_count;
static size_t used;
static unsigned this_run;

void memory_reset(void)
{
  this_run++;
  block_count = 0;
  used = GRANULE;
}

/* ---- blocks ---------------------------------------------------------------- */

void *memory_new(size_t size, const char *where)
{
  size_t room = (size + GRANULE - 1) / GRANULE * GRANULE;
  if (block_count + 1 == BLOCKS || used + room + GRANULE > ARENA) fail(where, "the arena is full");
  int n = ++block_count;
  blocks[n] = (struct block){.start = arena + used, .size = size, .where = where};
  for (size_t i = 0; i < room / GRANULE; i++) granules[used / GRANULE + i] = (uint16_t)n;
  used += room;
  granules[used / GRANULE] = OUTSIDE; /* a gap, so that who runs over the end is seen */
  used += GRANULE;
  return blocks[n].start;
}

int memory_block(const void *start, const char *where)
{
  size_t at = (size_t)((const char *)start - arena);
  int n = at < used ? granules[at / GRANULE] : OUTSIDE;
  if (n == OUTSIDE || blocks[n].start != start) fail(where, "frees what is no block");
  if (blocks[n].freed) fail(where, "frees twice the block of %s", blocks[n].where);
  return n;
}

void memory_find_uses(int n, int thread, int found[])
{
  const struct block *b = &blocks[n];
  const struct past *past = &threads[thread].past;
  for (int q = 0; q < thread_count; q++) {
    int stamp = b->last[q];
    if (q == thread || stamp <= past->to[q]) continue;
    if ((stamp & ~1) <= past->to[q])
      fail(threads[thread].next.where, "a race: frees the block of %s, which thread %c uses",
           b->where, 'a' + q);
    found[q] = stamp / 2;
  }
}

void memory_bury(int n)
{
  if (blocks[n].freed) fail(threads[running].next.where, "frees twice");
  blocks[n].freed = true;
  memset(blocks[n].start, POISON, blocks[n].size);
}

bool memory_touched(int n, int thread, int event)
{
  return blocks[n].last[thread] >= 2 * event;
}

void memory_check(void)
{
  for (int n = 1; n <= block_count; n++) {
    const struct block *b = &blocks[n];
    if (!b->freed) fail(b->where, "leaks: this block is never freed");
    for (size_t i = 0; i < b->size; i++) {
      if (b->start[i] != (char)POISON) fail(b->where, "the block was written to after its end");
    }
  }
}

const char *memory_name(uintptr_t p)
{
  static char name[64];
  size_t at = (size_t)(p - (uintptr_t)arena);
  if (p == (uintptr_t)&now_ns) return "the clock";
  if (at >= used) return "a stack";
  int n = granules[at / GRANULE];
  snprintf(name, sizeof name, "block %d (%s) + %d", n, blocks[n].where,
           (int)(p - (uintptr_t)blocks[n].start));
  return name;
}

/* ---- accesses ---------------------------------------------------------------- */

/* The block that 'p' lies in; fails where nothing may lie. OUTSIDE: not in the arena. */
static int block_at(const volatile void *p, const char *where)
{
  size_t at = (size_t)((const volatile char *)p - arena);
  if (at >= ARENA) {
    int left = thread_left((const void *)p);
    if (left != NOBODY) fail(where, "touches what thread %c has had on its stack", 'a' + left);
    return OUTSIDE;
  }
  int n = at < used ? granules[at / GRANULE] : OUTSIDE;
  if (n == OUTSIDE) fail(where, "touches memory outside any block");
  if (blocks[n].freed) fail(where, "uses the block of %s after its end", blocks[n].where);
  return n;
}

static void touch(const volatile void *p, uint16_t stamp, const char *where)
{
  int n = block_at(p, where);
  if (n != OUTSIDE && !alone) blocks[n].last[running] = stamp;
}

void memory_touch(const volatile void *p, const char *where)
{
  touch(p, threads[running].past.to[running], where);
}

void memory_touch_between(const volatile void *p, const char *where)
{
  touch(p, stamp_plain(), where);
}

static struct shadow *shadow_of(const volatile void *p)
{
  struct shadow *s = &shadows[(const volatile char *)p - arena];
  if (s->run != this_run) *s = (struct shadow){.run = this_run};
  return s;
}

static void look_for_race(const struct shadow *s, bool writes)
{
  const struct past *past = &threads[running].past;
  if (s->writer != running && s->written > past->to[s->writer])
    fail(NULL, "a race: thread %c has written this", 'a' + s->writer);
  for (int q = 0; writes && q < thread_count; q++) {
    if (q != running && s->read[q] > past->to[q])
      fail(NULL, "a race: thread %c reads this", 'a' + q);
  }
}

static void look(const volatile void *p, bool writes)
{
  int n = block_at(p, NULL);
  if (n == OUTSIDE || alone) return;
  struct shadow *s = shadow_of(p);
  look_for_race(s, writes);
  uint16_t stamp = stamp_plain();
  blocks[n].last[running] = stamp;
  if (!writes) {
    s->read[running] = stamp;
  } else {
    s->written = stamp;
    s->writer = (uint8_t)running;
  }
}

static void plain(const volatile void *p, bool writes, const void *code)
{
  failed_at = code;
  look(p, writes);
  failed_at = NULL;
}

/* ---- what the compiler calls --------------------------------------------------- */

#define CODE __builtin_return_address(0)
#define PLAIN(size) \
  void __tsan_read##size(void *p); \
  void __tsan_write##size(void *p); \
  void __tsan_unaligned_read##size(void *p); \
  void __tsan_unaligned_write##size(void *p); \
  void __tsan_read##size(void *p) \
  { \
    plain(p, false, CODE); \
  } \
  void __tsan_write##size(void *p) \
  { \
    plain(p, true, CODE); \
  } \
  void __tsan_unaligned_read##size(void *p) \
  { \
    plain(p, false, CODE); \
  } \
  void __tsan_unaligned_write##size(void *p) \
  { \
    plain(p, true, CODE); \
  }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_func_entry(void *p);
void __tsan_func_exit(void *p);
void __tsan_read_range(void *p, size_t size);
void __tsan_write_range(void *p, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memset(void *to, int c, size_t size);
uint32_t __tsan_atomic32_load(const volatile uint32_t *p, int order);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *p)
{
  (void)p;
}

void __tsan_func_exit(void *p)
{
  (void)p;
}

void __tsan_read_range(void *p, size_t size)
{
  for (size_t i = 0; i < size; i += 8) plain((char *)p + i, false, CODE);
}

void __tsan_write_range(void *p, size_t size)
{
  for (size_t i = 0; i < size; i += 8) plain((char *)p + i, true, CODE);
}

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
  for (size_t i = 0; i < size; i += 8) {
    plain((const char *)from + i, false, CODE);
    plain((char *)to + i, true, CODE);
  }
  return memcpy(to, from, size);
}

void *__tsan_memset(void *to, int c, size_t size)
{
  for (size_t i = 0; i < size; i += 8) plain((char *)to + i, true, CODE);
  return memset(to, c, size);
}

/* The inline check of ctx.h. */
uint32_t __tsan_atomic32_load(const volatile uint32_t *p, int order)
{
  (void)order;
  return (uint32_t)explore_load(p, sizeof *p, "core/ctx.h:ctx_err");
}
