#include "platform.h"

#include <string.h>

#include "annex.h"
#include "hook.h"
#include "snapshot.h"

#define NOBODY SIZE_MAX /* the parent of who was asked for */

struct found {
  ctx_snapshot_entry entry;
  char name[256];
  size_t parent, first, count; /* its parent, and its children, in 'found' */
  size_t place;                /* its own in 'order' */
};

/* The merges whose children have been added: a hash table by address, at most half full. */
struct shown {
  const ctx_context **at;
  size_t count, room; /* 0, or a power of two */
};

struct ctx_snapshot {
  ctx_engine *engine; /* whose memory this is; held by its background */
  struct found *found;
  size_t *order; /* of a walk that is depth first; NULL: as found */
  size_t count, room;
  struct shown shown;
};

/* ---- memory ----------------------------------------------------------- */

static ctx_snapshot *snapshot_new(ctx_engine *e)
{
  ctx_snapshot *s = engine_alloc(e, sizeof *s);
  if (s != NULL) *s = (ctx_snapshot){.engine = e};
  if (s != NULL) ctx_retain(e->background);
  return s;
}

void ctx_snapshot_free(ctx_snapshot *s)
{
  if (s == NULL) return;
  ctx_engine *e = s->engine;
  for (size_t i = 0; i < s->count; i++) ctx_release(s->found[i].entry.context);
  if (s->order != NULL) engine_free(e, s->order, s->count * sizeof *s->order);
  if (s->found != NULL) engine_free(e, s->found, s->room * sizeof *s->found);
  if (s->shown.at != NULL) engine_free(e, s->shown.at, s->shown.room * sizeof *s->shown.at);
  engine_free(e, s, sizeof *s);
  ctx_release(e->background);
}

/* Makes room for 'n' more, for whom there is none. */
static bool make_room(ctx_snapshot *s, size_t n)
{
  size_t room = s->count + n + s->count / 2;
  struct found *found = engine_alloc(s->engine, room * sizeof *found);
  if (found == NULL) return false;
  if (s->count > 0) memcpy(found, s->found, s->count * sizeof *found);
  if (s->found != NULL) engine_free(s->engine, s->found, s->room * sizeof *found);
  s->found = found;
  s->room = room;
  return true;
}

static void add(ctx_snapshot *s, ctx_context *c, size_t parent)
{
  size_t depth = parent != NOBODY ? s->found[parent].entry.depth + 1 : 0;
  s->found[s->count++] = (struct found){.entry = {.context = c, .depth = depth}, .parent = parent};
}

/* ---- merges, whose children are shown once ------------------------------- */

/* The place of 'c' in the table, or the free one where it would be. */
static const ctx_context **place_of(const struct shown *t, const ctx_context *c)
{
  size_t i = (size_t)(((uintptr_t)c >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
  while (t->at[i & (t->room - 1)] != NULL && t->at[i & (t->room - 1)] != c) i++;
  return &t->at[i & (t->room - 1)];
}

static bool make_room_for_merge(ctx_snapshot *s)
{
  struct shown *t = &s->shown, larger = {.count = t->count, .room = t->room > 0 ? 2 * t->room : 16};
  if (2 * (t->count + 1) <= t->room) return true;
  larger.at = engine_alloc(s->engine, larger.room * sizeof *larger.at);
  if (larger.at == NULL) return false;
  memset(larger.at, 0, larger.room * sizeof *larger.at);
  for (size_t i = 0; i < t->room; i++) {
    if (t->at[i] != NULL) *place_of(&larger, t->at[i]) = t->at[i];
  }
  if (t->at != NULL) engine_free(s->engine, t->at, t->room * sizeof *t->at);
  *t = larger;
  return true;
}

/* Notes that the children of the merge 'c' are shown here. False: they are elsewhere. */
static bool is_first(ctx_snapshot *s, const ctx_context *c)
{
  const ctx_context **place = place_of(&s->shown, c);
  if (*place != NULL) return false;
  *place = c;
  s->shown.count++;
  return true;
}

/* ---- who is there ----------------------------------------------------- */

/* A merge that is being born may be ended by what it hangs on already, and that ends nothing below
 * it. */
static bool is_born(struct node *n)
{
  return n->kind != NODE_MERGE || CTX__LOAD(&merge_context_of(context_of_node(n))->born) != 0;
}

/* Adds the children of the one at 'i' that are linked to it: as many as there is room for. How
 * many there are. */
static size_t add_linked(ctx_snapshot *s, size_t i)
{
  struct node *n = &s->found[i].entry.context->node;
  size_t seen = 0;
  CTX__LOCK(&n->lock);
  bool live = !state_is_done(CTX__LOAD_RELAXED(&n->state));
  struct list_link *k = live ? n->children.first : NULL;
  for (; k != NULL; k = list_after(&n->children, k)) {
    struct node *child = LIST_ELEMENT(k, struct node, sibling), *hung = node_hung(child);
    if (state_is_done(CTX__LOAD(&hung->state)) || !is_born(hung))
      continue; /* race: with its birth */
    seen++;
    if (s->count == s->room || !node_retain_unless_dead(hung)) continue; /* race: as below */
    add(s, context_of_node(hung), i);
  }
  CTX__UNLOCK(&n->lock);
  return seen;
}

/* Whether 'c' hangs on nothing, and 'root' is the nearest above it that never ends. */
static bool is_below_root(ctx_context *c, const ctx_context *root)
{
  bool ends = node_can_end(&c->node);
  if (!ends && c->node.kind != NODE_DETACHED) return false;
  for (size_t i = 0; ends && i < context_ups(c); i++) {
    if (context_up(c, i) != NULL) return false;
  }
  const struct node *n = c->node.parent;
  while (n->kind == NODE_VALUE) n = n->parent;
  return n == &root->node;
}

/* The same for a root, whose children only the list of the tracked knows; of all that are
 * tracked, where 'root' is NULL. */
static size_t add_tracked(ctx_snapshot *s, size_t i, const ctx_context *root)
{
  ctx_engine *e = s->engine;
  size_t seen = 0;
  engine_lock(e);
  for (struct list_link *k = e->tracked.first; k != NULL; k = list_after(&e->tracked, k)) {
    ctx_context *c = LIST_ELEMENT(k, struct annex, tracked)->context;
    bool wanted = root != NULL ? is_below_root(c, root) : node_can_end(&c->node);
    if (!wanted || state_is_done(context_state(c))) continue;
    seen++;
    if (s->count < s->room && node_retain_unless_dead(&c->node)) /* race: the last release */
      add(s, c, root != NULL ? i : NOBODY);
  }
  engine_unlock(e);
  return seen;
}

/* Takes back what was added from 'count' on. */
static void forget(ctx_snapshot *s, size_t count)
{
  while (s->count > count) ctx_release(s->found[--s->count].entry.context);
}

/* Adds all children of the one at 'i'; of a snapshot that is empty, all that are tracked. */
static bool add_children(ctx_snapshot *s, size_t i, size_t most)
{
  size_t before = s->count, seen;
  const ctx_context *c = before > 0 ? s->found[i].entry.context : NULL;
  if (c != NULL && c->node.kind == NODE_MERGE) {
    if (!make_room_for_merge(s)) return false;
    if (!is_first(s, c)) return true;
  }
  bool ends = c != NULL && node_can_end(&c->node);
  for (;;) {
    size_t room = s->room - before;
    seen = ends ? add_linked(s, i) : add_tracked(s, i, c);
    if (seen <= room) break;
    forget(s, before);
    if (!make_room(s, seen)) return false;
  }
  if (most < s->count - before) forget(s, before + most);
  if (c == NULL) return true;
  s->found[i].first = before;
  s->found[i].count = s->count - before;
  return true;
}

/* ---- what is known of them --------------------------------------------- */

static const char *const kinds[] = {[NODE_BACKGROUND] = "background",
                                    [NODE_TODO] = "todo",
                                    [NODE_DETACHED] = "without_cancel",
                                    [NODE_VALUE] = "value",
                                    [NODE_CANCEL] = "cancel",

                                    [NODE_LISTENER] = "signal",
                                    [NODE_DEADLINE] = "deadline",
                                    [NODE_GRACE] = "grace",
                                    [NODE_MERGE] = "merge"};

static void count_hooks_locked(const ctx_context *c, const struct annex *a, ctx_snapshot_entry *e)
{
  if (a == NULL && state_is_done(context_state(c))) return; /* there lies something else */
  for (struct list_link *k = c->hooks.first; k != NULL; k = list_after(&c->hooks, k)) {
    if (a != NULL && k == &a->link) continue;
    bool sleeps = LIST_ELEMENT(k, struct hook, link)->flags == HOOK_SLEEPER;
    *(sleeps ? &e->waiters : &e->hooks) += 1;
  }
}

static void describe(struct found *f, int64_t now_ns)
{
  ctx_snapshot_entry *e = &f->entry;
  ctx_context *c = e->context;
  int64_t deadline_ns = ctx_deadline(c);
  e->kind = kinds[c->node.kind];
  e->err = ctx_err(c);
  e->left_ns = deadline_ns == CTX_NEVER ? CTX_NEVER
               : deadline_ns > now_ns   ? deadline_ns - now_ns
                                        : 0;
  e->age_ns = -1;
  ctx_name(c, f->name, sizeof f->name);
  CTX__LOCK(&c->node.lock);
  const struct annex *a = annex_of(c);
  count_hooks_locked(c, a, e);
  CTX__UNLOCK(&c->node.lock);
  if (a == NULL || a->born_ns == ANNEX_UNTRACKED) return;
  e->site = a->site;
  e->age_ns = now_ns - a->born_ns;
}

static void describe_all(ctx_snapshot *s)
{
  int64_t now_ns = clock_now(&s->engine->clock);
  for (size_t i = 0; i < s->count; i++) {
    describe(&s->found[i], now_ns);
    s->found[i].entry.name = s->found[i].name;
  }
}

/* ---- in order --------------------------------------------------------- */

/* After 'i' the next one, depth first; 0: that was the last. */
static size_t next_of(const struct found *found, size_t i)
{
  if (found[i].count > 0) return found[i].first;
  while (i != 0) {
    const struct found *up = &found[found[i].parent];
    if (i + 1 < up->first + up->count) return i + 1;
    i = found[i].parent;
  }
  return 0;
}

static bool put_in_order(ctx_snapshot *s)
{
  s->order = engine_alloc(s->engine, s->count * sizeof *s->order);
  if (s->order == NULL) return false;
  size_t n = 0, i = 0;
  do {
    struct found *f = &s->found[i];
    f->place = n;
    f->entry.parent = i != 0 ? s->found[f->parent].place : 0;
    s->order[n++] = i;
    i = next_of(s->found, i);
  } while (i != 0);
  return true;
}

ctx_snapshot *ctx_snapshot_take(ctx_context *c)
{
  if (engine_is_dead(c->engine)) {
    errno = ECHILD;
    return NULL;
  }
  ctx_context *end = context_ending(c);
  while (end == NULL && c->node.kind == NODE_VALUE) c = context_of_node(c->node.parent);
  ctx_snapshot *s = snapshot_new(c->engine);
  bool ok = s != NULL && make_room(s, 1);
  if (ok) add(s, ctx_retain(end != NULL ? end : c), NOBODY);
  for (size_t i = 0; ok && i < s->count; i++) ok = add_children(s, i, SIZE_MAX);
  if (ok && put_in_order(s)) {
    describe_all(s);
    return s;
  }
  ctx_snapshot_free(s);
  errno = ENOMEM;
  return NULL;
}

ctx_snapshot *snapshot_tracked(ctx_engine *e, size_t most)
{
  ctx_snapshot *s = snapshot_new(e);
  if (s != NULL && add_children(s, 0, most)) {
    describe_all(s);
    return s;
  }
  ctx_snapshot_free(s);
  return NULL;
}

size_t ctx_snapshot_count(const ctx_snapshot *s)
{
  return s->count;
}

const ctx_snapshot_entry *ctx_snapshot_at(const ctx_snapshot *s, size_t i)
{
  return &s->found[s->order != NULL ? s->order[i] : i].entry;
}
