-- clock - waits of every kind that end at a given instant or shortly after; clock.c runs it far ahead in time
--
--   lua5.4 spec/process/clock.lua SECONDS

local ctx = require "ctx"

local at = tonumber(arg[1])
local bell = ctx.with_cancel(ctx.background())

local waits = {
  function(c) assert(c:wait()) end,
  function(c) assert(select(2, c:wait_fd(bell:pollfd(), "r")) == ctx.DEADLINE_EXCEEDED) end,
  function(c) ctx.run(function() assert(select(2, c:sleep(math.huge)) == ctx.DEADLINE_EXCEEDED) end) end,
  function(c) assert(not bell:wait(c)) end,
  function(c) assert(not bell:wait(c:timeout()) and c:wait(1)) end,
}

for i, wait in ipairs(waits) do
  local deadline = at + i / 50
  local c = ctx.with_deadline(ctx.background(), deadline)
  wait(c)
  assert(c:err() == ctx.DEADLINE_EXCEEDED)
  assert(ctx.now() >= deadline and ctx.now() < deadline + 30, ctx.now() - deadline)
end
