-- amalgamate - ctx.c and ctx.h: the core as two files to drop into a project
--
--   lua5.4 .ci/amalgamate.lua FOLDER
--
-- Each header stands where it is first included. Names that are
-- private to one source get its name in front where another source has the same.

local folder = assert(arg[1], "the folder to write to is wanted")

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")
local read, write = source.read, source.write

local sources = source.files(".", "core", { "c" })

-- ---- private names that several sources have ------------------------------

local owners = {} -- name -> list of sources

-- Names of functions, objects, structs and enumerations that a source defines for itself.
local function private_names(text)
  local names = {}
  text = text:gsub("/%*.-%*/", ""):gsub("//[^\n]*", "")
  for line in text:gmatch "[^\n]+" do
    if line:find "^static " then
      local name = line:match "([%a_][%w_]*)%s*%(" or line:match "([%a_][%w_]*)%s*%[?[^=;{]*[=;{]"
      local object = line:match "([%a_][%w_]*)%s*;%s*$" or line:match "([%a_][%w_]*)%s*%b[]%s*[=;]"
        or line:match "([%a_][%w_]*)%s*=" or line:match "([%a_][%w_]*)%s*%b[]%s*$"
      names[line:find "%b()" and name or object or name or ""] = true
    end
    local struct = line:match "^struct ([%a_][%w_]*) {" or line:match "^static struct ([%a_][%w_]*) {"
    if struct then names[struct] = true end
    for constant in (line:match "^enum %b{}" or ""):gmatch "%f[%w_]([%u][%u%d_]+)%f[^%w_]" do
      names[constant] = true
    end
    local define = line:match "^#define ([%a_][%w_]*)"
    if define then names[define] = true end
  end
  names[""] = nil
  return names
end

for _, path in ipairs(sources) do
  for name in pairs(private_names(read(path))) do
    owners[name] = owners[name] or {}
    table.insert(owners[name], path)
  end
end

local function rename(path, text)
  local stem = path:match "([^/]*)%.c$"
  return (text:gsub("[%a_][%w_]*", function(name)
    local list = owners[name]
    if not list or #list < 2 then return nil end
    for _, owner in ipairs(list) do
      if owner == path then return "ctx__" .. stem .. "__" .. name end
    end
  end))
end

-- ---- names that the sources give each other: none without ctx leaves the object ----

local shared = {}
for _, path in ipairs(source.files(".", "core", { "h" })) do
  if path ~= "core/ctx.h" then
    for line in read(path):gsub("/%*.-%*/", ""):gmatch "[^\n]+" do
      local name = line:match "^[%a][%w_%s*]-[%s*]([%a_][%w_]*)%("
      if name and not line:find "^static" and not name:find "^ctx_" and not name:find "^__" then
        shared[name] = true
      end
    end
  end
end

local function rename_shared(text)
  return (text:gsub("[%a_][%w_]*", function(name) return shared[name] and "ctx__" .. name end))
end

-- ---- one after the other ----------------------------------------------------

local parts, included = {}, { ["core/ctx.h"] = true }

-- The text of a file, with that of each header where it is first included.
local function expand(path)
  included[path] = true
  local text = read(path)
  if path:find "%.c$" then text = rename(path, text) end
  if path ~= "core/ctx.h" then text = rename_shared(text) end
  text = text:gsub('#include "([^"]*)"\n', function(name)
    local header = "core/" .. name
    return included[header] and "" or expand(header)
  end)
  return ("/* ---- %s ---- */\n\n%s\n"):format(path:match "[^/]*$", text)
end

table.insert(parts, [[
/*
 * ctx - a context engine for C, all of it: cc -c ctx.c -pthread
 *
 * Made of the files of core/ by make amalgamation.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
]])
table.insert(parts, expand "core/platform.h")
table.insert(parts, '#include "ctx.h"\n')
for _, path in ipairs(sources) do table.insert(parts, expand(path)) end

write(folder .. "/ctx.c", table.concat(parts, "\n"))
write(folder .. "/ctx.h", read "core/ctx.h")
