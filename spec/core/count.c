/*
 * count - references, where there are more than a number is to hold
 *
 * From 2^30 on a count stays as it is, whatever is retained or released: who has lost count has a
 * leak, and no crash. That of a node goes in twos. The tests set counts, which nobody can reach by calls in reasonable time.
 */
#include "world.h"

#include "engine.h"
#include "tree.h"

#include <stdint.h>
#include <stdlib.h>

enum { FOREVER = 1 << 30 };

/* A context begins with its node, and a cause with its count. */
static ctx__atomic *count_of(ctx_context *c)
{
  return &((struct node *)c)->refs;
}

static ctx__atomic *count_of_cause(ctx_cause *cause)
{
  return (ctx__atomic *)cause;
}

TEST(node_at_the_limit)
{
  struct node n;
  node_init(&n, NODE_CANCEL, 0, NULL);
  CTX__STORE(&n.refs, FOREVER - 2 * NODE_REF);
  node_retain(&n);
  CHECK(node_retain_unless_dead(&n)); /* these two count still */
  CHECK_INT(CTX__LOAD(&n.refs), FOREVER);
  node_retain(&n);
  CHECK(node_retain_unless_dead(&n));
  CHECK_INT(CTX__LOAD(&n.refs), FOREVER);
  CHECK(!node_release(&n));
  node_release_held(&n);
  CHECK_INT(CTX__LOAD(&n.refs), FOREVER);
}

TEST(node_below_the_limit)
{
  struct node n;
  node_init(&n, NODE_CANCEL, 0, NULL);
  CTX__STORE(&n.refs, FOREVER - NODE_REF);
  CHECK(!node_release(&n));
  node_release_held(&n);
  CHECK_INT(CTX__LOAD(&n.refs), FOREVER - 3 * NODE_REF);
}

/* The calls of ctx.h, on what has a count of FOREVER, and a child that comes and goes. */
static void use(ctx_context *c)
{
  for (int i = 0; i < 3; i++) ctx_retain(c);
  ctx_release(need(ctx_with_cancel(c)));
  for (int i = 0; i < 5; i++) ctx_release(c);
}

TEST(roots_are_not_counted)
{
  ctx_context *roots[] = {ctx_background(), ctx_todo()};
  for (int i = 0; i < 2; i++) {
    uint32_t before = CTX__LOAD(count_of(roots[i]));
    CHECK(before >= FOREVER);
    use(roots[i]);
    CHECK_INT(CTX__LOAD(count_of(roots[i])), before);
  }
}

TEST(context_lives_on)
{
  struct world w;
  ctx_context *a = need(ctx_with_cancel(host(&w))), *b = need(ctx_with_cancel(a));
  CTX__STORE(count_of(b), FOREVER);
  use(b);
  CHECK_INT(CTX__LOAD(count_of(b)), FOREVER);
  CHECK(ctx_cancel(a)); /* the walk holds b for a while */
  CHECK_INT(ctx_err(b), CTX_CANCELED);
  CHECK_INT(CTX__LOAD(count_of(b)), FOREVER);
  CHECK_INT(counters(&w).contexts, 2);
  CTX__STORE(count_of(b), NODE_REF);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(counted_wrong)
{
  struct world w;
  host(&w);
  ctx_engine *e = w.engine;
  CTX__ADD(&e->shard[CTX__SHARDS - 1].count[COUNT_CONTEXTS], 1);
  CHECK_INT(ctx_engine_close(e), 0);
  CHECK_INT(w.blocks, 1);
  engine_free(e, e, e->block_size);
  CHECK_INT(w.blocks, 0);
}

TEST(cause_lives_on)
{
  int dropped = 0;
  ctx_cause *x = counted_cause("X", &dropped);
  CTX__STORE(count_of_cause(x), FOREVER - 1);
  ctx_cause_retain(x);
  ctx_cause_retain(x);
  CHECK_INT(CTX__LOAD(count_of_cause(x)), FOREVER);
  for (int i = 0; i < 3; i++) ctx_cause_release(x);
  CHECK_INT(CTX__LOAD(count_of_cause(x)), FOREVER);
  CTX__STORE(count_of_cause(x), 2);
  ctx_cause_release(x);
  CHECK_INT(dropped, 0);
  ctx_cause_release(x);
  CHECK_INT(dropped, 1);
}

static const struct test tests[] = {
  T(node_at_the_limit, "a node that is held 2^29 times is no longer counted"),
  T(node_below_the_limit, "below that it is"),
  T(roots_are_not_counted, "the roots of the default engine are never counted"),
  T(context_lives_on, "a context that is held 2^29 times outlives all releases, and a cancel"),
  T(counted_wrong,
    "an engine whose contexts were counted wrong is left, and nobody waits for ever"),
  T(cause_lives_on, "a cause that is held 2^30 times outlives all releases"),
};

int main(int argc, char **argv)
{
  return check_run("count", tests, sizeof tests / sizeof *tests, argc, argv);
}
