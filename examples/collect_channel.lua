-- Stops a worker by a value on a channel. The channel has no buffer, so that 'send'
-- returns once the worker has the message: it cannot be lost.

local ctx = require "ctx"

local stop = ctx.channel()

local function collect()
  while not stop:try_recv() do
    print("收集服务器资源中....")
    ctx.sleep(2)
  end
  print("收集任务结束")
end

ctx.background():go(collect)

ctx.sleep(10)
stop:send(true)
ctx.sleep(1)
