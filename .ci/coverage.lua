-- coverage - which branches the tests have never taken
--
--   lua5.4 .ci/coverage.lua BUILD FOLDER PERCENT...     (needs gcov)
--
-- Reads what a build with SAN=coverage has written in BUILD, and wants at least PERCENT of the branches of
-- the sources in FOLDER taken. A line that cannot be reached says so, and why: /* never: WHY */; its branches
-- do not count. Such a line of which all branches are taken is an error: the word is wrong there. A branch
-- that two threads must meet for says /* race: WHY */; the explorer takes it, these tests may or may not.
-- Prints each line with another branch that was not taken, and answers 0 if there were few enough.

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")

local build = arg[1]

-- A branch that was taken so often may not have been taken at all: a process that ends while its threads run
-- writes down counts that do not agree.
local NOISE = 10

-- branches[path][line] = { count of each branch }, over all objects that hold the line.
local function branches_of(folder)
  local branches = {}
  local command = "for f in %s/obj/%s/*.gcda; do gcov -b -c -t $f 2>/dev/null; done"
  local listing = io.popen(command:format(build, folder))
  local path, at, n
  for text in listing:lines() do
    local number, rest = text:match "^%s*[^:]*:%s*(%d+):(.*)"
    if number == "0" then
      path = rest:match "^Source:(.*)" or path
    elseif number then
      branches[path] = branches[path] or {}
      at, n = branches[path][tonumber(number)] or {}, 0
      branches[path][tonumber(number)] = at
    elseif text:find "^branch" then
      n = n + 1
      at[n] = (at[n] or 0) + (tonumber(text:match "taken (%d+)") or 0)
    end
  end
  listing:close()
  return branches
end

local answer = 0

local function complain(...)
  print((...):format(select(2, ...)))
  answer = 1
end

local function all_happen(counts)
  for _, count in ipairs(counts) do
    if count <= NOISE then return false end
  end
  return #counts > 0
end

local function check(folder, percent)
  local all, taken, excused, missing = 0, 0, 0, {}
  local branches = branches_of(folder)
  for _, path in ipairs(source.files(".", folder, { "c", "h" })) do
    local number = 0
    for line in io.lines(path) do
      number = number + 1
      local counts = branches[path] and branches[path][number] or {}
      local never = 0
      for _, count in ipairs(counts) do if count == 0 then never = never + 1 end end
      if line:find "/%* race" then
        excused = excused + #counts
      elseif line:find "/%* never: " then
        excused = excused + never
        if all_happen(counts) then complain("%s:%d: this does happen: %s", path, number, line) end
      else
        all, taken = all + #counts, taken + #counts - never
        local what = ("%s:%d: %d of %d: %s"):format(path, number, never, #counts, line)
        if never > 0 then missing[#missing + 1] = what end
      end
    end
  end
  local share = 100 * taken / math.max(all, 1)
  if share < percent or all == 0 then
    print(table.concat(missing, "\n"))
    complain("%s: %d of %d branches, %.2f %%: fewer than %s %%", folder, taken, all, share, percent)
  end
  print(("# %s: %d of %d branches, %.2f %%; %d cannot be"):format(folder, taken, all, share, excused))
end

for i = 2, #arg, 2 do check(arg[i], tonumber(arg[i + 1])) end
os.exit(answer)
