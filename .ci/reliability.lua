-- reliability - the figures of docs/reliability.md, measured anew, each with its command
--
--   lua5.4 .ci/reliability.lua [WORD]     (make reliability calls it; WORD: only claims that have it)
--
-- Prints for each claim its command, what that says, and how long it took. Some take minutes; run alone, from
-- the top folder, each command says the same and more. The answer is 0 if none failed.

local calls = os.getenv "CALLS" or "100000000"
local seed = os.getenv "SEED" or ""

local function sum(text, pattern)
  local n, total = 0, 0
  for number in text:gmatch(pattern) do n, total = n + 1, total + tonumber(number) end
  return n, total
end

-- The last line that has 'pattern', from there on.
local function last(pattern)
  return function(text)
    local found
    for line in text:gmatch "[^\n]+" do found = line:match(pattern) or found end
    return found
  end
end

local function explored(text)
  local programs, schedules = sum(text, "%f[%d](%d+) schedules  ")
  local passed = last "^(%d+) passed, 0 failed"(text) -- the bugs, too
  local figure = "%d programs, %d schedules; %d planted bugs found"
  return passed and figure:format(programs, schedules, passed - programs)
end

local function failed_allocations(text)
  local programs, points = sum(text, "# (%d+) points of failure")
  return programs == 4 and ("%d points of failure"):format(points)
end

local function coverage(text)
  local list = {}
  for figure in text:gmatch "# (%S+: %d+ of %d+ branches, [%d.]+ %%)" do list[#list + 1] = figure end
  return #list > 0 and table.concat(list, "; ")
end

local function fuzzed(text)
  local targets, inputs = sum(text, "ok %- %l+: (%d+) inputs")
  return targets > 0 and ("%d targets, %d inputs, no failure"):format(targets, inputs)
end

local function stressed(text)
  local storms, n = sum(text, "# (%d+) calls of ctx.h")
  return n > 0 and ("%d calls in %d storms"):format(n, storms)
end

local function raced(text)
  local races, rounds = sum(text, "# (%d+) rounds")
  return rounds > 0 and ("%d races, %d rounds"):format(races, rounds)
end

local results = "(%d+ passed, %d+ failed.*)"
local claims = {
  { "C tests and specs", "make test", last(results) },
  { "every rule has a test that passed", "make conformance", last "^# (.*)" },
  { "the same under the address sanitizer", "make test SAN=address", last(results) },
  { "and under the thread sanitizer", "make test SAN=thread", last(results) },
  { "and, of C, under the memory sanitizer", "make test-memory", last(results) },
  { "eight threads at one tree, under the thread sanitizer",
    "make SAN=thread build/thread/process/stress && "
      .. "STRESS_CALLS=100000000 setarch -R build/thread/process/stress", stressed },
  { "races of two threads", "make soak-races", raced },
  { "memory that fails, place by place (after make test)",
    "build/spec/oom && build/spec/heap && build/host/memory && build/sim/simulate", failed_allocations },
  { "random programs beside a model", ("make soak-simulation CALLS=%s SEED=%s"):format(calls, seed),
    last "simulation: C11 (%d+ calls.*)" },
  { "every schedule of small programs", "make explore", explored },
  { "rules broken one at a time, each seen by its tests", "lua5.4 .ci/broken.lua", last(results) },
  { "branches that the C tests take", "make coverage", coverage },
  { "branches that all tests take", "make soak-coverage", coverage },
  { "fuzzing", "make fuzz", fuzzed },
}

-- What it prints, and whether it went well.
local function output_of(command)
  local pipe = io.popen("{ " .. command .. "; } 2>&1 </dev/null")
  local text = pipe:read "a"
  return text, pipe:close()
end

local answer = true
local function measure(claim, command, figure_of)
  local began = os.time()
  local text, went_well = output_of(command)
  local figure = went_well and figure_of(text)
  if not figure then
    answer = false
    print(text)
  end
  print(("%s\n  %s\n  %s, %d s\n"):format(claim, command, figure or "FAILED", os.time() - began))
  io.stdout:flush()
end

for _, row in ipairs(claims) do
  if row[1]:find(arg[1] or "", 1, true) then measure(table.unpack(row)) end
end
print "all that must pass before a change, at once\n  time .ci/run"
os.exit(answer)
