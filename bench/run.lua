-- run - every workload by every peer, in rounds; the table
--
--   lua5.4 bench/run.lua BUILD [ROUNDS [WORKLOAD]]      (make bench calls it)
--
-- In each round each program runs each workload once, the peers of one workload next to each other. So
-- what is compared has met the same noise. A figure of the table is the best of the rounds; a ratio is
-- the median of the ratios in each. The samples go to bench/results/DATE.tsv, the table to bench/README.md.

local build, rounds, only = arg[1], tonumber(arg[2]) or 7, arg[3] ~= "" and arg[3] or nil
local lua = os.getenv "LUA" or "lua5.4"

-- ---- who takes part ---------------------------------------------------------------------------

-- Each peer: what runs it, per workload; and how to get it.
local function program(name) return build .. "/bench/" .. name end
local function script(name) return lua .. " bench/" .. name end

local ours = {
  W1 = "tree", W2 = "deadline", W3 = "check", W3c = "check", W3d = "check", W4 = "tree", W5 = "tree",
  W6 = "value", W6c = "value",
  W7i = "deadline", W7c = "deadline", W7r = "deadline", W7wi = "wheel", W7wc = "wheel", W7wr = "wheel",
  W7f = "wheel",
  W8p = "contention", W8o = "contention", W9 = "wait", Mc = "memory", Md = "memory",
}

local peers = {
  { "floor", function(w) return w:find "^W10" and script "peers/ring.lua" or program "floor" end },
  { "ctx", function(w) return ours[w] and program(ours[w]) or script "tasks.lua" end },
  { "Go", function() return program "go" end, install = "apt-get install golang-go" },
  { "libev", function() return program "libev" end, install = "apt-get install libev-dev" },
  { "libuv", function() return program "libuv" end, install = "apt-get install libuv1-dev" },
  { "GLib", function() return program "glib" end, install = "apt-get install libglib2.0-dev" },
  { "luv", function() return script "peers/luv.lua" end, install = "apt-get install lua-luv" },
  { "cqueues", function() return script "peers/cqueues.lua" end, install = "apt-get install lua-cqueues" },
  { "copas", function() return script "peers/copas.lua" end,
    install = "luarocks --lua-version=5.4 install copas" },
}

-- ---- what is run, and what is wanted ------------------------------------------------------------

-- A workload, who runs it beside ctx, and the targets: at most so many times what another needs, or
-- another workload of ctx; at most, or at least, so much.
local rows = {
  { "W1", "floor Go GLib", { floor = 1.25, Go = 0.22 } },
  { "W2", "floor Go", { floor = 1.0, Go = 0.13 } },
  { "W2-1M", "floor Go", { ["ctx W2"] = 1.1 } },
  { "W3", "floor Go GLib", { floor = 1.2, Go = 0.06 } },
  { "W3c", "", {} },
  { "W3d", "", {} },
  { "W4-10", "floor Go", {} },
  { "W4-1K", "floor Go", { floor = 2 } },
  { "W4-1M", "floor Go", { floor = 2, Go = 0.1 } },
  { "W5-10", "floor Go", {} },
  { "W5-1K", "floor Go", { floor = 2 } },
  { "W5-1M", "floor Go", { floor = 2, Go = 0.035 } },
  { "W6-1", "floor Go", {} },
  { "W6-10", "floor Go", {} },
  { "W6-100", "floor Go", { Go = 0.05 } },
  { "W6c-100", "Go", { ["ctx W6-100"] = 1.05 } },
  { "W7wi-1M", "libev libuv", { libev = 0.25 } },
  { "W7wc-1M", "libev libuv", { libev = 0.25 } },
  { "W7wr-1M", "libev libuv", { libev = 0.25 } },
  { "W7i-1M", "floor Go", { Go = 0.1 } },
  { "W7c-1M", "floor Go", { Go = 0.2 } },
  { "W7r-1M", "floor Go", { Go = 0.2 } },
  { "W7f-1M", "Go libev", { most = 100, libev = 0.21 } },
  { "W7f-1M p99 us", "Go libev", { libev = 1 } },
  { "W7f-1M max us", "Go libev", { most = 5000 } },
  { "W8p", "floor Go", { least = 1.5 } },
  { "W8o", "floor Go", { least = 1.9 } },
  { "W9", "floor Go", { floor = 1.05 } },
  { "W10c-1", "floor luv cqueues copas", {} },
  { "W10c-1K", "floor luv cqueues copas", { floor = 1.35, copas = 0.55, cqueues = 0.45, luv = 0.35 } },
  { "W10c-100K", "floor luv cqueues copas", { floor = 1.35, copas = 0.55, cqueues = 0.45, luv = 0.35 } },
  { "W10s", "cqueues copas", {} },
  { "W10t", "luv", { luv = 0.25 } },
  { "Mc", "Go", { most = 96 } },
  { "Mc resident", "", {} },
  { "Md", "Go", { most = 136 } },
  { "Md resident", "", {} },
}

local QUICK = { W1 = true, W2 = true, W3 = true, ["W4-1K"] = true, ["W5-1K"] = true, ["W6-100"] = true,
  ["W7wi-1M"] = true, W8p = true, W9 = true, ["W10c-1K"] = true, W10t = true, Mc = true, Md = true }

local function is_wanted(workload)
  if only == "QUICK" then return QUICK[workload] end
  return not only or workload:find("^" .. only .. "%f[%W]") or workload:match "^%u%d*" == only
end

local meaning = {
  W1 = "a child that is made, canceled, released", W2 = "the same with a timeout of an hour; beside N others",
  W3 = "is it done? live", W3c = "the same by a call", W3d = "the same with a deadline above",
  W4 = "a parent of N children is canceled, each", W5 = "a chain of N is canceled, each",
  W6 = "a value N layers up", W6c = "the same with cancel layers between",
  W7wi = "the wheel alone: N are put in, each", W7wc = "taken out in order", W7wr = "taken out at random",
  W7i = "N timeouts are made, each", W7c = "and canceled in order", W7r = "and canceled at random",
  W7f = "N timers over 2 s: the processor's time for each, or how late",
  W8p = "two threads on one parent, over one: x", W8o = "two threads on parents of their own, over one: x",
  W9 = "from a cancel to the return of a waiter in another thread",
  W10c = "Lua: one of N tasks sleeps 0 s and goes on", W10s = "Lua: a task is made, runs, ends",
  W10t = "Lua: a timeout of an hour is made and canceled",
  Mc = "a live child: bytes", Md = "a live child with a timeout: bytes",
}

if only and only ~= "QUICK" then
  local names, any = {}, false
  for _, row in ipairs(rows) do
    local name = row[1]
    if not name:find " " then names[#names + 1] = name end
    any = any or is_wanted(name:match "^%S+")
  end
  if not any then
    io.stderr:write(("bench: there is no workload %s, only %s\n"):format(only, table.concat(names, " ")))
    os.exit(1)
  end
end

-- ---- the rounds -----------------------------------------------------------------------------------

local samples, missing = {}, {} -- samples[row][peer] = { a value each round }
local raw = {}

local function keep(peer, workload, metric, value, round)
  local row = samples[workload .. " " .. metric] and workload .. " " .. metric or workload
  if samples[row] and (row ~= workload or metric == "ns" or metric == "x" or metric == "bytes") then
    samples[row][peer] = samples[row][peer] or {}
    samples[row][peer][round] = value
  end
  raw[#raw + 1] = table.concat({ round, peer, workload, metric, ("%.3f"):format(value) }, "\t")
end

local function run(peer, workload, round)
  local command = ("%s %s 2>/dev/null"):format(peer[2](workload:match "^%w+"), workload)
  local pipe, n = io.popen(command), 0
  for line in pipe:lines() do
    local _, _, metric, value = line:match "^([^\t]*)\t([^\t]*)\t([^\t]*)\t(%S+)$"
    if metric then
      n = n + 1
      keep(peer[1], workload, metric, tonumber(value), round)
    end
  end
  pipe:close()
  if n > 0 then return end
  missing[peer[1]] = peer.install or "make"
  io.stderr:write(("bench: %s is not here: %s\n"):format(peer[1], missing[peer[1]]))
end

for _, row in ipairs(rows) do samples[row[1]] = {} end
samples.core = {}

-- How many of 4 additions the core makes at once: half of them while a neighbour runs on it, too. Then
-- code of many instructions is slow, and a floor of few is not.
local SHARED = 3

local function look_at_core(round)
  run(peers[1], "core", round)
  local width = samples.core.floor and samples.core.floor[round] or SHARED
  if width >= SHARED then return end
  io.stderr:write(("bench: somebody else uses the core: %.1f of 4 additions at once\n"):format(width))
end

for round = 1, rounds do
  look_at_core(round)
  for _, row in ipairs(rows) do
    local workload, others = row[1], " ctx " .. row[2] .. " "
    if not workload:find " " and is_wanted(workload) then
      for _, peer in ipairs(peers) do
        local takes_part = others:find(" " .. peer[1] .. " ", 1, true) and not missing[peer[1]]
        if takes_part then run(peer, workload, round) end
      end
    end
  end
  io.stderr:write(("round %d of %d\n"):format(round, rounds))
end

-- ---- the table --------------------------------------------------------------------------------------

local function sorted(list)
  local copy = {}
  for _, v in pairs(list) do copy[#copy + 1] = v end
  table.sort(copy)
  return copy
end

local function best(row, peer)
  local list = samples[row][peer] and sorted(samples[row][peer])
  if not list or #list == 0 then return nil end
  return (row:find "^W8") and list[#list] or list[1]
end

-- The median, over the rounds, of ctx over another.
local function ratio(row, other)
  local mine, theirs = samples[row].ctx, samples[row][other]
  local same = other:match "^ctx (.*)"
  if same then theirs = samples[same].ctx end
  local list = {}
  for round, value in pairs(mine or {}) do
    if theirs and theirs[round] then list[#list + 1] = value / theirs[round] end
  end
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function number(x)
  return x and (x >= 100 and "%.0f" or x >= 10 and "%.1f" or x >= 1 and "%.2f" or "%.3f"):format(x) or ""
end

-- What is wanted of a row, in words, and whether all of it holds.
local function judge(row, targets)
  local words, met, names = {}, true, {}
  for name in pairs(targets) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local limit, own = targets[name], best(row, "ctx")
    local value = (name == "most" or name == "least") and own or ratio(row, name)
    if value and (name == "least" and value < limit or name ~= "least" and value > limit) then met = false end
    local bound = name == "most" and "<= %g" or name == "least" and ">= %g"
    if value then
      words[#words + 1] = bound and bound:format(limit) or ("%s of %gx %s"):format(number(value), limit, name)
    end
  end
  return table.concat(words, ", "), #words == 0 and "" or met and "yes" or "**no**"
end

local function facts(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe:read "l" or "?"
  pipe:close()
  return text
end

local function core_line()
  local width = sorted(samples.core.floor or {})
  if #width == 0 then return "" end
  local line = ("Of 4 additions the core made %.1f to %.1f at once."):format(width[1], width[#width])
  if width[1] >= SHARED then return line end
  return line .. " Somebody else used it, too: what has many instructions looks slow beside its floor."
end

local lines = only and {} or {
  "# What it costs",
  "",
  "Written by `make bench`, like the samples in `bench/results/`. Nanoseconds of one operation, unless it",
  "says otherwise: the best of the rounds. A ratio is ctx over another, the median over the rounds; the",
  "target stands beside it. The floor is a program that does only what the workload needs (`floor.c`).",
  "What was done for these figures, and what bounds those that miss their target, is told in",
  "[docs/performance.md](../docs/performance.md).",
  "",
}
for _, line in ipairs {
  ("%s, %s, %s, %s, Lua %s, rounds: %d, %s."):format(
    facts "sed -n 's/^model name.*: //p' /proc/cpuinfo", facts "nproc" .. " processors", facts "uname -s",
    facts "gcc --version", _VERSION:match "%S+$", rounds, os.date "!%Y-%m-%d"),
  "",
  core_line(),
  "",
  "| workload | what | floor | ctx | others | target | met |",
  "| --- | --- | ---: | ---: | --- | --- | --- |",
} do lines[#lines + 1] = line end
for _, row in ipairs(rows) do
  if is_wanted(row[1]:match "^%S+") and samples[row[1]].ctx then
    local others = {}
    for _, peer in ipairs(peers) do
      local value = peer[1] ~= "floor" and peer[1] ~= "ctx" and best(row[1], peer[1])
      if value then others[#others + 1] = peer[1] .. " " .. number(value) end
    end
    local target, met = judge(row[1], row[3])
    lines[#lines + 1] = ("| %s | %s | %s | %s | %s | %s | %s |"):format(row[1],
      meaning[row[1]:match "^%w+"], number(best(row[1], "floor")), number(best(row[1], "ctx")),
      table.concat(others, ", "), target, met)
  end
end
for name, how in pairs(missing) do lines[#lines + 1] = ("\n%s is not here: %s"):format(name, how) end

local text = table.concat(lines, "\n") .. "\n"
io.write(text)
if only then return end
local function write(path, what)
  local file = assert(io.open(path, "w"))
  file:write(what)
  file:close()
end
write("bench/README.md", text)
write(("bench/results/%s.tsv"):format(os.date "!%Y-%m-%d"), table.concat(raw, "\n") .. "\n")
