/*
 * origin - who ended a context, where and when
 *
 * The context that ended first knows: its own kind of end, instant and cause are published
 * with its state. The place in the source lies where its hooks were, or in its annex.
 */
#include "platform.h"

#include "annex.h"
#include "cause.h"
#include "origin.h"
#include "text.h"

static const char *site_of(ctx_context *first)
{
  const char *in_cause = first->node.end.cause != NULL ? cause_site(first->node.end.cause) : NULL;
  if (in_cause != NULL || engine_is_dead(first->engine)) return in_cause;
  CTX__LOCK(&first->node.lock);
  const char *site = annex_site_locked(first);
  CTX__UNLOCK(&first->node.lock);
  return site;
}

bool ctx_origin_of(const ctx_context *c, ctx_origin *origin)
{
  int err = ctx_err(c);
  ctx_context *ended = context_ending((ctx_context *)(uintptr_t)c);
  if (err == 0 || !state_is_done(context_state(ended))) return false;
  ctx_context *first = context_of_node(node_origin(&ended->node));
  *origin = (ctx_origin){
    .context = first,
    .cause = ctx_cause_of(first),
    .site = site_of(first),
    .at_ns = first->node.ended_ns,
    .kind = (ctx_origin_kind)first->node.ended_by,
    .err = err,
  };
  return true;
}

/* ---- for people ------------------------------------------------------- */

static const char *const what_happened[] = {
  "has ended",
  "was canceled",
  "reached its deadline",
  "was canceled by a signal",
  "was ended after its parent",
  "was canceled because a member failed",
  "was canceled by the host",
};

void origin_add_who(struct text *t, ctx_context *c)
{
  char name[256];
  bool is_named = ctx_name(c, name, sizeof name) > 0;
  uint64_t id = is_named ? 0 : ctx_id(c);
  if (is_named) {
    text_add(t, "\"");
    text_add_line(t, name);
    text_add(t, "\"");
  } else if (id != 0) {
    text_add(t, "context ");
    text_add_number(t, id);
  } else {
    text_add(t, "a context");
  }
}

static void add_why(struct text *t, const ctx_origin *o)
{
  const char *err = ctx_strerror(o->err), *why = ctx_cause_text(o->cause, NULL);
  text_add(t, err);
  if (why == err) return;
  text_add(t, ": ");
  text_add_line(t, why);
}

size_t ctx_origin_text(const ctx_context *c, char *text, size_t size)
{
  struct text t;
  ctx_origin o;
  text_init(&t, text, size);
  if (!ctx_origin_of(c, &o)) return 0;
  add_why(&t, &o);
  text_add(&t, " (");
  origin_add_who(&t, o.context);
  text_add(&t, " ");
  text_add(&t, what_happened[o.kind]);
  if (o.site != NULL) {
    text_add(&t, " at ");
    text_add_line(&t, o.site);
  }
  text_add(&t, ", ");
  text_add_seconds(&t, clock_now(&c->engine->clock) - o.at_ns);
  text_add(&t, " s ago)");
  return t.len;
}

/* ---- the chain -------------------------------------------------------- */

static void add_deadline(struct text *t, const ctx_context *c, int64_t now_ns)
{
  int64_t deadline_ns = ctx_deadline(c);
  if (deadline_ns == CTX_NEVER) {
    text_add(t, ".WithDeadline(never");
  } else {
    text_add(t, ".WithDeadline(");
    text_add_seconds(t, deadline_ns);
    text_add(t, " [");
    text_add_seconds(t, deadline_ns > now_ns ? deadline_ns - now_ns : 0);
    text_add(t, "s]");
  }
  text_add(t, ")");
}

static void add_link(struct text *t, ctx_context *c, int64_t now_ns)
{
  char name[256];
  switch (c->node.kind) {
  case NODE_BACKGROUND: text_add(t, "context.Background"); break;
  case NODE_TODO: text_add(t, "context.TODO"); break;
  case NODE_DETACHED: text_add(t, ".WithoutCancel"); break;
  case NODE_VALUE: text_add(t, ".WithValue"); break;
  case NODE_CANCEL: text_add(t, ".WithCancel"); break;
  case NODE_LISTENER: text_add(t, ".NotifySignals"); break;
  case NODE_GRACE: text_add(t, ".WithGrace"); break;
  case NODE_MERGE: text_add(t, ".Merge"); break;
  default: add_deadline(t, c, now_ns); break;
  }
  if (ctx_name(c, name, sizeof name) == 0) return;
  text_add(t, "\"");
  text_add_line(t, name);
  text_add(t, "\"");
}

/* The parent of 'c' in its chain; a todo is a root, too. */
static ctx_context *above(const ctx_context *c)
{
  return c->node.kind == NODE_TODO || c->node.parent == NULL ? NULL
                                                             : context_of_node(c->node.parent);
}

size_t ctx_text(const ctx_context *c, char *text, size_t size)
{
  struct text t;
  size_t n = 0;
  ctx_engine *e = c->engine;
  int64_t now_ns = clock_now(&e->clock);
  text_init(&t, text, size);
  for (const ctx_context *k = c; k != NULL; k = above(k)) n++;
  ctx_context **chain = engine_is_dead(e) ? NULL : engine_alloc(e, n * sizeof(ctx_context *));
  if (chain == NULL) {
    text_add(&t, "...");
    add_link(&t, (ctx_context *)(uintptr_t)c, now_ns);
    return t.len;
  }
  size_t i = n;
  for (ctx_context *k = (ctx_context *)(uintptr_t)c; k != NULL; k = above(k)) chain[--i] = k;
  for (i = 0; i < n; i++) add_link(&t, chain[i], now_ns);
  engine_free(e, chain, n * sizeof(ctx_context *));
  return t.len;
}
