--- luv in W10: a coroutine that sleeps on a timer of 0 ms; a timer of an hour, started and closed.

local uv = require "luv"

local TURNS = 400000

local workloads = {}

function workloads.W10c(n)
  local rounds = math.max(TURNS // n, 4)
  local resume, yield, running = coroutine.resume, coroutine.yield, coroutine.running
  for _ = 1, n do
    coroutine.wrap(function()
      local timer, task = uv.new_timer(), running()
      local wake = function() resume(task) end
      for _ = 1, rounds do
        timer:start(0, 0, wake)
        yield()
      end
      timer:close()
    end)()
  end
  local begun = uv.hrtime()
  uv.run()
  return (uv.hrtime() - begun) / (rounds * n)
end

function workloads.W10t()
  local n, nothing = 500000, function() end
  local begun = uv.hrtime()
  for i = 1, n do
    local timer = uv.new_timer()
    timer:start(3600000, 0, nothing)
    timer:close()
    if i % 1000 == 0 then uv.run "nowait" end
  end
  return (uv.hrtime() - begun) / n
end

local name, n, unit = arg[1]:match "^(%w+)%-?(%d*)([KM]?)$"
n = (tonumber(n) or 0) * (unit == "K" and 1000 or unit == "M" and 1000000 or 1)
print(("luv\t%s\tns\t%.3f"):format(arg[1], workloads[name](math.tointeger(n))))
