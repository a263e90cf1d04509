#include "model.h"

#include <stddef.h>

static int64_t after(int64_t ns, int64_t more_ns)
{
  return ns == NEVER || more_ns > NEVER - (ns > 0 ? ns : 0) ? NEVER : ns + more_ns;
}

struct node *model_ending(struct node *n)
{
  while (n->kind == VALUE) n = n->parent[0];
  return n;
}

static bool never_ends(const struct node *n)
{
  return n->kind == ROOT || n->kind == DETACHED;
}

/* ---- deadlines -------------------------------------------------------------- */

/* The earliest of those above that it follows. */
static int64_t above(const struct node *n)
{
  int64_t first = NEVER;
  for (int i = 0; i < n->parents && n->kind != KEEP; i++) {
    int64_t ns = model_deadline(n->parent[i]);
    if (ns < first) first = ns;
  }
  return first;
}

int64_t model_deadline(struct node *n)
{
  n = model_ending(n);
  if (never_ends(n)) return NEVER;
  if (n->err != LIVE) return n->deadline_ns;
  if (n->kind == GRACE) {
    bool orphan = model_ending(n->parent[0])->err != LIVE;
    return orphan ? n->wish_ns : after(above(n), n->grace_ns);
  }
  int64_t ns = above(n);
  return n->wish_ns < ns ? n->wish_ns : ns;
}

/* Whether its own deadline is the one that counts. */
static bool in_force(struct node *n)
{
  if (n->kind == GRACE) return model_deadline(n) != NEVER;
  return n->wish_ns != NEVER && n->wish_ns < above(n);
}

/* Who ends at the deadline of 'n'. */
static struct node *owner(struct node *n)
{
  int64_t ns = model_deadline(n);
  for (;;) {
    n = model_ending(n);
    struct node *up = NULL;
    for (int i = 0; i < n->parents && n->kind != KEEP && n->kind != GRACE; i++) {
      if (model_deadline(n->parent[i]) == ns && up == NULL) up = n->parent[i];
    }
    if (up == NULL) return n;
    n = up;
  }
}

/* ---- values -------------------------------------------------------------------- */

const struct node *model_value(const struct node *n, int key)
{
  for (; n->kind != ROOT; n = n->parent[0]) {
    if (n->kind == VALUE && n->key == key) return n;
    if (n->kind != MERGE) continue;
    for (int i = 0; i < n->parents; i++) {
      const struct node *found = model_value(n->parent[i], key);
      if (found != NULL) return found;
    }
    return NULL;
  }
  return NULL;
}

/* ---- ends ------------------------------------------------------------------------ */

bool model_ends_with(const struct node *n, const struct node *top)
{
  if (n == top) return true;
  if (never_ends(n) || n->kind == KEEP || n->kind == GRACE) return false;
  for (int i = 0; i < n->parents; i++) {
    if (model_ends_with(n->parent[i], top)) return true;
  }
  return false;
}

static void inherit(struct node *n, const struct node *from, int64_t deadline_ns)
{
  n->deadline_ns = deadline_ns;
  n->err = from->err;
  n->why = from->why;
  n->origin = from->origin;
  n->by = from->by;
  n->at_ns = from->at_ns;
}

/* The first of those it hangs on that is done, or NULL. */
static struct node *done_above(struct node *n)
{
  for (int i = 0; i < n->parents; i++) {
    struct node *up = model_ending(n->parent[i]);
    if (!never_ends(up) && up->err != LIVE) return up;
  }
  return NULL;
}

/* 'deadline_ns' is what it had before this end. */
static bool follow(struct node *n, int64_t at_ns, int64_t deadline_ns)
{
  if (n->kind == FREE || n->kind == VALUE || n->kind == KEEP || never_ends(n) || n->err != LIVE)
    return false;
  struct node *up = done_above(n);
  if (up == NULL) return false;
  if (n->kind != GRACE) {
    inherit(n, up, deadline_ns);
    return true;
  }
  if (n->wish_ns == NEVER) {
    int64_t by_deadline_ns = after(up->deadline_ns, n->grace_ns),
            by_end_ns = after(at_ns, n->grace_ns);
    n->wish_ns = by_end_ns < by_deadline_ns ? by_end_ns : by_deadline_ns;
  }
  return false;
}

void model_end(struct model *m, struct node *n, int err, int why, int by, int64_t at_ns)
{
  int64_t before_ns[NODES];
  for (int i = 0; i < NODES; i++)
    before_ns[i] = m->nodes[i].kind != FREE ? model_deadline(&m->nodes[i]) : NEVER;
  n->deadline_ns = before_ns[n - m->nodes];
  n->err = err;
  n->why = why;
  n->origin = n;
  n->by = by;
  n->at_ns = at_ns;
  for (bool changed = true; changed;) {
    changed = false;
    for (int i = 0; i < NODES; i++) changed |= follow(&m->nodes[i], at_ns, before_ns[i]);
  }
}

void model_expire(struct model *m, struct node *n)
{
  model_end(m, n, EXCEEDED, n->cause, n->kind == GRACE ? BY_PARENT : BY_DEADLINE,
            model_deadline(n));
}

int model_err(struct model *m, struct node *n)
{
  n = model_ending(n);
  if (never_ends(n)) return LIVE;
  while (n->err == LIVE && model_deadline(n) <= m->now_ns) model_expire(m, owner(n));
  return n->err;
}

struct node *model_due(struct model *m)
{
  struct node *first = NULL;
  for (int i = 0; i < NODES; i++) {
    struct node *n = &m->nodes[i];
    if (n->kind != DEADLINE && n->kind != KEEP && n->kind != GRACE) continue;
    if (n->err != LIVE || !in_force(n) || model_deadline(n) > m->now_ns) continue;
    if (first == NULL || model_deadline(n) < model_deadline(first)) first = n;
  }
  return first;
}

/* ---- births, and what is freed ------------------------------------------------------ */

struct node *model_new(struct model *m, enum kind kind, int parents, struct node *parent[])
{
  for (int i = 0; i < NODES; i++) {
    struct node *n = &m->nodes[i];
    if (n->kind != FREE) continue;
    *n = (struct node){.kind = kind, .parents = parents, .held = 1, .wish_ns = NEVER};
    for (int k = 0; k < parents; k++) {
      n->parent[k] = parent[k];
      parent[k]->held++;
    }
    return n;
  }
  return NULL;
}

/* D7: D5, the parent done already, a deadline that is past. */
static void bear_deadline(struct model *m, struct node *n)
{
  struct node *up = n->kind == KEEP ? NULL : done_above(n);
  if (up == NULL && n->wish_ns <= m->now_ns && n->wish_ns < above(n)) {
    if (n->kind == DEADLINE) model_err(m, n->parent[0]);
    up = n->kind == KEEP ? NULL : done_above(n);
    if (up == NULL) {
      n->deadline_ns = n->wish_ns;
      n->err = EXCEEDED;
      n->why = n->cause;
      n->origin = n;
      n->by = BY_DEADLINE;
      n->at_ns = m->now_ns;
    }
  }
  if (up != NULL) inherit(n, up, model_deadline(n));
}

/* As the first listed one that is done. */
static void bear_merge(struct model *m, struct node *n)
{
  for (int i = 0; i < n->parents; i++) {
    if (model_err(m, n->parent[i]) == LIVE) continue;
    inherit(n, model_ending(n->parent[i]), model_deadline(n));
    return;
  }
}

static void bear_grace(struct model *m, struct node *n)
{
  struct node *up = model_ending(n->parent[0]);
  model_err(m, up);
  if (never_ends(up) || up->err == LIVE) return;
  n->wish_ns = after(up->err == CANCELED ? m->now_ns : up->deadline_ns, n->grace_ns);
  if (n->wish_ns <= m->now_ns) model_end(m, n, EXCEEDED, 0, BY_PARENT, n->wish_ns);
}

void model_bear(struct model *m, struct node *n)
{
  struct node *up;
  switch (n->kind) {
  case DEADLINE:
  case KEEP: bear_deadline(m, n); break;
  case GRACE: bear_grace(m, n); break;
  case MERGE: bear_merge(m, n); break;
  case CANCEL:
    if ((up = done_above(n)) != NULL) inherit(n, up, model_deadline(n));
    break;
  default: break;
  }
}

int model_release(struct node *n)
{
  int values = 0;
  if (--n->held > 0) return 0;
  values += n->kind == VALUE;
  n->kind = FREE;
  for (int i = 0; i < n->parents; i++) values += model_release(n->parent[i]);
  return values;
}
