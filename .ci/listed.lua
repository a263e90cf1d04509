-- listed - every function that is declared stands on the page that LDoc has made
--
--   lua5.4 .ci/listed.lua TYPES.lua PAGE.html

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")

local page = source.read(arg[2])
local n, missing = 0, 0
for owner, separator, name in source.read(arg[1]):gmatch "\nfunction (%w+)([.:])([%w_]+)%(" do
  local anchor = owner == "ctx" and name or owner .. separator .. name
  n = n + 1
  if not page:find('<a name = "' .. anchor .. '">', 1, true) then
    missing = missing + 1
    print(("%s%s%s is not on the page"):format(owner, separator, name))
  end
end
print(("%s: %d functions, %d missing"):format(arg[2], n, missing))
os.exit(missing == 0 and n > 0)
