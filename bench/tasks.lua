--- W10: what a task costs. Calls: lua5.4 bench/tasks.lua WORKLOAD, of which one of
--
--   W10c-N   a turn of one of N tasks that sleep(0), in ns
--   W10s     a task that is made, runs and ends
--   W10t     a context with a timeout of an hour that is made and canceled

local ctx = require "ctx"

local TURNS = 2000000

local function size(text)
  local n, unit = text:match "^(%d+)([KM]?)$"
  return math.tointeger(tonumber(n)) * (unit == "K" and 1000 or unit == "M" and 1000000 or 1)
end

local workloads = {}

function workloads.W10c(n)
  local rounds, begun = TURNS // n, nil
  ctx.run(function(c)
    local sleep = ctx.sleep
    for _ = 1, n do
      c:go(function()
        for _ = 1, rounds do sleep(0) end
      end)
    end
    ctx.sleep(0)
    begun = ctx.now()
  end)
  return (ctx.now() - begun) * 1e9 / (rounds * n)
end

function workloads.W10s()
  local begun, n = ctx.now(), 200000
  ctx.run(function(c)
    local f = function() end
    for i = 1, n do
      c:go(f)
      if i % 1000 == 0 then ctx.sleep(0) end
    end
  end)
  return (ctx.now() - begun) * 1e9 / n
end

function workloads.W10t()
  local n, took = 500000, nil
  ctx.run(function(c)
    local begun = ctx.now()
    for _ = 1, n do
      local _, cancel = c:with_timeout(3600)
      cancel()
    end
    took = ctx.now() - begun
  end)
  return took * 1e9 / n
end

local name, n = arg[1]:match "^(%w+)%-?(.*)$"
print(("ctx\t%s\tns\t%.3f"):format(arg[1], workloads[name](n ~= "" and size(n) or 0)))
