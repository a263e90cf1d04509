--- Contexts for Lua 5.4: the news that work is to end, and why; the instant by which it must have
-- ended; the values of the request; handed down a tree of tasks.
--
-- Seconds are the only unit of time. Wrong arguments raise; expected failures return `nil, err`. A
-- function whose first argument is a context is a method as well: `ctx.with_cancel(c)` is
-- `c:with_cancel()`, and `c:done()` is `ctx.done(c)`.
--
-- A wait that is given a context looks at that one alone, and answers `nil, err` when it ends. One that is
-- given none, or seconds, watches the current context too, and raises its err.
--
-- A cancel function (`ctx.cancel`) ends the context that it was made with, and takes a cause; it is true for
-- the call that was the one. A limit (`ctx.limit`) is seconds or a context.
--
-- There are two errors, `ctx.CANCELED` and `ctx.DEADLINE_EXCEEDED`, one object each: compare them by `==`.
-- They print as Go's do, and have the fields `timeout`, `temporary` (booleans) and `code` (`"canceled"`,
-- `"deadline_exceeded"`).
--
-- This file is for editors (LuaCATS) and for `make docs`; nobody loads it.
--
-- @module ctx
---@meta ctx
local ctx = {}

--- The error of a context that was canceled.
---@type ctx.error
ctx.CANCELED = nil

--- The error of a context whose deadline has passed.
---@type ctx.error
ctx.DEADLINE_EXCEEDED = nil

--- The version, as "0.1.0".
---@type string
ctx.VERSION = nil

--- Making contexts
-- @section making

--- The root that never ends: that of this state, inside `ctx.run{clock = "virtual"}` that of the run.
---@return ctx.context
function ctx.background() end

--- The same for who does not know yet which context to pass; it prints differently.
---@return ctx.context
function ctx.todo() end

--- What a C host has given to this state, else its background.
---@return ctx.context
function ctx.root() end

--- The context of the running task; on the main thread the root.
---@return ctx.context
function ctx.current() end

--- A child that ends when its cancel function is called, or with its parent.
---@param parent ctx.context
---@return ctx.context c
---@return ctx.cancel cancel
function ctx.with_cancel(parent) end

--- A child that ends after some seconds at the latest.
---@param parent ctx.context
---@param seconds number `math.huge`: never
---@param cause? any what `c:cause()` is when that comes
---@return ctx.context c
---@return ctx.cancel cancel
function ctx.with_timeout(parent, seconds, cause) end

--- A child that ends at an instant at the latest.
---@param parent ctx.context
---@param when number on the clock of @{now}; @{wall} converts a time of day
---@param cause? any
---@return ctx.context c
---@return ctx.cancel cancel
function ctx.with_deadline(parent, when, cause) end

--- A child in which a key has a value. It ends as its parent does.
---@param parent ctx.context
---@param key any anything but nil and NaN; compared raw
---@param value any
---@return ctx.context c
function ctx.with_value(parent, key, value) end

--- A context with the values of its parent, which does not end with it. With options it has an end of its
-- own, and a cancel function: the parent's deadline is kept, or it ends so many seconds after the parent.
---@param parent ctx.context
---@param options? {deadline?: boolean, grace?: number} one of the two
---@return ctx.context c
---@return ctx.cancel? cancel
function ctx.without_cancel(parent, options) end

--- A context that ends with the first of several. Its values are those of the first, then of the others.
---@param parent ctx.context
---@param ... ctx.context
---@return ctx.context c
---@return ctx.cancel cancel
function ctx.merge(parent, ...) end

--- A child that ends at the first of some signals; its cause names the signal.
---@param parent ctx.context
---@param ... string `"int"`, `"term"`, `"hup"`, `"usr1"` and the like
---@return ctx.context c
---@return ctx.cancel cancel
function ctx.with_signal(parent, ...) end

--- Moves the deadline of the context that a cancel function belongs to, and of all below it.
---@param cancel ctx.cancel of @{with_timeout} or @{with_deadline}
---@param seconds number from now
---@return boolean moved false: it is done
function ctx.extend(cancel, seconds) end

--- Asking
-- @section asking

--- Whether a value is one of the two errors: for handlers of `pcall`.
---@param e any
---@return boolean
function ctx.is_canceled(e) end

--- The instant on the clock that deadlines are on.
---@return number seconds
function ctx.now() end

--- The instant on that clock of a time of `os.time()`.
---@param t number
---@return number instant
function ctx.wall(t) end

--- Says whether it is to be recorded where and when contexts and tasks are made: for debugging. Then a
-- warning (`lua5.4 -W`) also tells of a cancel function that is lost while tasks run which only it could end.
---@param on boolean
function ctx.track(on) end

--- Waiting
-- @section waiting

--- Sleeps, watching the current context.
-- @raise the err of that
---@param seconds number
function ctx.sleep(seconds) end

--- Lets every other task that is ready run once.
-- @raise the err of the current context
function ctx.yield() end

--- Waits until one of the candidates is ready, and takes that one alone. A context that is done comes
-- first, then what is listed first.
-- @raise the err of the current context, where no context is listed
---@param ... ctx.context|ctx.channel|ctx.sender|ctx.task|ctx.group|number the last may be a limit in seconds
---@return any candidate nil at the limit
---@return any ... its values
function ctx.select(...) end

--- Tasks
-- @section tasks

--- Runs `fn(root, ...)` as the main task, and joins all tasks that it starts. The first error cancels root,
-- and is raised again.
---@param options {clock?: "virtual"} may be left out
---@param fn fun(root: ctx.context, ...): ...
---@param ... any
---@return any ...
---@overload fun(fn: fun(root: ctx.context, ...): ...): ...
function ctx.run(options, fn, ...) end

--- As `coroutine.wrap`, for functions that wait.
---@param fn fun(...): ...
---@return fun(...): ...
function ctx.wrap(fn) end

--- Calls `fn(...)` so that it may wait although the current context is done: for clean-up.
---@param seconds number how long at most
---@param fn fun(...): ...
---@param ... any
---@return any ...
function ctx.shield(seconds, fn, ...) end

--- A closable value that calls `fn(err)` when its block is left.
---@param fn fun(err: any)
---@return any closable
function ctx.defer(fn) end

--- Makes a channel.
---@param n? integer places in its buffer; with 0 a send waits until its value is received
---@return ctx.channel
function ctx.channel(n) end

--- Makes a semaphore.
---@param n integer tokens
---@return ctx.semaphore
function ctx.semaphore(n) end

--- A context, as userdata. `tostring` shows its chain, `==` compares contexts. It has `<close>`, which
-- cancels what `with_cancel`, `with_timeout`, `with_deadline`, `merge` and the like have made.
---@alias ctx.limit number|ctx.context
---@class ctx.context
local context = {}

--- Whether it has ended.
---@return boolean
function context:done() end

--- How it has ended.
---@return ctx.error? err nil while it lives
function context:err() end

--- Why it has ended: what the canceler gave, else the err.
---@return any cause nil while it lives
function context:cause() end

--- True, or raises the err: for loops that compute.
---@return true
function context:check() end

--- Who has ended it, how, where and when: a table whose `tostring` is one line. Its fields are `kind`
-- (`"explicit"`, `"deadline"`, `"signal"`, `"parent"`, `"member"`, `"host"`), `name` and `id` of the context
-- that ended first, `site` (the line of the canceler, where known), `at` (the instant) and `cause`.
---@return ctx.origin? origin nil while it lives
function context:origin() end

--- The instant of its earliest deadline, its own or one from above.
---@return number? instant nil: there is none
function context:deadline() end

--- How many seconds are left until then, never below 0.
---@return number? seconds nil: there is no deadline
function context:timeout() end

--- What the nearest context, from this one upwards, holds for a key.
---@param key any
---@return any value
function context:value(key) end

--- Its name; or gives it one, for people.
---@param name? string
---@return any name or the context, where a name was given
function context:name(name) end

--- The live contexts below it, as text, with the tasks that wait and where.
---@return string
function context:dump() end

--- The same as a table, with those below in its sequence. Its fields are `kind`, `name`, `id`, `cause`,
-- `left` (seconds to its deadline), `hooks`, `waiters`, and where contexts are tracked `age` and `site`.
---@return ctx.tree
function context:tree() end

--- The same for Graphviz.
---@return string
function context:dot() end

--- A descriptor that is readable once it is done, for the polls of others. It is the context's.
---@return integer
function context:pollfd() end

--- The same, as LuaSocket asks for it.
---@return integer
function context:getfd() end

--- `"r"`: what to poll that descriptor for.
---@return string
function context:events() end

--- Whether it is done, and no poll is needed, as LuaSocket asks.
---@return boolean
function context:dirty() end

--- Waits until it is done.
---@param limit? ctx.limit 0: does not wait
---@return boolean done false: the limit has passed
function context:wait(limit) end

--- Sleeps, unless it ends before.
---@param seconds number
---@return true? slept
---@return ctx.error? err it has ended
function context:sleep(seconds) end

--- Waits until a descriptor is ready.
---@param x integer|table|userdata a descriptor, or an object with `pollfd()` or `getfd()`
---@param mode "r"|"w"|"rw"
---@param limit? ctx.limit
---@return boolean? ready false: the limit has passed
---@return any err of this context, or `"closed"`
function context:wait_fd(x, mode, limit) end

--- Starts a task that runs `fn(c, ...)`. An error in it is fatal to the run, unless it is the err of its own
-- context, which has ended.
---@param fn fun(c: ctx.context, ...)
---@param ... any
---@return ctx.task
function context:go(fn, ...) end

--- The same, whose outcome is for who joins it.
---@param fn fun(c: ctx.context, ...): ...
---@param ... any
---@return ctx.task
function context:async(fn, ...) end

--- Runs a function once, when this context has ended, as a task of its own.
---@param fn fun(err: ctx.error, cause: any)
---@return fun(): boolean stop true: it will not run
function context:on_done(fn) end

--- Makes a group below it.
---@param options? {limit?: integer} how many members may run at once
---@return ctx.group
function context:group(options) end

--- Calls `fn(...)` with this as the current context, in a task of its own, and waits for it.
---@param fn fun(...): ...
---@param ... any
---@return any ...
function context:with(fn, ...) end

--- A task: a coroutine that runs a function. Made by @{context:go} and @{context:async}.
---@alias ctx.cancel fun(cause?: any): boolean
---@class ctx.task
local task = {}

--- Waits until it has ended.
---@param limit? ctx.limit
---@return boolean? ok true, then its results; false, then its error; nil at the limit, then the err
---@return any ...
function task:join(limit) end

--- `"ready"`, `"running"`, `"waiting"`, `"done"`, `"failed"` or `"canceled"`.
---@return string
function task:status() end

--- Its name; or gives it one, for reports.
---@param name? string
---@return any name or the task, where a name was given
function task:name(name) end

--- Tasks that are waited for together, and end together. Made by @{context:group}; has `<close>`.
---@class ctx.group
local group = {}

--- The context of its members: ends at the first error, or when `wait` has joined them.
---@return ctx.context
function group:context() end

--- Runs `fn(g:context(), ...)` as a member; waits for a place where there is a limit.
---@param fn fun(c: ctx.context, ...)
---@param ... any
---@return ctx.task? member
---@return ctx.error? err the group's context has ended
function group:go(fn, ...) end

--- The same if that needs no waiting.
---@param fn fun(c: ctx.context, ...)
---@param ... any
---@return ctx.task|false member
function group:try_go(fn, ...) end

--- Waits until all members have ended, and ends the group's context.
---@param limit? ctx.limit
---@return true? ok
---@return any err the first error, or that of the limit
function group:wait(limit) end

--- The traceback of the first error.
---@return string?
function group:traceback() end

--- Sets how many members may run at once; none may run.
---@param n? number nil: any number
function group:set_limit(n) end

--- So many tokens, and who waits for some. Made by @{semaphore}.
---@class ctx.semaphore
local semaphore = {}

--- Takes tokens; waits until they are there, and all who came before have theirs.
---@param k? integer 1 where it is nil
---@param limit? ctx.limit
---@return true? taken
---@return ctx.error? err
function semaphore:acquire(k, limit) end

--- The same if that needs no waiting.
---@param k? integer
---@return boolean taken
function semaphore:try_acquire(k) end

--- Gives tokens back.
---@param k? integer
function semaphore:release(k) end

--- Values handed from task to task. Made by @{channel}. `#ch` is how many lie in its buffer; `for v in ch`
-- receives until it is closed and empty.
---@class ctx.channel
---@operator len: integer
---@operator call: any
local channel = {}

--- Sends a value; waits until a receiver or a place in the buffer takes it.
---@param value any anything but nil
---@param limit? ctx.limit
---@return true? sent
---@return ctx.error|"closed"|nil err
function channel:send(value, limit) end

--- Receives the next value.
---@param limit? ctx.limit
---@return any value
---@return ctx.error|"closed"|nil err
function channel:recv(limit) end

--- Sends a value if that needs no waiting.
---@param value any
---@return true? sent
---@return "full"|"closed"|nil err
function channel:try_send(value) end

--- Receives a value if there is one.
---@return any value
---@return "empty"|"closed"|nil err
function channel:try_recv() end

--- Closes it. What is in the buffer can still be received.
---@return boolean closed false: it was
function channel:close() end

--- A candidate for `ctx.select` that sends a value.
---@param value any
---@return ctx.sender
function channel:sender(value) end

--- What `require "ctx.testing"` gives: tests on a virtual clock.
---@class ctx.testing
local testing = {}

--- Wraps a test, for `it`: it runs as the main task of a run on a virtual clock, and fails when it leaves
-- tasks or live contexts.
---@param test fun(main: ctx.context, clock: ctx.clock)
---@return fun()
function testing.wrap(test) end

--- The virtual clock of a test, which begins at 0.
---@class ctx.clock
local clock = {}

--- Lets time pass; returns when all that is due by then has run.
---@param seconds number
function clock:advance(seconds) end

--- Returns when every other task waits; time stands still.
function clock:settle() end

--- What `require "ctx.socket"` gives: LuaSocket, whose waits end with a context.
---@class ctx.socket
local socket = {}

--- Connects to the first address of the host that answers.
---@param host string
---@param port integer
---@param limit? ctx.limit
---@return ctx.connection? connection
---@return any err of the context, or what the last address said
function socket.connect(host, port, limit) end

--- Listens.
---@param host string a name or an address, `"*"` for all
---@param port integer 0 for any that is free
---@param backlog? integer
---@return ctx.server? server
---@return string? err
function socket.listen(host, port, backlog) end

--- A server; has `<close>`.
---@class ctx.server
---@field raw userdata the socket of LuaSocket
local server = {}

--- Waits for the next client.
---@param limit? ctx.limit
---@return ctx.connection? connection
---@return any err
function server:accept(limit) end

--- Where it listens.
---@return string address
---@return integer port
function server:getsockname() end

--- Closes it. Who waits for it is told `nil, "closed"`.
function server:close() end

--- Its descriptor.
---@return integer
function server:getfd() end

--- A connection; has `<close>`.
---@class ctx.connection
---@field raw userdata the socket of LuaSocket
local connection = {}

--- Receives, as LuaSocket does.
---@param pattern? "*l"|"*a"|integer a line, all, or how many bytes
---@param limit? ctx.limit
---@param prefix? string what an earlier call has received of the same
---@return string? data
---@return any err of the context, or `"closed"`
---@return string? partial what has been received until then
function connection:receive(pattern, limit, prefix) end

--- Sends all of a text.
---@param data string
---@param limit? ctx.limit
---@param first? integer the byte to begin with
---@return integer? last the last byte sent
---@return any err of the context, or `"closed"`
---@return integer? partial the last byte that has been sent
function connection:send(data, limit, first) end

--- Ends one half of the connection, or both.
---@param how? "both"|"send"|"receive"
function connection:shutdown(how) end

--- Closes it. Who waits for it is told `nil, "closed"`.
function connection:close() end

--- Its descriptor.
---@return integer
function connection:getfd() end

--- What these give
-- @section given

--- Where an end came from. `tostring` makes a line of it.
---@class ctx.origin
---@field kind "explicit"|"deadline"|"signal"|"parent"|"member"|"host" who has ended it
---@field name? string of the context that ended first
---@field id? integer of that context
---@field site? string the line of the canceler
---@field at number the instant on the clock of `ctx.now()`
---@field cause any
---@field text string the line that `tostring` gives
local origin = {}

--- A live context and those below it, in its sequence. Made by @{context:tree}.
---@class ctx.tree
---@field kind string "cancel", "deadline", "value" and the like
---@field id integer
---@field name? string
---@field cause? string once it is done
---@field left? number seconds to its deadline
---@field age? number seconds since it was made, where contexts are tracked
---@field site? string where it was made, where contexts are tracked
---@field hooks integer functions that its end will run
---@field waiters integer who waits for its end
---@field [integer] ctx.tree
local tree = {}

--- One of the two errors, `ctx.CANCELED` and `ctx.DEADLINE_EXCEEDED`. Compare by `==`.
---@class ctx.error
---@field timeout boolean whether it is that of a deadline
---@field temporary boolean the same
---@field code "canceled"|"deadline_exceeded"
local error_object = {}

--- A candidate for @{select} that sends. Made by @{channel:sender}.
---@class ctx.sender
local sender = {}

context.with_cancel = ctx.with_cancel
context.with_timeout = ctx.with_timeout
context.with_deadline = ctx.with_deadline
context.with_value = ctx.with_value
context.without_cancel = ctx.without_cancel
context.merge = ctx.merge
context.with_signal = ctx.with_signal
ctx.done = context.done
ctx.err = context.err
ctx.cause = context.cause
ctx.check = context.check
ctx.origin = context.origin
ctx.name = context.name
ctx.deadline = context.deadline
ctx.timeout = context.timeout
ctx.value = context.value
ctx.dump = context.dump
ctx.tree = context.tree
ctx.dot = context.dot
ctx.wait = context.wait
ctx.wait_fd = context.wait_fd
ctx.go = context.go
ctx.async = context.async
ctx.on_done = context.on_done
ctx.group = context.group
ctx.with = context.with

return ctx
