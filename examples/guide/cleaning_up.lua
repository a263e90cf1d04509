--- What runs when work ends: by itself, by an error, or because its context has ended.
--
--   lua5.4 -l ctx.virtual examples/guide/cleaning_up.lua

local ctx = require "ctx"

local function say(...)
  print(("%g s"):format(ctx.now()), ...)
end

-- A connection to a database, whose good-bye takes a second.
local function connect(name)
  say(name, "connected")
  return setmetatable({}, { __close = function(_, err)
    ctx.shield(3, function() ctx.sleep(1) end)
    say(name, "said good-bye", err or "no error")
  end })
end

-- A transfer: what it has begun is taken back, whatever ends it.
local function transfer(c, seconds)
  local _ <close> = connect "db"
  local committed = false
  local _ <close> = ctx.defer(function()
    if not committed then say("db", "rolled back") end
  end)
  c:sleep(seconds)
  c:check() -- raises the err where c is done
  committed = true
  say("db", "committed")
end

local main = ctx.background()

-- 1. It comes to its end.
main:async(transfer, 1):join()

-- 2. It is canceled: the same clean-up, which may wait although the context is done.
local c, cancel = main:with_cancel()
local task = c:async(transfer, 10)
ctx.sleep(1)
cancel "the user has left"
say("task", task:join())

-- 3. A block owns its context: what it has started ends with it.
do
  local scope <close> = main:with_cancel()
  scope:go(function(self)
    self:wait()
    say("helper", self:err())
  end)
  ctx.sleep(0)
end
ctx.sleep(0)

-- 4. A group joins what it has started, before its block is left.
do
  local g <close> = main:group()
  g:go(function(self) self:sleep(2) say("member", "has ended") end)
end
say("group", "is joined")

-- 5. What is to outlive its request for some time, and no longer.
local request, hang_up = main:with_cancel()
local flush = request:without_cancel { grace = 2 }
flush:go(function(self) say("log", self:sleep(1) and "flushed") end)
flush:go(function(self)
  self:sleep(10)
  say("stuck", self:err())
end)
hang_up()
ctx.sleep(3)

-- 6. A member fails: the others are canceled, and clean up; then the block raises its error.
say("block", pcall(function()
  local g <close> = main:group()
  g:go(transfer, 10)
  g:go(function(self) self:sleep(1) error("no space left", 0) end)
end))

-- 7. Clean-up that waits without a shield is cut short, by the very err that it cleans up after.
local d, cancel_d = main:with_cancel()
local hasty = d:async(function()
  local _ <close> = ctx.defer(function()
    ctx.sleep(1) -- raises at once
    say("hasty", "said good-bye") -- is never said
  end)
  ctx.sleep(10)
end)
ctx.sleep(1)
cancel_d()
say("hasty", hasty:join())

-- 8. A function that runs when a context has ended; and one that has been stopped.
local e, cancel_e = main:with_cancel()
e:on_done(function(err, cause) say("on_done", err, cause) end)
local stop = e:on_done(function() say("on_done", "is never said") end)
say("stop", stop())
cancel_e "the user has left"
ctx.sleep(0)
