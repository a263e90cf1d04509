--- Groups: tasks that are waited for together, and end together.
--
-- The first error of a member ends the context of the group, with that error as the cause; who
-- waits gets it when all members have ended. It never vanishes: a group that is closed raises it,
-- and one that is collected unasked warns.
--
--     local g <close> = c:group()
--     for _, url in ipairs(urls) do g:go(fetch, url) end   -- fetch(g:context(), url)
--
-- @module ctx.group

local core = require "ctx.core"
local queue = require "ctx.queue"
local semaphore = require "ctx.semaphore"

local pack, unpack = table.pack, table.unpack

--- A group. Made by `c:group`.
-- @type Group
local Group = { __name = "ctx.group" }
Group.__index = {}

local methods = Group.__index

-- ---- members -------------------------------------------------------------

local function fail(self, err, traceback)
  if self.failed then return end
  self.failed, self.asked = true, false
  self.error, self.trace = err, traceback
  self.cancel(err)
end

local function member_ended(self)
  self.running = self.running - 1
  if self.places then self.places:release() end
  if self.running == 0 then queue.wake_all(self.waiters) end
end

-- Counts a member out however it ends: also where its coroutine is closed.
local Member = { __close = function(member) member_ended(member.group) end }

-- Keeps the traceback of an error, and passes on the very value: the clean-up of the member is given
-- what a handler answers. The text of an error that is no string would be a call of foreign code.
local function keep_trace(member, err)
  local text = type(err) == "string" and err or queue.type_name(err)
  member.trace = debug and debug.traceback(text, 3) or text
  return err
end

local function run_member(context, self, fn, ...)
  local member <close> = setmetatable({ group = self }, Member)
  local function handler(err) return (keep_trace(member, err)) end
  local results = pack(xpcall(fn, handler, context, ...))
  if results[1] then return unpack(results, 2, results.n) end
  fail(self, results[2], member.trace)
  error(results[2], 0)
end

local function start(self, fn, ...)
  self.running = self.running + 1
  local ok, task = pcall(core.async, self.ctx, run_member, self, fn, ...)
  if ok then
    core.claim(task) -- its error is the group's
    return task
  end
  member_ended(self)
  error(task, 0)
end

-- ---- arguments -----------------------------------------------------------

local function wrong_self(...)
  return queue.expected("ctx.group", ...)
end

local function wrong_function(fn)
  return "function expected, got " .. queue.type_name(fn)
end

-- The places for so many members, nil where there is no limit; or false, and what is wrong.
local function read_limit(n)
  if n == nil or n == math.huge then return nil end
  if math.type(n) == nil then return false, "number expected, got " .. queue.type_name(n) end
  local limit = math.tointeger(n)
  if not limit or limit < 1 then return false, "a limit is an integer from 1 on, or math.huge" end
  return semaphore.new(limit)
end

-- ---- methods -------------------------------------------------------------

--- The context of its members: ends at the first error, with that as the cause, or when `wait` has
-- returned.
-- @treturn ctx.context
function methods.context(...)
  local self = ...
  if getmetatable(self) ~= Group then core.argument_error(1, "context", wrong_self(...)) end
  return self.ctx
end

--- Runs `fn(g:context(), ...)` as a member; waits for a place where there is a limit.
-- @tparam function fn
-- @param ... its further arguments
-- @treturn[1] ctx.task the member
-- @treturn[2] nil
-- @return[2] the err of the group's context, which has ended; fn does not run
-- @raise bad arguments
function methods.go(...)
  local self, fn = ...
  if getmetatable(self) ~= Group then core.argument_error(1, "go", wrong_self(...)) end
  if type(fn) ~= "function" then core.argument_error(1, "go", wrong_function(fn)) end
  if self.ctx:done() then return nil, self.ctx:err() end
  if self.places then
    local ok, err = self.places:acquire(1, self.ctx)
    if not ok then return nil, err end
  end
  return start(self, fn, select(3, ...))
end

--- The same if that needs no waiting.
-- @tparam function fn
-- @param ... its further arguments
-- @treturn[1] ctx.task the member
-- @treturn[2] boolean false: there is no place, or the group's context has ended
-- @raise bad arguments
function methods.try_go(...)
  local self, fn = ...
  if getmetatable(self) ~= Group then core.argument_error(1, "try_go", wrong_self(...)) end
  if type(fn) ~= "function" then core.argument_error(1, "try_go", wrong_function(fn)) end
  if self.ctx:done() or (self.places and not self.places:try_acquire()) then return false end
  return start(self, fn, select(3, ...))
end

-- What has become of it, once all have ended.
local function outcome(self)
  self.cancel()
  self.asked = true
  if self.failed then return nil, self.error end
  return true
end

-- Waits for the end of all members: true, or nil and why not.
local function join(self, deadline, explicit)
  local record = { token = nil, explicit }
  record.wait = record
  local _ <close> = setmetatable(record, { __close = queue.unlink })
  while self.running > 0 do
    if explicit and explicit:done() then return nil, explicit:err() end
    record.token = core.me "group"
    queue.unlink(record)
    queue.link(self.waiters, record)
    local is_late = core.park("group", deadline, unpack(record))
    if is_late and self.running > 0 then return nil, core.DEADLINE_EXCEEDED end
  end
  return true
end

--- Waits until all members have ended, also where the current context is done, and ends the
-- group's context then.
-- @tparam[opt] number|ctx.context limit how long: seconds, or a context
-- @treturn[1] boolean true: none has failed
-- @treturn[2] nil
-- @return[2] the error of the first that has failed; or `ctx.DEADLINE_EXCEEDED` or the err of the
--   limit, when that comes first
-- @raise bad arguments
function methods.wait(...)
  local self, limit = ...
  if getmetatable(self) ~= Group then core.argument_error(1, "wait", wrong_self(...)) end
  local deadline, explicit = core.limit(limit, 1, "wait")
  if self.running > 0 and type(limit) == "number" and limit <= 0 then
    return nil, core.DEADLINE_EXCEEDED
  end
  local ok, err = join(self, deadline, explicit)
  if not ok then return nil, err end
  return outcome(self)
end

--- The traceback of the first error, taken where it was raised.
-- @treturn ?string nil while there is none
function methods.traceback(...)
  local self = ...
  if getmetatable(self) ~= Group then core.argument_error(1, "traceback", wrong_self(...)) end
  return self.trace
end

--- Sets how many members may run at once.
-- @tparam[opt] integer n nil or `math.huge`: any number
-- @raise bad arguments; while members run
function methods.set_limit(...)
  local self, n = ...
  if getmetatable(self) ~= Group then core.argument_error(1, "set_limit", wrong_self(...)) end
  local places, message = read_limit(n)
  if message then core.argument_error(1, "set_limit", message) end
  if self.running > 0 then error(("the limit of a group cannot change while %d of its functions run")
    :format(self.running), 2) end
  self.places = places or nil
end

-- ---- the end ---------------------------------------------------------------

-- A block that has failed takes its members along; the error of a member that nobody has asked
-- for is that of the block.
function Group.__close(self, err)
  if err ~= nil then self.cancel(err) end
  local asked = self.asked
  join(self)
  local ok, failure = outcome(self)
  if not ok and err == nil and not asked then error(failure, 0) end
end

function Group.__gc(self)
  if self.failed and not self.asked then
    warn("ctx: the error of a group was never asked for: ", self.trace or tostring(self.error))
  end
end

function Group.__tostring()
  return Group.__name
end

-- See channel.lua for what select asks.
Group.__select = { take = methods.wait }

function Group.__select.is_ready(self)
  return self.running == 0
end

Group.__select.has_ended = Group.__select.is_ready

function Group.__select.enter(self, wait)
  local record = { wait = wait, candidate = self }
  queue.link(self.waiters, record)
  return record
end

--- @section end

--- Makes a group below a context.
-- @function new
-- @tparam ctx.context c
-- @tparam[opt] table options `limit`: how many members may run at once
-- @treturn Group
-- @raise bad arguments
local function new(c, options)
  if not core.is_context(c) then core.argument_error(1, "group", queue.expected("ctx.context", c)) end
  local places, message
  if options ~= nil then
    if type(options) ~= "table" then
      core.argument_error(2, "group", "table expected, got " .. queue.type_name(options))
    end
    for option in next, options do
      if option ~= "limit" then
        local name = type(option) == "string" and option or "?" -- no metamethod is called
        core.argument_error(2, "group", ("no option '%s'; there is 'limit'"):format(name))
      end
    end
    places, message = read_limit(rawget(options, "limit"))
    if message then core.argument_error(2, "group", "option 'limit': " .. message) end
  end
  local context, cancel = core.with_cancel(c)
  return setmetatable({
    ctx = context,
    cancel = cancel,
    places = places or nil,
    running = 0,
    waiters = queue.new(),
    failed = false,
    asked = false,
  }, Group)
end

return { new = new }
