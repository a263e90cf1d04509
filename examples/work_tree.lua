-- A tree of work: whoever ends a branch ends all that grows on it.

local ctx = require "ctx"

local function work(c, name)
  while not c:done() do
    print(name .. "  is running")
    c:sleep(1)
  end
  print(name .. "  get message to quit")
end

local function work_with_value(c, name)
  while not c:done() do
    print(name .. "  is running with value " .. c:value("key"))
    c:sleep(1)
  end
  print(name .. "  get message to quit")
end

local a, cancel = ctx.with_cancel(ctx.background())
a:go(work, "work1")

local b = a:with_timeout(3)
b:go(work, "work2")

local c = b:with_value("key", "custom value")
c:go(work_with_value, "work3")

ctx.sleep(5)
cancel()
ctx.sleep(1)
