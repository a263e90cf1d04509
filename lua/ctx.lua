--- Contexts: the news that work is to end, and why; the instant by which it must have ended;
-- the values of a request; handed down a tree of tasks.
--
-- Seconds are the only unit of time. Wrong arguments raise; expected failures return `nil, err`.
-- A function whose first argument is a context is a method of it as well.
--
--     local ctx = require "ctx"
--     local c, cancel = ctx.with_timeout(ctx.background(), 3)
--     c:go(function(c) while c:sleep(1) do print "tick" end end)
--     c:wait()
--
-- @module ctx

if _VERSION ~= "Lua 5.4" then error("ctx needs Lua 5.4, and this is " .. _VERSION, 0) end

local core = require "ctx.core"
local channel = require "ctx.channel"
local group = require "ctx.group"
local inspect = require "ctx.inspect"
local scope = require "ctx.scope"
local select = require "ctx.select"
local semaphore = require "ctx.semaphore"

local os_time = os.time

local ctx = {
  CANCELED = core.CANCELED,
  DEADLINE_EXCEEDED = core.DEADLINE_EXCEEDED,
  VERSION = core.version(),
  channel = channel.new,
  dot = inspect.dot,
  dump = inspect.dump,
  track = core.track,
  tree = inspect.tree,
  defer = scope.defer,
  group = group.new,
  select = select,
  semaphore = semaphore.new,
  shield = scope.shield,
  with = scope.with,
}

local public = {
  "background", "todo", "current", "root",
  "with_cancel", "with_timeout", "with_deadline", "with_value", "without_cancel",
  "merge", "extend", "with_signal",
  "done", "err", "cause", "check", "origin", "name", "deadline", "timeout", "value",
  "wait", "wait_fd", "go", "async", "on_done",
  "run", "sleep", "yield", "now", "wrap", "is_canceled",
}
for _, name in ipairs(public) do ctx[name] = core[name] end

--- Converts a time of `os.time()` to an instant on the clock of `ctx.now()`, for `with_deadline`.
-- @tparam number t seconds since the epoch; read once: a later change of the wall clock moves nothing
-- @treturn number the instant
-- @raise when `t` is no number, or NaN
function ctx.wall(t)
  if type(t) ~= "number" then
    core.argument_error(1, "wall", ("number expected, got %s"):format(type(t)))
  elseif t ~= t then
    core.argument_error(1, "wall", "a time cannot be NaN")
  end
  return core.now() + (t - os_time())
end

core.set_tostring(inspect.text)
for _, name in ipairs { "dot", "dump", "tree" } do core.methods[name] = inspect[name] end
core.methods.group = group.new
core.methods.with = scope.with

-- What only the module has is looked up on a context by who has hidden the one with the other.
setmetatable(core.methods, {
  __index = function(_, name)
    if ctx[name] ~= nil then
      error(("a context has no '%s': did a local named ctx hide the module?"):format(name), 2)
    end
  end,
})

return ctx
