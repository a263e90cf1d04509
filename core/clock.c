#include "clock.h"

void clock_init_monotonic(struct clock *k)
{
  *k = (struct clock){0};
}

void clock_init_host(struct clock *k, int64_t (*read)(void *arg), void *arg)
{
  *k = (struct clock){.read = read, .arg = arg};
}

void clock_init_manual(struct clock *k, int64_t start_ns)
{
  *k = (struct clock){.manual = true, .manual_ns = start_ns};
}

int64_t clock_now(const struct clock *k)
{
  if (k->manual) return CTX__LOAD(&k->manual_ns);
  if (k->read == NULL) return CTX__NOW();
  CTX__FOREIGN();
  return k->read(k->arg);
}

int64_t clock_recent(const struct clock *k)
{
  return clock_is_monotonic(k) ? CTX__NOW_COARSE() : clock_now(k);
}

void clock_set(struct clock *k, int64_t now_ns)
{
  if (now_ns > CTX__LOAD(&k->manual_ns)) CTX__STORE(&k->manual_ns, now_ns);
}

bool clock_is_monotonic(const struct clock *k)
{
  return !k->manual && k->read == NULL;
}

int64_t clock_after(int64_t start_ns, int64_t duration_ns)
{
  if (duration_ns > 0 && start_ns > INT64_MAX - duration_ns) return INT64_MAX;
  if (duration_ns < 0 && start_ns < INT64_MIN - duration_ns) return INT64_MIN;
  return start_ns + duration_ns;
}
