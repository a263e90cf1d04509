-- exits - a script that ends with tasks that wait and contexts that live
--
--   lua5.4 spec/process/exits.lua exit|close|task|error|end

local way = ...
local found, ctx = pcall(require, "ctx")
if not found then os.exit(2) end -- 1 is the status of an error

local ways = {}

function ways.exit() os.exit(0) end
function ways.close() os.exit(0, true) end
function ways.error() error "nobody catches it" end
ways["end"] = function() end

function ways.task()
  ctx.root():go(function() os.exit(0, true) end)
  ctx.sleep(3600)
end

local live, cancel = ctx.with_cancel(ctx.background())
local timed = live:with_timeout(3600):with_value("key", {})
local ch = ctx.channel()

timed:on_done(function() end)
timed:go(function(c) c:sleep(3600) end)
live:go(function() ch:recv() end)
live:async(function(c)
  local held <close> = setmetatable({}, { __close = function() c:cause() end })
  c:wait(held and 3600)
end)
live:go(function() ctx.run(function(c) c:sleep(3600) end) end)
ctx.sleep(0)
ctx.yield()
live:on_done(function() ctx.sleep(1) end)
if #way % 2 == 0 then cancel() end
ways[way]()
