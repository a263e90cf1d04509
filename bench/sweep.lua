-- sweep - the workloads that have a size, from ten to ten million: is there a step that the floor has not?
--
--   lua5.4 bench/sweep.lua BUILD [ROUNDS]      (make bench-sweep calls it)
--
-- The best of the rounds goes to bench/results/DATE-sweep.tsv, in lines 'peer workload size ns';
-- bench/plot.lua draws them. Who takes longer than LIMIT seconds, to make ready and to measure, has no
-- point there.

local build, rounds = arg[1], tonumber(arg[2]) or 3
local LIMIT = 40
local sizes = { "10", "100", "1K", "10K", "100K", "1M", "10M" }

-- A workload, the program of ours that runs it, and who runs it beside that and the floor.
local rows = {
  { "W1", "tree", "go" }, { "W2", "deadline", "go" }, { "W4", "tree", "go" }, { "W5", "tree", "go" },
  { "W6", "value", "go" }, { "W7i", "deadline", "go" }, { "W7c", "deadline", "go" },
  { "W7r", "deadline", "go" }, { "W7wi", "wheel", "libev" }, { "W7wc", "wheel", "libev" },
  { "W7wr", "wheel", "libev" },
}

local function sample(program, workload)
  local pipe = io.popen(("timeout %d %s/bench/%s %s 2>/dev/null"):format(LIMIT, build, program, workload))
  local peer, value
  for line in pipe:lines() do
    local p, metric, v = line:match "^([^\t]*)\t[^\t]*\t([^\t]*)\t(%S+)$"
    if metric == "ns" then peer, value = p, tonumber(v) end
  end
  pipe:close()
  return peer, value
end

local best, order, late = {}, {}, {}
for round = 1, rounds do
  for _, row in ipairs(rows) do
    for _, size in ipairs(sizes) do
      for _, program in ipairs { "floor", row[2], row[3] } do
        local workload, peer, value = row[1] .. "-" .. size, nil, nil
        if not late[program .. workload] then peer, value = sample(program, workload) end
        late[program .. workload] = not peer
        local key = peer and table.concat({ peer, row[1], size }, "\t")
        if key and not best[key] then order[#order + 1] = key end
        if key then best[key] = math.min(best[key] or math.huge, value) end
      end
    end
  end
  io.stderr:write(("round %d of %d\n"):format(round, rounds))
end

local path = ("bench/results/%s-sweep.tsv"):format(os.date "!%Y-%m-%d")
local file = assert(io.open(path, "w"))
for _, key in ipairs(order) do file:write(key, "\t", ("%.3f"):format(best[key]), "\n") end
file:close()
print(path)
