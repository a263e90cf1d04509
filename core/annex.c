#include "platform.h"

#include <string.h>

#include "annex.h"
#include "text.h"

struct annex *annex_of(const ctx_context *c)
{
  if ((c->node.marks & MARK_ANNEX) == 0) return NULL;
  return LIST_ELEMENT(c->hooks.first, struct annex, link);
}

/* ---- where the end was asked for --------------------------------------- */

/* Whether 'c' has its site in the place of its hooks, of which it has none any more. */
static bool site_is_in_place(const ctx_context *c)
{
  return state_is_done(CTX__LOAD_RELAXED(&c->node.state)) && !c->node.inherited;
}

void annex_keep_site_locked(ctx_context *c, const char *site)
{
  struct annex *a = annex_of(c);
  if (a != NULL)
    a->end_site = site;
  else
    c->site = site;
}

const char *annex_site_locked(const ctx_context *c)
{
  const struct annex *a = annex_of(c);
  return a != NULL ? a->end_site : c->site;
}

/* ---- making ------------------------------------------------------------ */

/* Gives 'c' the annex 'a', unless it has got one: that which it has now. */
static struct annex *keep(ctx_context *c, struct annex *a)
{
  CTX__LOCK(&c->node.lock);
  struct annex *has = annex_of(c);
  if (has == NULL) {
    if (site_is_in_place(c)) {
      a->end_site = c->site;
      list_init(&c->hooks);
    }
    list_prepend(&c->hooks, &a->link);
    c->node.marks |= MARK_ANNEX;
    has = a;
  }
  CTX__UNLOCK(&c->node.lock);
  return has;
}

static struct annex *find(ctx_context *c)
{
  CTX__LOCK(&c->node.lock);
  struct annex *a = annex_of(c);
  CTX__UNLOCK(&c->node.lock);
  return a;
}

struct annex *annex_make(ctx_context *c)
{
  struct annex *has = find(c);
  if (has != NULL) return has;
  struct annex *a = engine_alloc(c->engine, sizeof *a);
  if (a == NULL) return NULL;
  *a = (struct annex){.context = c, .fd = CTX__FD_NONE, .born_ns = ANNEX_UNTRACKED};
  has = keep(c, a);
  if (has != a) engine_free(c->engine, a, sizeof *a);
  return has;
}

/* ---- tracking --------------------------------------------------------- */

/* A copy of the site that was set for the next context of this thread, or NULL; there is none
 * from now on. False: there is no memory. */
static bool take_site(ctx_engine *e, char **site)
{
  const char *set = CTX__SELF()->site;
  CTX__SELF()->site = NULL;
  *site = NULL;
  if (set == NULL) return true;
  size_t size = strlen(set) + 1;
  *site = engine_alloc(e, size);
  if (*site != NULL) memcpy(*site, set, size);
  return *site != NULL;
}

bool annex_track(ctx_context *c)
{
  ctx_engine *e = c->engine;
  char *site;
  if (!take_site(e, &site)) return false;
  int64_t born_ns = clock_now(&e->clock);
  struct annex *a = annex_make(c);
  if (a == NULL) {
    if (site != NULL) engine_free(e, site, strlen(site) + 1);
    return false;
  }
  a->site = site;
  a->born_ns = born_ns;
  return true;
}

void annex_publish(ctx_context *c)
{
  ctx_engine *e = c->engine;
  if (CTX__LOAD_RELAXED(&e->tracking) == 0) return;
  CTX__LOCK(&c->node.lock);
  struct annex *a = annex_of(c);
  if (a != NULL && a->born_ns != ANNEX_UNTRACKED) { /* race: it is tracked since its birth only */
    engine_lock(e);
    list_append(&e->tracked, &a->tracked);
    engine_unlock(e);
  }
  CTX__UNLOCK(&c->node.lock);
}

void annex_unpublish(ctx_context *c)
{
  if ((c->node.marks & MARK_ANNEX) == 0) return;
  CTX__LOCK(&c->node.lock); /* a walk may meet it yet */
  struct annex *a = annex_of(c);
  if (a->born_ns != ANNEX_UNTRACKED) {
    engine_lock(c->engine);
    if (list_linked(&a->tracked)) list_remove(&c->engine->tracked, &a->tracked);
    engine_unlock(c->engine);
  }
  CTX__UNLOCK(&c->node.lock);
}

void ctx_track_site(const char *site)
{
  CTX__SELF()->site = site;
}

void ctx_engine_track(ctx_engine *e, bool on)
{
  CTX__STORE(&e->tracking, on);
}

bool ctx_engine_tracks(const ctx_engine *e)
{
  return CTX__LOAD_RELAXED(&e->tracking) != 0;
}

/* ---- the end ---------------------------------------------------------- */

static void free_text(ctx_engine *e, char *text)
{
  if (text != NULL) engine_free(e, text, strlen(text) + 1);
}

static void close_fd(ctx_engine *e, struct annex *a)
{
  if (a->process == 0) return;
  CTX__FD_CLOSE(&a->fd);
  engine_count(e, COUNT_FDS, -1);
}

void annex_drop(ctx_context *c)
{
  struct annex *a = annex_of(c);
  if (a == NULL) return;
  ctx_engine *e = c->engine;
  list_remove(&c->hooks, &a->link);
  c->node.marks &= (uint8_t)~MARK_ANNEX;
  close_fd(e, a);
  free_text(e, a->name);
  free_text(e, a->site);
  engine_free(e, a, sizeof *a);
}

/* ---- names ------------------------------------------------------------ */

enum { NAME_MAX_LEN = 255 };

/* How much of 'name' is kept: not the half of a character in UTF-8. */
static size_t length_of(const char *name)
{
  size_t len = 0;
  while (len <= NAME_MAX_LEN && name[len] != '\0') len++;
  if (len <= NAME_MAX_LEN) return len;
  for (len = NAME_MAX_LEN; len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80;) len--;
  return len;
}

/* A copy of 'name', or NULL where that is none. False: there is no memory. */
static bool copy_name(ctx_engine *e, const char *name, char **to)
{
  size_t len = name != NULL ? length_of(name) : 0;
  *to = NULL;
  if (len == 0) return true;
  *to = engine_alloc(e, len + 1);
  if (*to == NULL) return false;
  memcpy(*to, name, len);
  (*to)[len] = '\0';
  return true;
}

int ctx_set_name(ctx_context *c, const char *name)
{
  ctx_engine *e = c->engine;
  char *text;
  if (engine_is_dead(e)) return ECHILD;
  if (!copy_name(e, name, &text)) return ENOMEM;
  struct annex *a = annex_make(c);
  if (a == NULL) {
    free_text(e, text);
    return ENOMEM;
  }
  CTX__LOCK(&c->node.lock);
  char *before = a->name;
  a->name = text;
  CTX__UNLOCK(&c->node.lock);
  free_text(e, before);
  return 0;
}

size_t ctx_name(const ctx_context *asked, char *to, size_t size)
{
  ctx_context *c = (ctx_context *)(uintptr_t)asked;
  struct text t;
  text_init(&t, to, size);
  if (engine_is_dead(c->engine)) return 0;
  CTX__LOCK(&c->node.lock);
  const struct annex *a = annex_of(c);
  if (a != NULL && a->name != NULL) text_add(&t, a->name);
  CTX__UNLOCK(&c->node.lock);
  return t.len;
}

uint64_t ctx_id(ctx_context *c)
{
  ctx_engine *e = c->engine;
  struct annex *a = engine_is_dead(e) ? NULL : annex_make(c);
  if (a == NULL) return 0;
  CTX__LOCK(&c->node.lock);
  if (a->id == 0) {
    engine_lock(e);
    a->id = ++e->last_id;
    engine_unlock(e);
  }
  uint64_t id = a->id;
  CTX__UNLOCK(&c->node.lock);
  return id;
}
