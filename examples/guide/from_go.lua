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
