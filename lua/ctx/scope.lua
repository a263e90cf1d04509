--- Functions that run under another context, and clean-up.
-- @module ctx.scope

local core = require "ctx.core"
local queue = require "ctx.queue"

local scope = {}

local function check_function(fn, arg, name)
  if type(fn) ~= "function" then
    core.argument_error(arg, name, "function expected, got " .. queue.type_name(fn))
  end
end

local function finish(ok, ...)
  if ok then return ... end
  error((...), 0)
end

-- The task is joined whatever ends meanwhile: a background never does.
local function run(c, fn, ...)
  local task = core.async(c, function(_, ...) return fn(...) end, ...)
  return finish(task:join(core.background()))
end

--- Calls `fn(...)` with `c` as the current context, and waits for it. It runs in a task of its own, so
-- that waits inside it look at `c`.
-- @tparam ctx.context c
-- @tparam function fn
-- @param ... its arguments
-- @return what fn returns
-- @raise bad arguments; what fn raises
function scope.with(...)
  local c, fn = ...
  if not core.is_context(c) then core.argument_error(1, "with", queue.expected("ctx.context", ...)) end
  check_function(fn, 2, "with")
  return run(c, fn, select(3, ...))
end

--- Calls `fn(...)` so that it may wait although the current context is done or ends meanwhile: for
-- clean-up. Its own current context sees the same values, and ends after some seconds.
-- @tparam number seconds
-- @tparam function fn
-- @param ... its arguments
-- @return what fn returns
-- @raise bad arguments; what fn raises: `ctx.DEADLINE_EXCEEDED` by a wait that is not over in time
function scope.shield(...)
  local seconds, fn = ...
  if type(seconds) ~= "number" then
    core.argument_error(1, "shield", "number expected, got " .. queue.type_name(seconds))
  end
  check_function(fn, 2, "shield")
  local c <close> = core.with_timeout(core.without_cancel(core.current()), seconds)
  return run(c, fn, select(3, ...))
end

local Deferred = { __name = "ctx.deferred", __close = function(self, err) self.fn(err) end }

--- Makes a value that calls `fn(err)` when its block is left: `local _ <close> = ctx.defer(fn)`.
-- @tparam function fn called with the error that the block has raised, else nil
-- @return a closable value
-- @raise bad arguments
function scope.defer(fn)
  check_function(fn, 1, "defer")
  return setmetatable({ fn = fn }, Deferred)
end

return scope
