/*
 * value - what a context carries, found by walking up
 *
 * Layers of values know the next one above, whatever lies between. Each one that is the 32nd in a
 * row has an index of itself and the 31 above it, a table with open addressing in the same block: a
 * deep lookup steps from index to index, and a shallow one pays nothing.
 */
#include "platform.h"

#include "context.h"

/* ---- the index ------------------------------------------------------------ */

/* Where a search for 'key' begins: a few bits of a product (multiplicative hashing, Knuth). */
static size_t first_slot(const void *key)
{
  uint64_t product = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(product >> 32) % VALUE_SLOTS;
}

/* The slot of 'key', or the free one where it would be: half of them are free. */
static struct value_slot *find_slot(struct value_index *index, const void *key)
{
  size_t i = first_slot(key);
  while (index->slot[i].nearest != NULL && index->slot[i].key != key) i = (i + 1) % VALUE_SLOTS;
  return &index->slot[i];
}

static void fill_index(struct value_index *index, struct value_context *v)
{
  for (int i = 0; i < VALUE_SLOTS; i++) index->slot[i].nearest = NULL;
  for (int i = 0; i < VALUE_STEP; i++) {
    struct value_slot *s = find_slot(index, v->key);
    if (s->nearest == NULL) *s = (struct value_slot){v->key, v};
    index->beyond = v->context.above;
    v = value_context_of(index->beyond);
  }
}

/* ---- asking ----------------------------------------------------------------- */

/* What the further parents of a merge hold for 'key', or NULL. */
static const struct value_context *merged_value(ctx_context *c, const void *key)
{
  const struct merge_context *m = merge_context_of(c);
  size_t from = 0, end = m->values;
  while (from < end) {
    size_t middle = from + (end - from) / 2;
    const struct value_context *v = m->value[middle].context;
    if (v->key == key) return v;
    if ((uintptr_t)v->key < (uintptr_t)key)
      from = middle + 1;
    else
      end = middle;
  }
  return NULL;
}

/* Looks at 'v', and behind it. NULL: it is not there; *next is where it may be. */
static const struct value_context *look(struct value_context *v, const void *key,
                                        ctx_context **next)
{
  if (v->key == key) return v;
  struct value_index *index = value_index_of(v);
  *next = index != NULL ? index->beyond : v->context.above;
  return index != NULL ? find_slot(index, key)->nearest : NULL;
}

/* A merge on the way answers for its further parents. Those of one further up come before: it is
 * the first argument of the other, or above that. */
void *ctx_value(const ctx_context *asked, const void *key)
{
  const struct value_context *merged = NULL;
  for (ctx_context *c = asked->values; c != NULL;) {
    if (c->node.kind == NODE_VALUE) {
      const struct value_context *v = look(value_context_of(c), key, &c);
      if (v != NULL) return v->value;
    } else {
      const struct value_context *v = merged_value(c, key);
      if (v != NULL) merged = v;
      c = context_of_node(c->node.parent)->values;
    }
  }
  return merged != NULL ? merged->value : NULL;
}

/* ---- making ------------------------------------------------------------------ */

static size_t layers_at(const ctx_context *c)
{
  return c != NULL && c->node.kind == NODE_VALUE ? c->node.layers : 0;
}

ctx_context *ctx_with_value(ctx_context *parent, const void *key, void *value, void (*drop)(void *))
{
  size_t layers = parent != NULL ? layers_at(parent->values) + 1 : 1;
  size_t index_size = layers % VALUE_STEP == 0 ? sizeof(struct value_index) : 0;
  struct value_context *v =
    (struct value_context *)(void *)context_new(parent, NODE_VALUE, sizeof *v + index_size);
  if (v == NULL) return NULL;
  v->key = key;
  v->value = value;
  v->drop = drop;
  v->context.node.layers = layers;
  v->context.above = v->context.values;
  v->context.values = &v->context;
  if (index_size > 0) fill_index(value_index_of(v), v);
  struct node *n = &v->context.node;
  n->shares = node_up(n);
  if (n->shares != NULL) n->state = CTX__ELSEWHERE;
  return context_made(&v->context);
}
