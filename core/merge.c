/*
 * merge - a context with several parents
 *
 * It hangs on each by a member: so the end of any of them finds it.
 * Its node holds the first parent, the other members hold theirs.
 *
 * Values never change. So what only the further parents see is collected at birth, in one list
 * sorted by key; a lookup that passes here on its way up looks into that.
 */
#include "platform.h"

#include "deadline.h"

/* ---- what the further parents see --------------------------------------- */

/* The next context with values above 'c', which has values. */
static ctx_context *values_above(const ctx_context *c)
{
  return context_of_node(c->node.parent)->values;
}

static size_t count_values(ctx_context *parent)
{
  size_t n = 0;
  for (ctx_context *c = parent->values; c != NULL; c = values_above(c))
    n += c->node.kind == NODE_VALUE ? 1 : merge_context_of(c)->values;
  return n;
}

/* Writes what 'parent' sees to 'to', in the order of a lookup: the values on its chain; then those
 * of the merges there, the uppermost first. Where that ends. */
static struct merged_value *collect(ctx_context *parent, struct merged_value *to)
{
  struct merged_value *end = to + count_values(parent), *back = end;
  for (ctx_context *c = parent->values; c != NULL; c = values_above(c)) {
    if (c->node.kind == NODE_VALUE) {
      (to++)->context = value_context_of(c);
      continue;
    }
    const struct merge_context *m = merge_context_of(c);
    back -= m->values;
    for (size_t i = 0; i < m->values; i++) back[i].context = m->value[i].context;
  }
  return end;
}

static bool comes_before(const struct merged_value *a, const struct merged_value *b)
{
  uintptr_t key_a = (uintptr_t)a->context->key, key_b = (uintptr_t)b->context->key;
  return key_a != key_b ? key_a < key_b : a->rank < b->rank;
}

/* Lets the one at 'i' sink in the heap of 'n'. */
static void sink(struct merged_value *v, size_t i, size_t n)
{
  for (;;) {
    size_t next = 2 * i + 1;
    if (next >= n) return;
    if (next + 1 < n && comes_before(&v[next], &v[next + 1])) next++;
    if (!comes_before(&v[i], &v[next])) return;
    struct merged_value moved = v[i];
    v[i] = v[next];
    v[next] = moved;
    i = next;
  }
}

/* By key, then by rank: a heap, because that needs neither memory nor recursion. */
static void sort(struct merged_value *v, size_t n)
{
  for (size_t i = n / 2; i-- > 0;) sink(v, i, n);
  for (size_t end = n; end-- > 1;) {
    struct merged_value last = v[0];
    v[0] = v[end];
    v[end] = last;
    sink(v, 0, end);
  }
}

/* Leaves of each key the first. How many there are. */
static size_t leave_first(struct merged_value *v, size_t n)
{
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (kept == 0 || v[kept - 1].context->key != v[i].context->key) v[kept++] = v[i];
  }
  return kept;
}

static void collect_values(struct merge_context *m, ctx_context *const parents[])
{
  struct merged_value *v = (struct merged_value *)(void *)&m->member[m->members], *end = v;
  m->value = v;
  for (size_t i = 1; i < m->members; i++) end = collect(parents[i], end);
  size_t n = (size_t)(end - v);
  for (size_t i = 0; i < n; i++) v[i].rank = i;
  sort(v, n);
  m->values = leave_first(v, n);
  if (m->values > 0) m->context.values = &m->context;
}

/* ---- making ------------------------------------------------------------- */

/* 0, or why there is no such merge. */
static int refuse(size_t n, ctx_context *const parents[])
{
  if (n == 0 || parents == NULL) return EINVAL;
  for (size_t i = 0; i < n; i++) {
    if (parents[i] == NULL || parents[i]->engine != parents[0]->engine) return EINVAL;
  }
  return 0;
}

/* The size of the block; 0: larger than there can be. */
static size_t size_for(size_t n, ctx_context *const parents[])
{
  size_t values = 0, room = SIZE_MAX / 4;
  for (size_t i = 1; i < n; i++) {
    size_t more = count_values(parents[i]);
    if (more > room - values) return 0; /* never: with 64 bits; the next, too */
    values += more;
  }
  room /= sizeof(struct node) + sizeof(struct merged_value);
  if (n > room || values > room) return 0; /* never: see above */
  return sizeof(struct merge_context) + n * sizeof(struct node) +
         values * sizeof(struct merged_value);
}

static void init_members(struct merge_context *m, ctx_context *const parents[])
{
  for (size_t i = 0; i < m->members; i++) {
    struct node *n = &m->member[i], *parent = &parents[i]->node;
    node_init(n, NODE_MEMBER, CTX__LIVE, i > 0 ? parent : NULL); /* the first is held already */
    n->parent = parent;
    n->shares = &m->context.node;
  }
}

/* Ends 'c' as the first listed parent that is done. False: all live. */
static bool bear_done(ctx_context *c, size_t n, ctx_context *const parents[])
{
  for (size_t i = 0; i < n; i++) {
    if (ctx_err(parents[i]) == 0) continue;
    c->deadline_ns = deadline_above(c);
    node_inherit(&c->node, node_origin(node_ending(&parents[i]->node)));
    return true;
  }
  return false;
}

/* 'up' has ended just now, and does not know 'c' any more; but walks do. Nobody else: there is
 * nothing below 'c', and nothing waits for it. */
static void end_with(ctx_context *c, struct node *up)
{
  CTX__LOCK(&c->node.lock);
  if (!state_is_done(context_state(c))) node_inherit(&c->node, node_origin(up)); /* race: of ups */
  CTX__UNLOCK(&c->node.lock);
}

/* A walk may come by any of the members before the last one is hung up. */
static void hang_all(struct merge_context *m)
{
  ctx_context *c = &m->context;
  for (size_t i = 0; i < m->members; i++) {
    struct node *up = node_up(&m->member[i]);
    if (up == NULL) continue;
    CTX__LOCK(&up->lock);
    bool live = tree_link_locked(up, &m->member[i]);
    CTX__UNLOCK(&up->lock);
    if (!live) end_with(c, up); /* race: it has ended meanwhile */
  }
  deadline_follow(c);
  if (state_is_done(context_state(c)))              /* race: it ends meanwhile */
    CTX__STORE(&c->deadline_ns, deadline_above(c)); /* of one that has ended it does not follow */
  CTX__STORE(&m->born, 1);
}

ctx_context *ctx_merge(size_t n, ctx_context *const parents[])
{
  int refused = refuse(n, parents);
  size_t size = refused == 0 ? size_for(n, parents) : 0;
  if (size == 0) {
    errno = refused != 0 ? refused : ENOMEM; /* never: the size is not 0; see there */
    return NULL;
  }
  ctx_context *c = context_new(parents[0], NODE_MERGE, size);
  if (c == NULL) return NULL;
  struct merge_context *m = merge_context_of(c);
  m->size = size;
  m->members = n;
  m->arrivals = 0;
  m->stage = 0;
  m->born = 0;
  init_members(m, parents);
  collect_values(m, parents);
  context_begin(c, CTX_NEVER);
  if (!bear_done(c, n, parents)) hang_all(m);
  return context_made(c);
}
