--- cqueues in W10c and W10s: its controllers poll with a timeout of 0.

local cqueues = require "cqueues"

local TURNS = 2000000

local workloads = {}

function workloads.W10c(n)
  local queue, rounds = cqueues.new(), TURNS // n
  for _ = 1, n do
    queue:wrap(function()
      for _ = 1, rounds do cqueues.poll(0) end
    end)
  end
  local begun = cqueues.monotime()
  assert(queue:loop())
  return (cqueues.monotime() - begun) * 1e9 / (rounds * n)
end

function workloads.W10s()
  local queue, n = cqueues.new(), 200000
  local f = function() end
  local begun = cqueues.monotime()
  queue:wrap(function()
    for i = 1, n do
      queue:wrap(f)
      if i % 1000 == 0 then cqueues.poll(0) end
    end
  end)
  assert(queue:loop())
  return (cqueues.monotime() - begun) * 1e9 / n
end

local name, n, unit = arg[1]:match "^(%w+)%-?(%d*)([KM]?)$"
n = (tonumber(n) or 0) * (unit == "K" and 1000 or unit == "M" and 1000000 or 1)
print(("cqueues\t%s\tns\t%.3f"):format(arg[1], workloads[name](math.tointeger(n))))
