--- copas in W10c and W10s.

local copas = require "copas"
assert(copas.sleep, "this copas is too old: luarocks install copas")
local socket = require "socket"

local TURNS = 400000

local workloads = {}

function workloads.W10c(n)
  local rounds = math.max(TURNS // n, 4)
  for _ = 1, n do
    copas.addthread(function()
      for _ = 1, rounds do copas.sleep(0) end
    end)
  end
  local begun = socket.gettime()
  copas.loop()
  return (socket.gettime() - begun) * 1e9 / (rounds * n)
end

function workloads.W10s()
  local n, f = 100000, function() end
  local begun = socket.gettime()
  copas.addthread(function()
    for i = 1, n do
      copas.addthread(f)
      if i % 1000 == 0 then copas.sleep(0) end
    end
  end)
  copas.loop()
  return (socket.gettime() - begun) * 1e9 / n
end

local name, n, unit = arg[1]:match "^(%w+)%-?(%d*)([KM]?)$"
n = (tonumber(n) or 0) * (unit == "K" and 1000 or unit == "M" and 1000000 or 1)
print(("copas\t%s\tns\t%.3f"):format(arg[1], workloads[name](math.tointeger(n))))
