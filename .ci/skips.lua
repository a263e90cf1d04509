-- skips - what spec/skips.txt leaves out is a test that exists, and says why
--
--   lua5.4 .ci/skips.lua [ROOT]

local root = arg[1] or "."
local here = arg[0]:match "^(.*/)" or "./"
local source = dofile(here .. "source.lua")

local tests = {}
for _, path in ipairs(source.files(root, "spec", { "c", "lua" })) do
  tests[#tests + 1] = source.read(root .. "/" .. path)
end
tests = table.concat(tests)

local stale = 0
for line in io.lines(root .. "/spec/skips.txt") do
  local title = line:match "^[%w-]+ | [^:|]+: ([^|]+) | [^|]+$"
  local known = title and tests:find('"' .. title .. '"', 1, true)
  if not line:find "^#" and not known then
    print("spec/skips.txt: there is no such test: " .. line)
    stale = stale + 1
  end
end
os.exit(stale == 0)
