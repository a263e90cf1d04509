#include "platform.h"

#include <string.h>

#include "cause.h"

struct ctx_cause {
  ctx__atomic refs; /* 0: not counted, lives for ever */
  int code;
  void *data;
  void (*drop)(void *data);
  size_t len;
  const char *text; /* in the same block; 'len' bytes and a NUL */
};

static const ctx_cause canceled = {
  .code = CTX_CANCELED, .len = sizeof "context canceled" - 1, .text = "context canceled"};

static const ctx_cause deadline_exceeded = {.code = CTX_DEADLINE_EXCEEDED,
                                            .len = sizeof "context deadline exceeded" - 1,
                                            .text = "context deadline exceeded"};

ctx_cause *cause_of_err(int err)
{
  const ctx_cause *cause = err == CTX_CANCELED ? &canceled : &deadline_exceeded;
  return (ctx_cause *)(uintptr_t)cause;
}

const char *ctx_strerror(int err)
{
  if (err == 0) return "no error";
  if (err == CTX_CANCELED || err == CTX_DEADLINE_EXCEEDED) return cause_of_err(err)->text;
  return "unknown context error";
}

ctx_cause *ctx_cause_new(const char *text, size_t len, int code, void *data, void (*drop)(void *))
{
  if (len > SIZE_MAX - sizeof(ctx_cause) - 1) {
    errno = ENOMEM;
    return NULL;
  }
  ctx_cause *cause = CTX__ALLOC(sizeof *cause + len + 1);
  if (cause == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  char *copy = (char *)(cause + 1);
  if (len > 0) memcpy(copy, text, len);
  copy[len] = '\0';
  *cause = (ctx_cause){1, code, data, drop, len, copy};
  return cause;
}

ctx_cause *ctx_cause_retain(ctx_cause *cause)
{
  if (cause != NULL && CTX__LOAD_RELAXED(&cause->refs) != 0) CTX__ADD(&cause->refs, 1);
  return cause;
}

void ctx_cause_release(ctx_cause *cause)
{
  if (cause == NULL || CTX__LOAD_RELAXED(&cause->refs) == 0) return;
  if (CTX__SUB_RELEASE(&cause->refs, 1) != 1) return;
  CTX__FOREIGN();
  if (cause->drop != NULL) cause->drop(cause->data);
  CTX__FREE(cause);
}

const char *ctx_cause_text(const ctx_cause *cause, size_t *len)
{
  if (len != NULL) *len = cause->len;
  return cause->text;
}

int ctx_cause_code(const ctx_cause *cause)
{
  return cause->code;
}

void *ctx_cause_data(const ctx_cause *cause)
{
  return cause->data;
}
