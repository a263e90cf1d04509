#include "platform.h"

#include "cause.h"
#include "deadline.h"
#include "descriptor.h"
#include "hook.h"

static int64_t effective(ctx_context *c)
{
  return CTX__LOAD(&c->deadline_ns);
}

/* Of the nodes that 'c' hangs on the first that has the earliest deadline, or NULL. */
static ctx_context *earliest_up(ctx_context *c)
{
  ctx_context *first = NULL;
  for (size_t i = 0; i < context_ups(c); i++) {
    struct node *n = context_up(c, i);
    ctx_context *up = n != NULL ? context_of_node(n) : NULL;
    if (first == NULL || (up != NULL && effective(up) < effective(first))) first = up;
  }
  return first;
}

int64_t deadline_above(ctx_context *c)
{
  ctx_context *up = earliest_up(c);
  return up != NULL ? effective(up) : CTX_NEVER;
}

struct deadline_context *deadline_owner(ctx_context *c)
{
  int64_t deadline_ns = effective(c);
  while (c->node.kind != NODE_GRACE) {
    ctx_context *up = earliest_up(c);
    if (up == NULL || effective(up) > deadline_ns) break;
    c = up;
  }
  return context_has_wish(c) ? deadline_context_of(c) : NULL; /* race: it is moved meanwhile */
}

/* Whether the own deadline of 'd' is its effective one. */
static bool in_force_locked(struct deadline_context *d)
{
  if (d->context.node.own_ns == CTX_NEVER) return false;
  return d->context.node.kind == NODE_GRACE || d->context.node.own_ns < deadline_above(&d->context);
}

bool deadline_is_over_locked(struct deadline_context *d, int64_t now_ns)
{
  bool over = d->context.node.own_ns <= now_ns;
  return over && in_force_locked(d); /* race: it is moved after it was popped */
}

void deadline_arm(struct deadline_context *d)
{
  ctx_context *c = &d->context;
  CTX__LOCK(&c->node.lock);
  if (!state_is_done(context_state(c)) && in_force_locked(d)) /* race: it ends or is moved */
    engine_arm(c->engine, &d->wish, d->context.node.own_ns);
  CTX__UNLOCK(&c->node.lock);
}

/* ---- moving ----------------------------------------------------------- */

/* True: that is another one than before. */
static bool change_locked(ctx_context *c, int64_t deadline_ns)
{
  int64_t before_ns = effective(c);
  if (deadline_ns == before_ns) return false;
  CTX__STORE(&c->deadline_ns, deadline_ns);
  CTX__STORE(&c->node.state, deadline_ns != CTX_NEVER ? CTX__LIVE_TIMED : CTX__LIVE);
  if (deadline_ns < before_ns) hook_rouse_locked(c);
  descriptor_rearm_locked(c);
  return true;
}

/* Gives 'd' this own deadline, and arms it anew. */
static bool wish_locked(struct deadline_context *d, int64_t own_ns)
{
  ctx_context *c = &d->context;
  d->context.node.own_ns = own_ns;
  bool own = in_force_locked(d);
  engine_arm(c->engine, &d->wish, own ? own_ns : CTX_NEVER);
  return change_locked(c, own ? own_ns : deadline_above(c));
}

/* Gives 'c' the deadline that follows from those above it. */
static bool follow_locked(ctx_context *c)
{
  int64_t above_ns = deadline_above(c);
  if (!context_has_wish(c)) return change_locked(c, above_ns);
  struct deadline_context *d = deadline_context_of(c);
  if (c->node.kind == NODE_GRACE) {
    int64_t own_ns = clock_after(above_ns, ((struct grace_context *)(void *)d)->grace_ns);
    bool other = own_ns != d->context.node.own_ns;
    return other && wish_locked(d, own_ns); /* never: another one, no change */
  }
  if (in_force_locked(d))
    engine_keep(c->engine, &d->wish, d->context.node.own_ns);
  else
    engine_disarm(c->engine, &d->wish);
  return change_locked(c, d->context.node.own_ns < above_ns ? d->context.node.own_ns : above_ns);
}

bool deadline_follow(ctx_context *c)
{
  CTX__LOCK(&c->node.lock);
  bool live = !state_is_done(context_state(c));
  bool changed = live && follow_locked(c); /* race: it ends meanwhile */
  CTX__UNLOCK(&c->node.lock);
  return changed;
}

/* ---- merges ----------------------------------------------------------- */

/* Where a merge stands, by its 'sibling'; the last is left when all is over. */
enum { STAGE_UNMET, STAGE_FOUND, STAGE_READY, STAGE_FOLLOWED, STAGES };

enum pass {
  PASS_FIRST, /* below the one that was moved, as far as anything changes */
  PASS_COUNT, /* below each merge: which others are there, and how many ways lead to each */
  PASS_FOLLOW /* the same again, each when it is its turn */
};

struct moving {
  struct list stage[STAGES];
  struct list *dead;
};

static void put(struct moving *m, struct merge_context *merge, uint8_t stage)
{
  struct list_link *k = &merge->context.node.sibling;
  if (merge->stage != STAGE_UNMET) list_remove(&m->stage[merge->stage], k);
  if (stage != STAGE_UNMET) list_append(&m->stage[stage], k);
  merge->stage = stage;
}

/* One way to 'merge'. What is born meanwhile has been counted by nobody: it follows at once. */
static void meet(struct moving *m, struct merge_context *merge, enum pass pass)
{
  if (merge->stage == STAGE_UNMET) {
    node_retain(&merge->context.node);
    merge->arrivals = 0;
    put(m, merge, pass == PASS_FOLLOW ? STAGE_READY : STAGE_FOUND); /* race: born meanwhile */
  }
  if (pass == PASS_COUNT) {
    merge->arrivals++;
  } else if (pass == PASS_FOLLOW && merge->stage != STAGE_READY) { /* race: the same */
    if (merge->arrivals > 0) merge->arrivals--;                    /* race: the same */
    if (merge->arrivals == 0) put(m, merge, STAGE_READY);
  }
}

static void pass_below(struct moving *m, ctx_context *root, enum pass pass)
{
  struct node *n = &root->node;
  bool into = true;
  while ((n = tree_step(&root->node, n, into, m->dead)) != NULL) {
    into = n->kind != NODE_MEMBER;
    if (!into)
      meet(m, merge_context_of(context_of_node(n->shares)), pass);
    else if (pass != PASS_COUNT)
      into = deadline_follow(context_of_node(n)) || pass == PASS_FOLLOW;
  }
}

static struct merge_context *merge_at(struct list_link *k)
{
  return merge_context_of(context_of_node(LIST_ELEMENT(k, struct node, sibling)));
}

/* Gives up the reference on a merge; if that is the last, it goes to the dead. */
static void let_go(struct moving *m, struct merge_context *merge)
{
  struct node *n = &merge->context.node;
  put(m, merge, STAGE_UNMET);
  if (node_release(n)) list_append(m->dead, &n->sibling); /* race: released meanwhile */
}

static void let_all_go(struct moving *m)
{
  for (int stage = STAGE_FOUND; stage < STAGES; stage++) {
    while (!list_empty(&m->stage[stage])) let_go(m, merge_at(m->stage[stage].first));
  }
}

static void follow_merges(struct moving *m)
{
  struct list *found = &m->stage[STAGE_FOUND], *ready = &m->stage[STAGE_READY];
  for (struct list_link *k = found->first; k != NULL; k = list_after(found, k))
    pass_below(m, &merge_at(k)->context, PASS_COUNT);
  for (struct list_link *k = found->first, *after; k != NULL; k = after) {
    after = list_after(found, k);
    if (merge_at(k)->arrivals == 0) put(m, merge_at(k), STAGE_READY);
  }
  while (!list_empty(ready)) {
    struct merge_context *merge = merge_at(ready->first);
    put(m, merge, STAGE_FOLLOWED);
    deadline_follow(&merge->context);
    pass_below(m, &merge->context, PASS_FOLLOW);
  }
}

/* All below 'c' follow. */
static void follow_below(ctx_context *c, struct list *dead)
{
  struct moving m = {.dead = dead};
  pass_below(&m, c, PASS_FIRST);
  follow_merges(&m);
  let_all_go(&m);
}

bool deadline_move(struct deadline_context *d, int64_t own_ns, struct list *dead)
{
  ctx_context *c = &d->context;
  CTX__LOCK(&c->node.lock);
  bool live = !state_is_done(context_state(c));
  bool changed = live && wish_locked(d, own_ns);
  CTX__UNLOCK(&c->node.lock);
  if (changed) follow_below(c, dead);
  return live;
}

void deadline_spare(struct grace_context *g, int64_t at_ns, struct list *dead)
{
  struct deadline_context *d = &g->deadline;
  int64_t own_ns = clock_after(at_ns, g->grace_ns);
  CTX__LOCK(&d->context.node.lock);
  bool sooner =
    !state_is_done(context_state(&d->context)) && own_ns < d->context.node.own_ns; /* race */
  bool changed = sooner && wish_locked(d, own_ns); /* never: sooner, and no change */
  CTX__UNLOCK(&d->context.node.lock);
  if (changed) follow_below(&d->context, dead);
}

/* ---- making ----------------------------------------------------------- */

void deadline_init(struct deadline_context *d, int64_t own_ns, ctx_cause *cause)
{
  wheel_entry_init(&d->wish);
  d->wish.tag = ENTRY_CONTEXT;
  d->context.node.own_ns = own_ns;
  d->cause = cause;
}

/* Ends 'd', which nobody knows yet, because of its deadline or, if that is done, its up. An
 * up whose own deadline has passed is done, whether or not a driver has said so yet. */
static void bear_done(struct deadline_context *d, int64_t now_ns)
{
  struct node *n = &d->context.node;
  struct node *up = node_up(n);
  if (up != NULL && ctx_err(context_of_node(up)) != 0) {
    node_inherit(n, node_origin(up));
  } else {
    n->end.cause = ctx_cause_retain(d->cause);
    n->ended_by = CTX_ORIGIN_DEADLINE;
    d->context.node.ended_ns = now_ns;
    CTX__STORE(&n->state, CTX_DEADLINE_EXCEEDED);
  }
}

/* A child with a deadline of its own, which 'past' says is over 'now_ns'. Takes 'cause'. */
static ctx_context *with_deadline(ctx_context *parent, int64_t deadline_ns, int64_t now_ns,
                                  bool past, ctx_cause *cause)
{
  struct deadline_context *d =
    (struct deadline_context *)(void *)context_new(parent, NODE_DEADLINE, sizeof *d);
  if (d == NULL) return NULL;
  ctx_context *c = &d->context;
  deadline_init(d, deadline_ns, cause);
  bool live = context_hang(c, deadline_ns, past);
  if (!live && !state_is_done(context_state(c))) bear_done(d, now_ns);
  return context_made(c);
}

ctx_context *ctx_with_deadline_cause(ctx_context *parent, int64_t deadline_ns, ctx_cause *cause)
{
  int64_t now_ns = parent != NULL ? clock_now(&parent->engine->clock) : 0;
  return with_deadline(parent, deadline_ns, now_ns, deadline_ns <= now_ns, cause);
}

ctx_context *ctx_with_timeout_cause(ctx_context *parent, int64_t timeout_ns, ctx_cause *cause)
{
  int64_t now_ns = parent != NULL ? clock_now(&parent->engine->clock) : 0;
  int64_t deadline_ns = clock_after(now_ns, timeout_ns);
  return with_deadline(parent, deadline_ns, now_ns, timeout_ns <= 0, cause);
}

ctx_context *ctx_with_deadline(ctx_context *parent, int64_t deadline_ns)
{
  return ctx_with_deadline_cause(parent, deadline_ns, NULL);
}

ctx_context *ctx_with_timeout(ctx_context *parent, int64_t timeout_ns)
{
  return ctx_with_timeout_cause(parent, timeout_ns, NULL);
}
