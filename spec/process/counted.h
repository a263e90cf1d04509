/*
 * counted - what a thread calls of ctx.h is counted
 *
 * Calls through a pointer are not. Include it before what calls.
 *
 * Knows ctx.h.
 */
#ifndef CTX_COUNTED_H
#define CTX_COUNTED_H

#include "ctx.h"

static _Thread_local int64_t calls; /* of this thread, so far */

#define ctx_after_func(...) (calls++, ctx_after_func(__VA_ARGS__))
#define ctx_background() (calls++, ctx_background())
#define ctx_cancel_at(...) (calls++, ctx_cancel_at(__VA_ARGS__))
#define ctx_cancel_from_signal(...) (calls++, ctx_cancel_from_signal(__VA_ARGS__))
#define ctx_cause_code(...) (calls++, ctx_cause_code(__VA_ARGS__))
#define ctx_cause_data(...) (calls++, ctx_cause_data(__VA_ARGS__))
#define ctx_cause_new(...) (calls++, ctx_cause_new(__VA_ARGS__))
#define ctx_cause_of(...) (calls++, ctx_cause_of(__VA_ARGS__))
#define ctx_cause_text(...) (calls++, ctx_cause_text(__VA_ARGS__))
#define ctx_deadline(...) (calls++, ctx_deadline(__VA_ARGS__))
#define ctx_done(...) (calls++, ctx_done(__VA_ARGS__))
#define ctx_engine_now(...) (calls++, ctx_engine_now(__VA_ARGS__))
#define ctx_engine_of(...) (calls++, ctx_engine_of(__VA_ARGS__))
#define ctx_err(...) (calls++, ctx_err(__VA_ARGS__))
#define ctx_fd(...) (calls++, ctx_fd(__VA_ARGS__))
#define ctx_hook_attach(...) (calls++, ctx_hook_attach(__VA_ARGS__))
#define ctx_hook_init(...) (calls++, ctx_hook_init(__VA_ARGS__))
#define ctx_hook_release(...) (calls++, ctx_hook_release(__VA_ARGS__))
#define ctx_release(...) (calls++, ctx_release(__VA_ARGS__))
#define ctx_retain(...) (calls++, ctx_retain(__VA_ARGS__))
#define ctx_timer_arm(...) (calls++, ctx_timer_arm(__VA_ARGS__))
#define ctx_timer_init(...) (calls++, ctx_timer_init(__VA_ARGS__))
#define ctx_value(...) (calls++, ctx_value(__VA_ARGS__))
#define ctx_wait(...) (calls++, ctx_wait(__VA_ARGS__))
#define ctx_with_cancel(...) (calls++, ctx_with_cancel(__VA_ARGS__))
#define ctx_with_timeout(...) (calls++, ctx_with_timeout(__VA_ARGS__))
#define ctx_with_timeout_cause(...) (calls++, ctx_with_timeout_cause(__VA_ARGS__))
#define ctx_with_value(...) (calls++, ctx_with_value(__VA_ARGS__))
#define ctx_without_cancel(...) (calls++, ctx_without_cancel(__VA_ARGS__))

#endif
