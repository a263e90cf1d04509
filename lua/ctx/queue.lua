--- Queues of those who wait for something that another task gives.
--
-- A queue is a ring around itself; its records are doubly linked, so that whoever gives up
-- leaves at once, wherever it stands. A record is a place in a queue:
--
--   wait    who waits: `token`, `served` (the record by which it was), and from 1 on
--           the contexts and tasks that it watches; a simple wait is its own record
--   result  what the other side has left
--
-- A record is *live* until it is served, and as long as nothing that its task watches has
-- ended: a task that is to see the end of its context is handed nothing more, and loses nothing.
--
-- One thread runs a Lua state and tasks change only where they wait, so nothing here is locked.
--
-- @module ctx.queue

local core = require "ctx.core"

local queue = {}

function queue.new()
  local q = {}
  q.prev, q.next = q, q
  return q
end

function queue.link(q, record)
  local last = q.prev
  record.prev, record.next = last, q
  last.next, q.prev = record, record
end

function queue.unlink(record)
  local prev, next = record.prev, record.next
  if next then
    prev.next, next.prev = next, prev
    record.prev, record.next = nil, nil
  end
end

local task_ends = { done = true, failed = true, canceled = true }

function queue.task_has_ended(task)
  return task_ends[task:status()] or false
end

local function has_ended(watched)
  if core.is_context(watched) then return watched:done() end
  return queue.task_has_ended(watched)
end

-- Stays true once it is: what is served remains so, and what has ended too.
local function is_void(wait)
  if wait.served then return true end
  for i = 1, #wait do
    if has_ended(wait[i]) then return true end
  end
  return false
end

-- The first live record, or nil. Those before it will see by themselves why they
-- were passed over, and need no place any more.
function queue.first_live(q)
  local record = q.next
  while record ~= q do
    if not is_void(record.wait) then return record end
    queue.unlink(record)
    record = q.next
  end
end

function queue.serve(record, result)
  local wait = record.wait
  queue.unlink(record)
  record.result = result
  wait.served = record
  core.wake(wait.token)
end

function queue.pick_up(record)
  local result = record.result
  record.result = nil
  return result
end

function queue.wake_all(q)
  local record = q.next
  while record ~= q do
    core.wake(record.wait.token)
    record = record.next
  end
end

-- The name of a value's type, as Lua's own messages give it.
function queue.type_name(x)
  local meta = getmetatable(x)
  local name = meta
  if type(meta) == "table" then name = rawget(meta, "__name") end
  return type(name) == "string" and name or type(x)
end

-- What was got where a value of a type of ours was expected.
function queue.expected(name, ...)
  local got = select("#", ...) == 0 and "no value" or queue.type_name((...))
  return name .. " expected, got " .. got
end

queue.parentheses = "with_cancel returns two values: put the call in parentheses to pass one"

return queue
