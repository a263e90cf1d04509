-- The same as collect_channel.lua, with a context in the channel's place.

local ctx = require "ctx"

local function collect(c)
  while not c:done() do
    print("收集服务器资源中....")
    c:sleep(2)
  end
  print("收集任务结束")
end

local c, cancel = ctx.with_cancel(ctx.background())
c:go(collect)

ctx.sleep(10)
cancel()
ctx.sleep(1)
