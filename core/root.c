/*
 * root - where a tree of contexts begins: engines, and the two contexts in each
 *
 * An engine lies in one block with its background and todo. The block goes with
 * the last reference on the background, of which every context below, and the
 * open engine itself, holds one.
 */
#include "platform.h"

#include "context.h"
#include "driver.h"
#include "hook.h"
#include "interrupt.h"

struct root {
  ctx_engine engine; /* first: the block is freed by this address */
  ctx_context background;
  ctx_context todo;
};

static void root_init(struct root *r, const ctx_engine_options *options)
{
  engine_init(&r->engine, options);
  r->engine.block_size = sizeof *r;
  r->engine.background = &r->background;
  r->engine.todo = &r->todo;
  context_init_root(&r->background, &r->engine, NODE_BACKGROUND, NULL);
  context_init_root(&r->todo, &r->engine, NODE_TODO, &r->background);
}

/* ---- the default engine ----------------------------------------------- */

static struct root standard;
static ctx__once standard_once = CTX__ONCE_INIT;

static void open_standard(void)
{
  root_init(&standard, &(ctx_engine_options){0});
  node_immortalize(&standard.background.node);
  node_immortalize(&standard.todo.node);
}

ctx_context *ctx_background(void)
{
  CTX__ONCE(&standard_once, open_standard);
  return &standard.background;
}

ctx_context *ctx_todo(void)
{
  CTX__ONCE(&standard_once, open_standard);
  return &standard.todo;
}

/* ---- engines of the host ---------------------------------------------- */

ctx_engine *ctx_engine_open(const ctx_engine_options *options)
{
  ctx_engine_options none = {0};
  if (options == NULL) options = &none;
  int wrong = engine_check_options(options);
  if (wrong != 0) {
    errno = wrong;
    return NULL;
  }
  struct root *r =
    options->alloc != NULL ? options->alloc(options->arg, sizeof *r) : CTX__ALLOC(sizeof *r);
  if (r == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  root_init(r, options);
  return &r->engine;
}

int ctx_engine_close(ctx_engine *e)
{
  if (e == &standard.engine) return EINVAL;
  if (engine_is_dead(e)) return ECHILD;
  if (engine_calling(e)) return EDEADLK;
  interrupt_close(e);
  engine_close(e);
  driver_stop(e);
  hook_drop_all(e, &e->queue);
  for (ctx_context *c; (c = interrupt_take(e)) != NULL;) ctx_release(c);
  ctx_context *background = e->background;
  ctx_release(e->todo);
  ctx_release(background);
  return 0;
}

ctx_context *ctx_engine_background(ctx_engine *e)
{
  return e->background;
}

ctx_context *ctx_engine_todo(ctx_engine *e)
{
  return e->todo;
}

#define TEXT(x) #x
#define DOTTED(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *ctx_version(void)
{
  return DOTTED(CTX_VERSION_MAJOR, CTX_VERSION_MINOR, CTX_VERSION_PATCH);
}
