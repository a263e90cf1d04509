-- Two monitors of one context, which ends after a second. One sleeps without it and
-- sees the end when it wakes, at 2 s; the other waits on it and sees the end at once.

local ctx = require "ctx"

local start = ctx.now()

local function report(name, what)
  print(("%.0f s  %s  %s"):format(ctx.now() - start, name, what))
end

local function sleeping_monitor(c)
  while not c:done() do
    report("sleeping", "is running")
    ctx.background():sleep(2)
  end
  report("sleeping", "sees the end")
end

local function waiting_monitor(c)
  while not c:done() do
    report("waiting ", "is running")
    c:sleep(2)
  end
  report("waiting ", "sees the end")
end

local c = ctx.with_timeout(ctx.background(), 1)
c:go(sleeping_monitor)
c:go(waiting_monitor)

ctx.sleep(3)
