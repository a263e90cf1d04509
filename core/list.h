/*
 * list - an intrusive, circular, doubly linked list
 *
 * The link lies in the element, so that adding and removing cannot fail. The
 * head is one pointer, because every context carries two of them.
 *
 *        list.first --> A <--> B <--> C
 *                       ^_____________|        first->prev is the last
 *
 * Always true: a link outside any list has next == NULL; a list knows its
 * elements, an element does not know its list.
 *
 * Knows nothing. Whoever owns the list guards it.
 */
#ifndef CTX_LIST_H
#define CTX_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
  struct list_link *next;
  struct list_link *prev;
};

struct list {
  struct list_link *first; /* NULL when empty */
};

/* The element that 'link' lies in. */
#define LIST_ELEMENT(link, type, member) ((type *)(void *)((char *)link - offsetof(type, member)))

static inline void list_init(struct list *l)
{
  l->first = NULL;
}

static inline bool list_empty(const struct list *l)
{
  return l->first == NULL;
}

static inline bool list_linked(const struct list_link *k)
{
  return k->next != NULL;
}

/* Of a list that is not empty. */
static inline struct list_link *list_last(const struct list *l)
{
  return l->first->prev;
}

/* The element after 'k', or NULL when 'k' is the last. */
static inline struct list_link *list_after(const struct list *l, const struct list_link *k)
{
  return k->next != l->first ? k->next : NULL;
}

/* Puts 'k' after 'at', which lies in a list and stays where it is. */
static inline void list_link_after(struct list_link *at, struct list_link *k)
{
  k->prev = at;
  k->next = at->next;
  at->next->prev = k;
  at->next = k;
}

static inline void list_append(struct list *l, struct list_link *k)
{
  if (l->first != NULL) {
    list_link_after(l->first->prev, k);
  } else {
    k->next = k->prev = k;
    l->first = k;
  }
}

/* Puts 'k' before all others. */
static inline void list_prepend(struct list *l, struct list_link *k)
{
  list_append(l, k);
  l->first = k;
}

/* Takes 'k' out of 'l', in which it lies. */
static inline void list_remove(struct list *l, struct list_link *k)
{
  if (k->next == k) {
    l->first = NULL;
  } else {
    k->prev->next = k->next;
    k->next->prev = k->prev;
    if (l->first == k) l->first = k->next;
  }
  k->next = k->prev = NULL;
}

/* Takes the first element out; NULL when there is none. */
static inline struct list_link *list_pop(struct list *l)
{
  struct list_link *k = l->first;
  if (k != NULL) list_remove(l, k);
  return k;
}

#endif
