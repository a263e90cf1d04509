-- Five monitors that end at an instant. They sleep as the program in Go does, without
-- their context, and so see the end at 2 s; monitor_prompt.lua shows the other way.

local ctx = require "ctx"

local function monitor(c, number)
  while not c:done() do
    print("监控器" .. number .. "，正在监控中...")
    ctx.background():sleep(2)
  end
  print("监控器" .. number .. "，监控结束。")
end

local c1 = ctx.with_cancel(ctx.background())
local c2 = c1:with_deadline(ctx.now() + 1)

for i = 1, 5 do
  c2:go(monitor, i)
end

ctx.sleep(5)
if c2:err() then
  print("监控器取消的原因:  " .. c2:err())
end
print("主程序退出！！")
