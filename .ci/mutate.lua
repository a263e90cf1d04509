-- mutate - small faults in core/, one at a time: do the tests see them?
--
--   lua5.4 .ci/mutate.lua [FAULTS [SEED [FILE]]]      (make soak-mutation calls it; needs gcc)
--
-- In a copy of the tree one operator, number, call or assignment of core/ is changed; then tests run, those
-- of the same noun first, until one fails. What these do not see meets the explorer, the process tests and
-- the sanitizers. A fault that does not compile, or compiles to the same code, does not count. Prints each
-- fault and what sees it; docs/mutation.md is the ledger of those that are right to survive, and says why.
-- The last line is the score. Answers 0 if at least 90 % are seen and the rest is in the ledger.

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")

local wanted, seed, only = tonumber(arg[1]) or 300, tonumber(arg[2]) or os.time(), arg[3]
local tree = (os.getenv "BUILD" or "build") .. "/mutate"
local LEDGER, ENOUGH = "docs/mutation.md", 0.9
local SMALL = "STRESS_CALLS=200000 ROUNDS=300 WHEEL_STEPS=1000000 EXITS=5"

-- ---- faults ------------------------------------------------------------------------------------

-- Each: a pattern with one capture, the text to change, and what may stand there instead.
local kinds = {
  { " (<) ", "<=" }, { " (<=) ", "<" }, { " (>) ", ">=" }, { " (>=) ", ">" },
  { " (==) ", "!=" }, { " (!=) ", "==" }, { " (&&) ", "||" }, { " (||) ", "&&" }, { "[%( ](!)[%a(]", "" },
  { " (%+) ", "-" }, { " (%-) ", "+" }, { "(%+%+)", "--" }, { "(%-%-)", "++" },
  { " (%+=) ", "-=" }, { " (%-=) ", "+=" },
  { " (&) ", "|" }, { " (|) ", "&" }, { " (<<) ", ">>" }, { " (>>) ", "<<" },
  { "%f[%w_](true)%f[^%w_]", "false" }, { "%f[%w_](false)%f[^%w_]", "true" },
  { "%f[%w_](0)%f[^%w_.]", "1" }, { "%f[%w_](1)%f[^%w_.]", "0" }, { "%f[%w_]([2-9])%f[^%w_.]", "1" },
  { "^%s+([%w_]+%b();)$", ";" }, { "^%s+%b() ([%w_]+%b();)$", ";" }, { "^%s+if %b() ([%w_]+%b();)$", ";" },
  { "^%s+([%w_>%.%[%]%-]+ = [^;{]+;)$", ";" }, { "^%s+([%w_>%.%[%]%-]+ [|&]= [^;]+;)$", ";" },
}

-- All faults that the code of a file offers: its line, the columns, and the text there instead.
local function faults_of(path, list)
  local code, comments = source.split(source.read(path), path)
  local never = {} -- lines that cannot be reached, and say why
  source.each_line(comments, function(line, number) never[number] = line:find "/%* never: " ~= nil end)
  source.each_line(code, function(line, number)
    if never[number] or line:find "^%s*#" or line:find "^static const" or line:find '"' then return end
    line = line:gsub("%s+$", "")
    for _, kind in ipairs(kinds) do
      local at = 1
      while true do
        local from, to, found = line:find(kind[1], at)
        if not from then break end
        local first = line:find(found, from, true)
        local last = first + #found - 1
        list[#list + 1] = { path = path, line = number, from = first, to = last, text = kind[2] }
        at = to + 1
        if kind[1]:find "^%^" then break end
      end
    end
  end)
end

local function applied(fault)
  local lines, became = {}, nil
  source.each_line(source.read(fault.path), function(line, number)
    if number == fault.line then
      local was = line:sub(fault.from, fault.to)
      line = line:sub(1, fault.from - 1) .. fault.text .. line:sub(fault.to + 1)
      became = fault.text == ";" and "without " .. was or line:match "^%s*(.-)%s*$"
    end
    lines[#lines + 1] = line
  end)
  return table.concat(lines, "\n", 1, #lines - 1) .. "\n", became
end

-- ---- tests -------------------------------------------------------------------------------------

local function sh(format, ...)
  return (os.execute(("cd %s && { %s; } >log 2>&1 </dev/null"):format(tree, format:format(...))))
end

local function make(goals, flags)
  return sh("make -s -j2 CC=gcc CFLAGS=-O2 CPPFLAGS=-DSLOW=10 %s %s", flags or "", goals)
end

local function names(folder)
  local list = {}
  for _, path in ipairs(source.files(".", folder, { "c" })) do
    if path:match "^(.*)/" == folder then list[#list + 1] = path:match "([^/]*)%.c$" end
  end
  return list
end

local took = {} -- seconds of each program when first run

-- Does one of these programs, of folder build/WHERE, fail?
local function fails(where, programs, how)
  for _, name in ipairs(programs) do
    local began, limit = os.time(), took[name] and 15 + 3 * took[name] or 300
    local command = "ulimit -t 30; BUILD=build %s timeout %d %s build/%s/%s"
    if not sh(command, SMALL, limit, how or "", where, name) then return name end
    took[name] = took[name] or os.time() - began
  end
end

local function each(format, list)
  local goals = {}
  for i, name in ipairs(list) do goals[i] = format:format(name) end
  return table.concat(goals, " ")
end

local units, processes = names "spec/core", names "spec/process"
for i = #processes, 1, -1 do -- the module's end is no affair of core/
  if processes[i] == "exits" then table.remove(processes, i) end
end
local simulation = { "simulate 1000000" }
local all = each("build/spec/%s", units) .. " build/sim/simulate"

local function tried(noun)
  for _, name in ipairs(units) do
    if name == noun then return true end
  end
  return false
end

-- Each answers what sees the fault, or nil. First what is quick:
local function first_pass(fault)
  local noun = fault.path:match "([^/]*)%.[ch]$"
  if tried(noun) then
    if not make("build/spec/" .. noun) then return "the linker" end
    if fails("spec", { noun }) then return noun end
  end
  if not make(all) then return "the linker" end
  return fails("spec", units) or fails("sim", simulation)
end

-- The programs of the explorer, for some seconds each.
local function scenarios()
  local list = {}
  for _, path in ipairs(source.files(".", "spec/core/explore/scenario", { "c" })) do
    if not path:find "litmus" and not path:find "chance" then -- tests of the explorer itself
      for name in source.read(path):gmatch '\n%s*{"([%w-]+)",' do list[#list + 1] = name end
    end
  end
  return list
end

local function explorer_fails()
  make "build/explore/explore"
  for _, name in ipairs(scenarios()) do
    if not sh("timeout 4 build/explore/explore %s || [ $? = 124 ]", name) then return name end
  end
end

local raced = { "stress", "races", "signals" }

local function second_pass(fault)
  local noun = { fault.path:match "([^/]*)%.[ch]$" }
  if not tried(noun[1]) then noun = {} end
  local by = explorer_fails()
  if by then return "explorer: " .. by end
  by = make(each("build/process/%s", processes)) and fails("process", processes)
  if by then return by end
  make(each("build/thread/process/%s", raced) .. each(" build/thread/spec/%s", noun), "SAN=thread")
  by = fails("thread/process", raced, "setarch -R") or fails("thread/spec", noun, "setarch -R")
  if by then return "thread: " .. by end
  make(each("build/address/spec/%s", noun) .. " build/address/sim/simulate", "SAN=address")
  by = fails("address/spec", noun) or fails("address/sim", simulation)
  return by and "address: " .. by
end

-- ---- the run -------------------------------------------------------------------------------------

local function explained()
  local known, file = {}, io.open(LEDGER)
  for line in file and file:lines() or function() end do
    local path, became = line:match "^| `([^`]*)` | `(.-)` | "
    if path then known[path .. became:gsub("\\|", "|")] = true end
  end
  return known
end

local function objects()
  local pipe = io.popen(("cd %s && cat build/obj/core/*.o | cksum"):format(tree))
  return pipe:read "a", pipe:close()
end

local copied = "rm -rf %s && mkdir -p %s && cp -R Makefile .ci core lua spec examples bench %s"
assert(os.execute(copied:format(tree, tree, tree)))
local as_it_is = make(all) and not first_pass { path = "core/ctx.h" }
assert(as_it_is, "the tests fail as it is: see " .. tree .. "/log")
local intact = objects()
table.sort(units, function(a, b) return took[a] < took[b] end)

local faults = {}
for _, path in ipairs(source.files(".", "core", { "c", "h" })) do
  if path ~= "core/ctx.h" and (not only or path == only) then faults_of(path, faults) end
end
print(("mutate: %d faults can be made; seed %d"):format(#faults, seed))
math.randomseed(seed)
for i = #faults, 2, -1 do
  local j = math.random(i)
  faults[i], faults[j] = faults[j], faults[i]
end

local function with(fault, pass)
  local text, became = applied(fault)
  fault.became = became
  source.write(tree .. "/" .. fault.path, text)
  local answer = pass(fault)
  source.write(tree .. "/" .. fault.path, source.read(fault.path))
  return answer
end

local function judge(fault)
  if not make "build/obj/core.a" then return "invalid" end
  if objects() == intact then return "the same" end
  return first_pass(fault) or second_pass(fault)
end

local known, valid, seen, unexplained = explained(), 0, 0, 0
for _, fault in ipairs(faults) do
  if valid == wanted then break end
  local by = with(fault, judge)
  if by ~= "invalid" and by ~= "the same" then
    valid = valid + 1
    if by then seen = seen + 1 end
    if not by then by = known[fault.path .. fault.became] and "explained" or "NOT SEEN" end
    if by == "NOT SEEN" then unexplained = unexplained + 1 end
    print(("%d/%d %s:%d: %s: %s"):format(seen, valid, fault.path, fault.line, fault.became, by))
    io.stdout:flush()
  end
end
print(("%d of %d faults are seen, %.1f %%; %d of the others are not explained; seed %d"):format(seen, valid,
  100 * seen / math.max(valid, 1), unexplained, seed))
os.exit(valid > 0 and seen >= ENOUGH * valid and unexplained == 0)
