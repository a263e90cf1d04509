--- The floor of W10c: coroutines that are resumed in turn, with a queue that is two numbers.

local TURNS = 2000000
local n, unit = arg[1]:match "^W10c%-(%d+)([KM]?)$"
n = math.tointeger(tonumber(n)) * (unit == "K" and 1000 or unit == "M" and 1000000 or 1)

local queue, first, last = {}, 1, 0
local rounds = TURNS // n
local yield, resume, wrap = coroutine.yield, coroutine.resume, coroutine.create
for _ = 1, n do
  last = last + 1
  queue[last] = wrap(function()
    for _ = 1, rounds do yield() end
    return true
  end)
end
local begun = os.clock()
while first <= last do
  local task = queue[first]
  queue[first] = nil
  first = first + 1
  local _, ended = resume(task)
  if not ended then
    last = last + 1
    queue[last] = task
  end
end
print(("floor\t%s\tns\t%.3f"):format(arg[1], (os.clock() - begun) * 1e9 / (rounds * n)))
