-- known - what there is in the tree that a text may name
--
-- Gives a function from the folder of the tree to a table: its 'comments' and its 'documents', by path, and
-- what .ci/names.lua asks about the names in them.

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")

local FOLDERS = "core lua spec examples bench .ci"

local function learn(words, text)
  for word in text:gmatch "[%a_][%w_]*" do words[word] = true end
end

-- Each end of a path, from one of its parts on, and the file without its ending.
local function learn_path(files, path)
  for at in ("/" .. path):gmatch "()/" do files[path:sub(at)] = true end
  files[path:match "([^/]*)%.%w+$" or path:match "[^/]*$"] = true
end

local function read_tree(known, root)
  local command = "cd '%s' && find . -path ./build -prune -o -path ./.git -prune -o -print"
  for path in io.popen(command:format(root)):lines() do
    path = path:sub(3)
    learn_path(known.files, path)
    if path:find "%.md$" then known.documents[path] = source.read(root .. "/" .. path) end
  end
end

local function read_code(known, root)
  local list = {}
  for _, path in ipairs(source.files(root, FOLDERS, { "c", "h", "lua" })) do
    local code, comments = source.split(source.read(root .. "/" .. path), path)
    for header in code:gmatch "#%s*include%s*<([^>]*)>" do learn_path(known.files, header) end
    known.comments[path] = comments
    list[#list + 1] = code
  end
  known.code = table.concat(list, "\n")
  learn(known.words, known.code)
end

local function read_scripts(known, root)
  local makefile = source.read(root .. "/Makefile")
  for list in makefile:gmatch "\n%.PHONY:([^\n]*)" do
    for target in list:gmatch "%S+" do known.targets[target] = true end
  end
  known.comments.Makefile = ("\n" .. makefile):gsub("\n[^#\n][^\n]*", "\n"):sub(2)
  local list = { makefile, source.read(root .. "/.ci/deps") }
  for _, path in ipairs(source.files(root, FOLDERS, { "sh" })) do
    list[#list + 1] = source.read(root .. "/" .. path)
  end
  known.script = table.concat(list, "\n")
  learn(known.words, known.script)
end

-- What the module and its objects have; known.module: what may stand after 'ctx.'.
local function read_members(known, root)
  local types = source.read(root .. "/lua/ctx/types.lua")
  local function add(owner, name)
    known.members[name] = true
    if owner == "ctx" then known.module[name] = true end
  end
  for owner, name in types:gmatch "\nfunction (%w+)[.:]([%w_]+)%(" do add(owner, name) end
  for owner, name in types:gmatch "\n(%w+)%.([%w_]+) = " do add(owner, name) end
  for class in types:gmatch "%-%-%-@%l+ ctx%.([%w_]+)" do add("ctx", class) end
  for name in pairs(known.files) do add("ctx", name:match "^ctx/(%l+)%.lua$" or "core") end
  for name in pairs(string) do known.members[name] = true end
  for name in pairs(getmetatable(io.stdout).__index) do known.members[name] = true end
end

local methods = {}
methods.__index = methods

-- Some word begins so.
function methods:has_prefix(prefix)
  return self.code:find("%f[%w_]" .. prefix) ~= nil
end

-- It ends the path of a file, or a script speaks of it.
function methods:has_file(path)
  return self.files[path] or self.script:find("%f[%w]" .. path:gsub("%p", "%%%0") .. "%f[^%w]") ~= nil
end

-- A scenario, a planted bug, a target.
function methods:has_hyphened(name)
  return self:has_file(name) or self.code:find('"' .. name .. '"', 1, true) ~= nil
end

function methods:text_of(path)
  local file <close> = io.open(self.root .. "/" .. path)
  return file and file:read "a" or ""
end

return function(root)
  local known = setmetatable({ root = root }, methods)
  for table_name in ("comments documents files words targets members module"):gmatch "%l+" do
    known[table_name] = {}
  end
  read_tree(known, root)
  read_code(known, root)
  read_scripts(known, root)
  read_members(known, root)
  return known
end
