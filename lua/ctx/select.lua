--- Select: the first of several that is ready.
--
-- What is ready at the call is taken at once. Otherwise the caller enters a record
-- into the queue of every channel listed, and one wait stands behind them all: who
-- serves one of them voids the others, so that one candidate fires and nothing else
-- is consumed.
--
-- @module ctx.select

local core = require "ctx.core"
local channel = require "ctx.channel"
local queue = require "ctx.queue"

local unpack = table.unpack

-- The kinds of candidates that the core has; their faces are those of `__select` in
-- channel.lua. They have no queue to enter: what parks watches them by itself.

local contexts = {}

function contexts.is_ready(c)
  return c:done()
end

function contexts.take(c)
  return c:err()
end

contexts.has_ended = contexts.is_ready

local tasks = { is_ready = queue.task_has_ended, has_ended = queue.task_has_ended }

-- The results of a task that has ended are there: no context is looked at.
function tasks.take(task)
  return task:join()
end

local function kind_of(x)
  if core.is_context(x) then return contexts end
  if core.is_task(x) then return tasks end
  local meta = getmetatable(x)
  return type(meta) == "table" and rawget(meta, "__select") or nil
end

local function wrong_candidate(got)
  return "context, channel, sender, task or group expected, got " .. got
end

local function wrong_type(x)
  local got = queue.type_name(x)
  if type(x) == "function" then got = got .. "; " .. queue.parentheses end
  return wrong_candidate(got)
end

-- What was listed, in its order: candidates from 1 to n, their kinds, and what of it
-- the core watches; `lists_context` says whether a context is among them. Or nil, the
-- place of a wrong one, and what is wrong.
local function read(n, ...)
  local listed = { n = n, kinds = {}, watched = {}, lists_context = false, ... }
  if n == 0 then return nil, 1, wrong_candidate "no value" end
  for i = 1, n do
    local x = listed[i]
    local kind = kind_of(x)
    if not kind then return nil, i, wrong_type(x) end
    listed.kinds[i] = kind
    if kind == contexts or kind == tasks then table.insert(listed.watched, x) end
    listed.lists_context = listed.lists_context or kind == contexts
  end
  return listed
end

-- The place of the one to take, or nil: the first context that is done, else the first
-- that is ready. Raises when a context that is watched unlisted is done.
local function find_ready(listed)
  local kinds = listed.kinds
  for i = 1, listed.n do
    if kinds[i] == contexts and listed[i]:done() then return i end
  end
  if not listed.lists_context then core.implied() end
  for i = 1, listed.n do
    if kinds[i].is_ready(listed[i]) then return i end
  end
end

local function take(listed, i)
  return listed[i], listed.kinds[i].take(listed[i])
end

-- Whether something listed is ready though nobody has served a record. Raises as
-- find_ready does.
local function has_ended(listed)
  if not listed.lists_context then core.implied() end
  for i = 1, listed.n do
    if listed.kinds[i].has_ended(listed[i]) then return true end
  end
  return false
end

-- The wait behind the records; channel.lua says what is in it. It watches what is
-- listed, and the current context too if that counts.
local Wait = {}

local function leave_all(wait)
  for _, record in ipairs(wait.records) do channel.leave(record) end
end

Wait.__close = leave_all

local function open_wait(listed)
  local wait = { token = core.me("select"), records = {}, unpack(listed.watched) }
  if not listed.lists_context then table.insert(wait, core.implied()) end
  return setmetatable(wait, Wait)
end

local function enter_all(listed, wait)
  for i = 1, listed.n do
    local enter = listed.kinds[i].enter
    if enter then table.insert(wait.records, enter(listed[i], wait)) end
  end
end

-- Nobody can make a channel ready without serving a live record, except by closing it:
-- after a wake for nothing all keep their places.
local function wait_for(listed, deadline)
  local wait <close> = open_wait(listed)
  enter_all(listed, wait)
  repeat
    local is_late = core.park("select", deadline, unpack(wait))
    local record = wait.served
    if record then return record.candidate, queue.pick_up(record) end
  until has_ended(listed) or is_late
  leave_all(wait) -- it is not to meet itself
  local i = find_ready(listed)
  if i then return take(listed, i) end
  return nil
end

--- Waits until one of the candidates is ready, and takes that one alone.
--
-- A context that is done comes first, then whatever is listed first. A select that lists
-- a context looks at the listed ones alone; any other watches the current context too.
--
-- @function select
-- @param ... the candidates: contexts, channels (which receive), `ch:sender(v)` (which
--   sends), tasks, groups; after the last of them, if wanted, the limit in seconds (0 or less:
--   it does not wait)
-- @return[1] the candidate, then its values: of a context its err; of a channel the value, or
--   `nil, "closed"`; of a sender `true`, or `nil, "closed"`; of a task `true` and its results,
--   or `false` and its error; of a group as `g:wait()`
-- @treturn[2] nil at the limit; nothing was taken
-- @raise bad arguments; the err of the current context, where that counts
local function choose(...)
  local n = select("#", ...)
  local limit, deadline = select(math.max(n, 1), ...), nil
  if type(limit) == "number" and n > 1 then
    deadline = core.limit(limit, n, "select")
    n = n - 1
  end
  local listed, wrong, message = read(n, ...)
  if not listed then core.argument_error(wrong, "select", message) end
  local i = find_ready(listed)
  if i then return take(listed, i) end
  if deadline and limit <= 0 then return nil end
  return wait_for(listed, deadline)
end

return choose
