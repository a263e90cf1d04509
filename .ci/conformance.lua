-- conformance - every rule of docs/semantics.md is proved by a test that has passed
--
--   lua5.4 .ci/conformance.lua BUILD [all]
--
-- Reads the results of the last `make test` in the folder BUILD, where each line is a
-- language, 'ok', 'not ok' or 'skip', and the name of a test, which carries the numbers of
-- the rules that it proves. A rule wants one in C and one in Lua, but for those listed below.
-- With 'all' it names the tests.

local build = arg[1] or "build"

-- Rules that speak of one language, and why.
local only = {
  A4 = { "Lua", "in C the errors are two numbers" },
  A5 = { "Lua", "the errors are Lua objects" },
  B5 = { "C", "a Lua state has one thread" },
  B10 = { "C", "a Lua handle stays in its state; Lua states on many threads are its own test" },
  C11 = { "C", "it counts the blocks of C; a script may be short of memory for the cause it gives" },
  C14 = { "C", "threads" },
  F7 = { "C", "it counts the blocks of C" },
  H6 = { "C", "stop_wait is of C" },
  L6 = { "Lua", "a traceback is Lua's" },
  P2 = { "Lua", "scripts" },
  Q3 = { "Lua", "in C nobody knows what else can end a wait" },
  Q4 = { "Lua", "programs that print" },
  Q5 = { "Lua", "tasks" },
}
for i = 1, 5 do only["S" .. i] = { "Lua", "a script" } end
for i = 1, 15 do only["R" .. i] = { "Lua", "channels and select are of Lua" } end

-- Rules about what is measured: a program in bench/, which make test builds.
local measured = { B9 = "bench/check.c", D11 = "bench/latency.c" }

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")

local function lines_of(path)
  return source.read(path):gmatch "[^\n]+"
end

-- The numbers of all rules, in the order of the document.
local function read_rules()
  local rules, known = {}, {}
  local function add(rule)
    if not known[rule] then table.insert(rules, rule) end
    known[rule] = true
  end
  for line in lines_of "docs/semantics.md" do
    if line:find "^## Readings" then break end
    local rule = line:match "^%- (%u%d+) "
    if rule then add(rule) end
    if line:find "^%*%*S%d" then
      for scenario in line:gmatch "%f[%w]S%d%f[%W]" do add(scenario) end
    end
  end
  return rules
end

-- rule -> language -> names of tests, for those that have passed; and those that have not.
local function read_results()
  local proofs, broken = {}, {}
  for line in lines_of(build .. "/results") do
    local language, verdict, name = line:match "^(%S+) (.-) %- (.*)$"
    local into = verdict == "ok" and proofs or verdict == "not ok" and broken or nil
    if into then
      for rule in name:gmatch "%f[%w]%u%d+%f[%W]" do
        into[rule] = into[rule] or { C = {}, Lua = {} }
        table.insert(into[rule][language], name)
      end
    end
  end
  return proofs, broken
end

if not io.open(build .. "/results") then
  print("not ok - no results in " .. build .. ": run make test first")
  os.exit(1)
end
local proofs, broken = read_results()
local missing = 0

local function tell(ok, rule, text)
  if not ok then missing = missing + 1 end
  print(("%s - %s: %s"):format(ok and "ok" or "not ok", rule, text))
end

local function exists(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

local function check(rule)
  local program = measured[rule]
  if program then
    local built = exists(program) and exists(build .. "/" .. program:gsub("%.c$", ""))
    return tell(built, rule, program .. ", built")
  end
  local wanted = only[rule] and { only[rule][1] } or { "C", "Lua" }
  for _, language in ipairs(wanted) do
    local n = proofs[rule] and #proofs[rule][language] or 0
    if broken[rule] and #broken[rule][language] > 0 then
      tell(false, rule, language .. ": has failed: " .. broken[rule][language][1])
    else
      tell(n > 0, rule, ("%s: %d test(s)"):format(language, n))
    end
    if arg[2] == "all" and proofs[rule] then
      for _, name in ipairs(proofs[rule][language]) do print("    " .. name) end
    end
  end
end

local rules = read_rules()
for _, rule in ipairs(rules) do check(rule) end
print(("# %d rules, %d proofs missing"):format(#rules, missing))
os.exit(missing == 0 and #rules > 100)
