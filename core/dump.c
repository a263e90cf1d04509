/*
 * dump - the live tree on paper: as text, for Graphviz, and the oldest of it
 *
 * Written from a snapshot, with no lock held.
 */
#include "platform.h"

#include <stdio.h>

#include "origin.h"
#include "snapshot.h"

/* ---- one context ------------------------------------------------------ */

static void add_count(struct text *t, size_t n, const char *what)
{
  if (n == 0) return;
  text_add(t, ", ");
  text_add_number(t, n);
  text_add(t, " ");
  text_add(t, what);
  if (n > 1) text_add(t, "s");
}

static void add_end(struct text *t, const ctx_snapshot_entry *e)
{
  text_add(t, ", ");
  if (e->err == 0)
    text_add(t, "live");
  else
    text_add_line(t, ctx_cause_text(ctx_cause_of(e->context), NULL));
}

static void describe(struct text *t, const ctx_snapshot_entry *e)
{
  text_add(t, e->kind);
  text_add(t, " ");
  origin_add_who(t, e->context);
  add_end(t, e);
  if (e->left_ns != CTX_NEVER) {
    text_add(t, ", ");
    text_add_seconds(t, e->left_ns);
    text_add(t, " s left");
  }
  if (e->age_ns >= 0) {
    text_add(t, ", ");
    text_add_seconds(t, e->age_ns);
    text_add(t, " s old");
  }
  if (e->site != NULL) {
    text_add(t, ", made at ");
    text_add_line(t, e->site);
  }
  add_count(t, e->hooks, "hook");
  add_count(t, e->waiters, "waiter");
}

/* ---- all of a snapshot ------------------------------------------------- */

static void indent(FILE *f, size_t depth)
{
  for (size_t i = 0; i < depth && i < 60; i++) fputs("  ", f); /* deeper ones stay in sight */
}

static int write_lines(const ctx_snapshot *s, FILE *f)
{
  char line[1024];
  struct text t;
  for (size_t i = 0; i < ctx_snapshot_count(s); i++) {
    const ctx_snapshot_entry *e = ctx_snapshot_at(s, i);
    text_init(&t, line, sizeof line);
    describe(&t, e);
    indent(f, e->depth);
    fprintf(f, "%s\n", line);
  }
  return ferror(f) != 0 ? EIO : 0;
}

/* A label in quotes: what would end it is escaped. */
static void write_label(FILE *f, const char *text)
{
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', f);
    fputc(*text, f);
  }
}

static void write_node(const ctx_snapshot_entry *e, size_t i, FILE *f)
{
  char line[1024];
  struct text t;
  text_init(&t, line, sizeof line);
  describe(&t, e);
  fprintf(f, "  n%zu [label=\"", i);
  write_label(f, line);
  fprintf(f, "\"%s];\n", e->err != 0 ? ", style=dashed" : "");
}

static int write_dot(const ctx_snapshot *s, FILE *f)
{
  fputs("digraph contexts {\n  node [shape=box];\n", f);
  for (size_t i = 0; i < ctx_snapshot_count(s); i++) {
    write_node(ctx_snapshot_at(s, i), i, f);
    if (i > 0) fprintf(f, "  n%zu -> n%zu;\n", ctx_snapshot_at(s, i)->parent, i);
  }
  fputs("}\n", f);
  return ferror(f) != 0 ? EIO : 0;
}

static int dump(ctx_snapshot *s, int (*write)(const ctx_snapshot *, FILE *), FILE *f)
{
  if (s == NULL) return errno;
  int failed = write(s, f);
  ctx_snapshot_free(s);
  return failed;
}

int ctx_dump(ctx_context *c, FILE *f)
{
  return dump(ctx_snapshot_take(c), write_lines, f);
}

int ctx_dump_dot(ctx_context *c, FILE *f)
{
  return dump(ctx_snapshot_take(c), write_dot, f);
}

int ctx_dump_oldest(ctx_engine *e, size_t n, FILE *f)
{
  return engine_is_dead(e) ? ECHILD : dump(snapshot_tracked(e, n), write_lines, f);
}
