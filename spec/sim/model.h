/*
 * model - what the rules say, as a tree of plain structs
 *
 * Naive on purpose: it looks at all nodes where the engine follows links, and keeps no timer.
 * Deadlines are computed when they are asked for; an end marks what is below, node by node, until
 * nothing changes. Small enough to be read against docs/semantics.md.
 *
 * Who is found over first where two deadlines are equal is not modelled: program.c tells the
 * model which end a merge has taken, after having looked whether it might.
 *
 * Knows nothing of ctx.h.
 */
#ifndef CTX_SIM_MODEL_H
#define CTX_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { NODES = 40, PARENTS = 3, KEYS = 4 };

#define NEVER INT64_MAX

enum kind { FREE, ROOT, CANCEL, DEADLINE, KEEP, VALUE, DETACHED, GRACE, MERGE };
enum { LIVE, CANCELED, EXCEEDED };                         /* err */
enum { BY_NOBODY, BY_CANCEL, BY_DEADLINE, BY_PARENT = 4 }; /* as ctx_origin_kind */

struct node {
  enum kind kind;
  int parents;
  struct node *parent[PARENTS];
  int held;            /* by the program, by hooks, and by children */
  int64_t wish_ns;     /* its own deadline */
  int64_t grace_ns;    /* of a GRACE */
  int64_t deadline_ns; /* once it is done */
  int key;
  int value;
  int cause; /* of its deadline; 0: none */

  int err;
  int why;             /* the cause; 0: the err itself */
  struct node *origin; /* who ended first; an origin is held by who is below it */
  int by;
  int64_t at_ns;
};

struct model {
  struct node nodes[NODES];
  int64_t now_ns;
};

/* The one that 'n' ends with: itself, but for values. */
struct node *model_ending(struct node *n);

/* Its earliest deadline, or the one it had. */
int64_t model_deadline(struct node *n);

/* Looks up a key; NULL: nobody has it. */
const struct node *model_value(const struct node *n, int key);

/* Whether 'n' is below 'above', or that itself, so that it ends with it. */
bool model_ends_with(const struct node *n, const struct node *above);

/* A question: ends who owns a deadline that has passed. The err. */
int model_err(struct model *m, struct node *n);

/* Ends 'n', which lives. */
void model_end(struct model *m, struct node *n, int err, int why, int by, int64_t at_ns);

/* The next one whose own deadline has passed and is in force, the earliest first; or NULL. */
struct node *model_due(struct model *m);
void model_expire(struct model *m, struct node *n);

/* A node with these parents; NULL: there is no place for it. */
struct node *model_new(struct model *m, enum kind kind, int parents, struct node *parent[]);

/* Its birth, once what it was made with stands in it. */
void model_bear(struct model *m, struct node *n);

/* One who holds it less; frees it, and then those that only it kept. How many values went. */
int model_release(struct node *n);

#endif
