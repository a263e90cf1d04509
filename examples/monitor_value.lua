-- Five monitors whose context also says what they watch.

local ctx = require "ctx"

local function monitor(c, number)
  while not c:done() do
    print("监控器" .. number .. "，正在监控 " .. c:value("item") .. " ")
    ctx.background():sleep(2)
  end
  print("监控器" .. number .. "，监控结束。")
end

local c1 = ctx.with_cancel(ctx.background())
local c2 = c1:with_timeout(1)
local c3 = c2:with_value("item", "CPU")

for i = 1, 5 do
  c3:go(monitor, i)
end

ctx.sleep(5)
if c2:err() then
  print("监控器取消的原因:  " .. c2:err())
end
print("主程序退出！！")
