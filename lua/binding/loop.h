/*
 * loop - what runs next in this Lua state
 *
 * One loop a state. It owns a world: an engine without a thread, and the row of
 * entries that are ready to run, first come first. A run on a virtual clock puts
 * another world in front for as long as it lasts; then only what belongs to that
 * one runs.
 *
 *     drive:  poll the engine --> run what was ready by then, in order
 *                ^                        |
 *                |   nothing ready:       v
 *                +-- sleep to the next instant (virtual: jump there)
 *
 * An entry is a waiter that was woken (a task, or the main thread) or a hook that
 * has fired. Whoever drives is the main thread, inside a waiting call.
 *
 * Contexts end on any thread; what that means here comes by letter, and the loop's own
 * thread receives it. So all of this is only ever touched on the thread of its state.
 *
 * drive.h moves it. Knows platform.h, ctx.h, list.h, block.h, registry.h, mailbox.h, poller.h and
 * quota.h.
 */
#ifndef CTX_BINDING_LOOP_H
#define CTX_BINDING_LOOP_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "block.h"
#include "ctx.h"
#include "list.h"
#include "mailbox.h"
#include "poller.h"
#include "quota.h"

struct loop;
struct waiter;

/* Something to run; in the row at most once. While it runs the table of anchors lies at ENTRY_ANCHORS, and
 * there is room for ENTRY_STACK values. */
enum { ENTRY_ANCHORS = 1, ENTRY_STACK = 32 };

struct entry {
  struct list_link link;
  struct list_link fired; /* in its world's row of those to be anchored */
  void (*run)(lua_State *L, struct entry *e);
};

struct world {
  struct loop *loop;   /* NULL: not put in front yet, or that is gone; without an engine then */
  struct world *outer; /* the one that it was put in front of; held */
  ctx_engine *engine;  /* NULL: closed */
  bool is_virtual;
  bool listens;         /* a signal can end what is waited for */
  size_t polls;         /* waiters that wait for a descriptor */
  struct list ready;    /* of entries */
  size_t ready_count;   /* its length */
  struct list tasks;    /* waiters that have not ended, for reports */
  struct list fired;    /* entries that are remembered by their address, to be anchored */
  struct list hooks;    /* of on_done, whose contexts have not ended */
  struct waiter *idle;  /* to be woken when nothing else is ready, before time moves */
  bool progress;        /* something has become ready otherwise than by yielding */
  unsigned long rounds; /* in a row without progress, at one instant */
};

/* The cause of the last cancel that gave none, which is where that was called. */
struct plain {
  ctx_cause *cause;      /* a reference; NULL: none yet */
  char file[LUA_IDSIZE]; /* as in the text of the cause */
  int line;
};

/* Loops and worlds are blocks: the loop holds its worlds. */
struct loop {
  struct mailbox *mailbox;             /* a reference; NULL: the state is being closed */
  struct poller *poller;               /* NULL: no descriptor has been waited for yet */
  void (*disconnect)(struct world *w); /* lets go of all that waits in a world; see wait.h */
  void (*receive_links)(lua_State *L); /* frees 'links'; see link.h */
  void (*drop_hooks)(struct world *w); /* and of its hooks; see on_done.h */
  struct world *world;                 /* the one in front; held */
  struct waiter *current;              /* the task that runs; NULL: the main thread */
  struct waiter *main;                 /* the main thread as a waiter; held */
  ctx_context *root;                   /* what the host has given, a reference; NULL: nothing */
  const void *begun;                   /* the scope of the run that begins on the main thread */
  struct list links;                   /* that have come home; see link.h */
  struct plain plain;                  /* see handle_end */
  bool outside;                        /* C can end what is waited for on the real clock */
  bool driving;                        /* somebody is inside drive, */
  bool entering;                       /* or about to: it is for nobody else to call */
  bool main_ready;                     /* the main thread's entry has come up */
  bool failed;                         /* an error lies ready to be raised by drive */
  bool was_failure;                    /* the error that drive has raised last was such a one */
  lua_Integer last_task;               /* the number of the newest task */
  lua_Integer places;                  /* among the anchors that tasks have had; see keep.h */
  lua_Integer free_place;              /* the first of a row of these that are free; 0: none */
  struct quota contexts;               /* that have handles made since there is a limit; */
  struct quota tasks;                  /* that have not ended; */
  struct quota waiting;                /* hooks whose contexts have not */
};

/* User values of the loop's userdata. */
enum { LOOP_ANCHORS = 1, LOOP_WORLD, LOOP_ERROR, LOOP_ROOT, LOOP_VALUES = LOOP_ROOT };

/* User values of a world's. */
enum { WORLD_BACKGROUND = 1, WORLD_TODO, WORLD_OUTER, WORLD_ANCHORS, WORLD_VALUES = WORLD_ANCHORS };

/* The loop of this state; raises when it cannot be found, because a script has tampered with it or the
 * state closes. One that this thread has found before is not looked for again as long as it lives. */
struct loop *loop_of(lua_State *L);

/* The task that runs from now on, in the coroutine 'co', as which loop_of knows it at once; both NULL: none. */
void loop_set_current(struct loop *l, struct waiter *w, lua_State *co);

/* The same where this thread has found it before; else NULL: it is to be looked for. */
struct loop *loop_known(lua_State *L);

/* What the registry of this state has for its loop now; NULL: nothing, or what a script has put there. */
struct loop *loop_find(lua_State *L);

/* As loop_find, and pushes its user value 'n'; NULL: nothing is pushed. Raises nothing. */
struct loop *loop_find_value(lua_State *L, int n);

/* As loop_of, and the engine of its world in front: both raise when the state that closes has closed
 * that, too. */
struct loop *loop_check(lua_State *L);
ctx_engine *loop_engine(lua_State *L);

/* The poller of this state, made when there is none; raises when it cannot be. */
struct poller *loop_poller(lua_State *L);

/* Pushes the user value 'n' of the loop, or of the world in front; sets it to what is at
 * 'index'. */
void loop_push_value(lua_State *L, int n);
void loop_set_value(lua_State *L, int n, int index);
void world_push_value(lua_State *L, int n);

/* Makes the loop, once per state. */
void loop_open(lua_State *L);

/* Puts a world of its own clock in front, and takes it away again, which does not allocate:
 * its engine is closed, and who still waits in it is let go. */
struct world *world_open(lua_State *L, bool is_virtual);
void world_close(lua_State *L);

/* Receives what has been posted: the notices of contexts that have ended put their entries
 * into the row, in the order of the ends. Before anything else is put there that has come
 * to be ready by itself; needs no Lua. */
void loop_receive(struct loop *l);

/* Puts 'e' at the end of the row; takes it out. */
void world_make_ready(struct world *w, struct entry *e);
void world_make_unready(struct world *w, struct entry *e);

/* Keeps the error on top of the stack, which it pops, for who drives to raise. */
void loop_fail(lua_State *L);

#endif
