--- What a Go programmer writes every day, in Lua. On the virtual clock it takes no time:
--
--   lua5.4 -l ctx.virtual examples/guide/from_go.lua

local ctx = require "ctx"

local function say(...)
  print(("%g s"):format(ctx.now()), ...)
end

-- for { select { case v, ok := <-ch: ... case <-ctx.Done(): return ctx.Err() } }
local function consume(c, ch)
  while true do
    local which, value = ctx.select(c, ch)
    if which == c then return say("consumer:", c:err(), c:cause()) end
    if value == nil then return say("consumer:", "closed") end
    say("consumer:", value)
  end
end

-- ctx, cancel := context.WithTimeoutCause(parent, 2*time.Second, errSlow); defer cancel()
local function fetch(parent)
  local c <close> = parent:with_timeout(2, "the backend is slow")
  local slept, err = c:sleep(10) -- select { case <-time.After(10*time.Second): case <-ctx.Done(): }
  return slept, err, c:cause()
end

-- g, ctx := errgroup.WithContext(parent); g.SetLimit(2); g.Go(...); err := g.Wait()
local function fan_out(parent)
  local g <close> = parent:group { limit = 2 }
  for i = 1, 4 do
    g:go(function(c)
      if i == 3 then error("job 3 has failed", 0) end
      local slept, err = c:sleep(1)
      say("job " .. i .. ":", slept, err)
    end)
  end
  return g:wait()
end

-- Who names a context is told of its end.
local function explicit(c)
  local slept, err = c:sleep(10)
  return slept, err
end

-- Who names none is ended by that of the current context.
local function implied()
  ctx.sleep(10) -- raises
  return "slept"
end

-- for { if err := try(ctx); err != nil { log.Print(err) } }, which would spin once ctx is done
local function tries(c)
  local n = 0
  repeat
    n = n + 1
    pcall(ctx.sleep, 1)
  until c:done()
  return n
end

local main = ctx.background()

-- ctx, cancel := context.WithCancelCause(parent)
local c, cancel = main:with_cancel()
local ch = ctx.channel() -- make(chan string)
c:go(consume, ch) -- go consume(ctx, ch)
ch:send "one"
ctx.sleep(1)
ch:send "two"
cancel "enough" -- cancel(errors.New("enough"))
ctx.sleep(0)

say("fetch:", fetch(main))
say("group:", fan_out(main))

local e, cancel_e = main:with_cancel()
local tasks = { e:async(explicit), e:async(implied), e:async(tries) }
ctx.sleep(2.5)
say("cancel:", cancel_e(), cancel_e())
say("explicit:", tasks[1]:join())
say("implied:", tasks[2]:join())
say("tries:", tasks[3]:join())

-- Siblings end in the order in which they were made; what is below the first comes before the second.
local f, cancel_f = main:with_cancel()
local first = f:with_cancel():name "first"
local second = f:with_cancel():name "second"
local below = first:with_cancel():name "below the first"
for _, each in ipairs { second, below, first } do
  each:on_done(function() say("end of:", each:name()) end)
end
cancel_f()
ctx.sleep(0)

-- stop := context.AfterFunc(ctx, f); defer stop()
local d, cancel_d = main:with_cancel()
local stop = d:on_done(function(err) say("after:", err) end)
cancel_d()
ctx.sleep(0)
say("stop:", stop())

-- context.WithoutCancel(ctx), context.WithValue(ctx, key, "request 7"), ctx.Value(key)
local key = {}
local request = d:with_value(key, "request 7")
local detached = request:without_cancel()
say("values:", request:value(key), request:err(), detached:value(key), detached:err())
