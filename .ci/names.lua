-- names - every name that a comment or a document mentions exists
--
--   lua5.4 .ci/names.lua [ROOT]
--
-- Reads the comments of all C and Lua and of the Makefile, and of the documents what stands between backticks
-- or in a block of code. .ci/known.lua says what there is. What is taken for a name, and where it is to be:
--
--   x_y  X_*              in code; the second stands for all that begin so
--   x()                   in code
--   x.c  x/y.lua  x/      in the tree, at the end of a path
--   build/x               what the Makefile or the name of a file has
--   ctx.x  c:x()          in lua/ctx/types.lua
--   make x  X=            a target of the Makefile; in what reads it: between backticks, or indented
--   x-y                   between backticks, alone: a scenario, a planted bug, a target
--   `x.c` "y", "z"        in a document: the file has these texts, word for word; [y](x.c) is there, too
--
-- A name of one letter, or in capitals where a file is meant, stands for any.

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")
local known = dofile((arg[0]:match "^(.*/)" or "./") .. "known.lua")(arg[1] or ".")

-- What is mentioned on purpose and is not here: files of users, what others have, a name that is not taken.
local foreign = {}
for name in ([[
  request.c host.c work.lua script.lua handler.lua fun use_counters _FORTIFY_SOURCE ctx_t
]]):gmatch "%S+" do foreign[name] = true end

local ENDINGS = { c = true, h = true, lua = true, md = true, sh = true, pc = true, patch = true }

local function check_words(line, miss)
  for before, name, after in line:gmatch "([.:]?)%f[%w_]([%a_][%w_]*)()" do
    local is_foreign = name:find "^luaL?_" or name:find "^pthread_"
    local is_call = before == "" and line:find("^%(%)", after) and #name > 1
    if name:find "%w_" and #name > 3 then
      local stands_for_many = name:find "_$" or line:find("^%*", after)
      local exists = known.words[name] or stands_for_many and known:has_prefix(name)
      local is_file = line:find("^%.%l", after)
      if not (exists or is_foreign or is_file) then miss(name) end
    elseif is_call and not known.words[name] then
      miss(name)
    end
  end
end

local function check_members(line, miss)
  for name in line:gmatch "%f[%w_.]ctx%.([%a_][%w_]*)" do
    local is_gos = name:find "^%u%l"
    if not (is_gos or #name == 1 or ENDINGS[name] or known.module[name]) then miss("ctx." .. name) end
  end
  for name in line:gmatch "%f[%w_]%a+:(%l[%w_]+)%(" do
    if not known.members[name] then miss(":" .. name) end
  end
end

local function check_path(path, miss)
  if path:find "^build/" then
    for part in path:gmatch "/([^/]+)" do
      if part:find "%l" and not known:has_file(part) then miss(path) end
    end
    return
  end
  local stem, ending = path:match "([%w_-]*)%.(%l+)$"
  local is_any = path:find "[*%%]" or stem and (#stem < 2 or stem == stem:upper())
  if ENDINGS[ending] and not known:has_file(path) and not is_any then miss(path) end
  if path:find "^%l[%l_/]+/$" and not known:has_file(path:sub(1, -2)) then miss(path) end
end

-- What is code as a whole, and not only about code.
local function check_code(code, miss)
  for name in code:gmatch "%f[%w_](%u[%u_]+)=%f[^=]" do
    if not known.words[name] then miss(name .. "=") end
  end
  for target in code:gmatch "%f[%w]make (%l[%w-]*)" do
    if not known.targets[target] and #target > 1 then miss("make " .. target) end
  end
  local method = code:match "^%l+:(%l[%w_]*)$"
  if method and not known.members[method] then miss(code) end
  if code:find "^%l+%-[%l%d-]+$" and not known:has_hyphened(code) then miss(code) end
end

-- Of a file between backticks, the texts that it is said to have.
local function check_quotes(line, miss)
  for path, after in line:gmatch "`([%w_./-]+)`()" do
    local quote, rest = line:match('^ "([^"]+)"()', after)
    while quote do
      if not known:text_of(path):find(quote, 1, true) then miss(('"%s" in %s'):format(quote, path)) end
      quote, rest = line:match('^, "([^"]+)"()', rest)
    end
  end
end

local stale = {}

local function teller(path, number)
  return function(name)
    if not foreign[name] then stale[#stale + 1] = ("%s:%d: there is no %s"):format(path, number, name) end
  end
end

local function check_paths(text, miss)
  for path in text:gmatch "[%w_./*%%-]+" do check_path(path:gsub("%.$", ""):gsub("^[./]*/", ""), miss) end
end

local function check_names(text, miss)
  check_words(text:gsub("%-D", " "), miss)
  check_members(text, miss)
  check_paths(text, miss)
end

for path, comments in pairs(known.comments) do
  source.each_line(comments, function(line, number)
    local miss = teller(path, number)
    check_names(line, miss)
    for code in line:gmatch "`([^`]+)`" do check_code(code, miss) end
    check_code(line:match "^%A+   (make .*)" or "", miss)
  end)
end

for path, document in pairs(known.documents) do
  local is_block, is_span = false, false
  source.each_line(document, function(line, number)
    local miss = teller(path, number)
    local function check(code)
      check_names(code, miss)
      check_code(code, miss)
    end
    if line:find "^%s*```" then
      is_block = not is_block
    elseif is_block then
      check(line)
    else
      is_span = is_span and line ~= ""
      for part, tick in line:gmatch "([^`]*)(`?)" do
        if is_span then check(part) end
        is_span = is_span ~= (tick == "`") -- and so into the next line
      end
      for link in line:gmatch "%]%(([^)#:]+)" do check_paths(link, miss) end
      check_quotes(line, miss)
    end
  end)
end

table.sort(stale)
for _, line in ipairs(stale) do print(line) end
print(("names: %d stale"):format(#stale))
os.exit(#stale == 0)
