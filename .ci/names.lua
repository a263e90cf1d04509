-- names - every name that a comment in C mentions exists
--
--   lua5.4 .ci/names.lua [ROOT]
--
-- Looks, in the comments of core/ and lua/binding/, for what is spelled like a
-- name of ours: ctx_x, ctx__x, CTX_X, x_locked, x() and files. 'ctx_with_*'
-- stands for all names that begin so; 'x();' is an example's.

local root = arg[1] or "."
local here = arg[0]:match "^(.*/)" or "./"
local source = dofile(here .. "source.lua")

-- Functions of others that a comment may mention with their parentheses.
local foreign = {}
for name in ([[
  abort close dlclose dlopen exit fork free malloc poll read realloc write
]]):gmatch "%w+" do foreign[name] = true end

local function is_foreign(name)
  return foreign[name] or name:find "^lua_" or name:find "^luaL_" or name:find "^pthread_"
end

local words, code_text, comments = {}, {}, {}

for _, path in ipairs(source.files(root, "core lua spec/core", { "c", "h", "lua" })) do
  local code, comment = source.split(source.read(root .. "/" .. path), path)
  for word in code:gmatch "[%a_][%w_]*" do words[word] = true end
  for header in code:gmatch "#%s*include%s*<([^>]*)>" do words[header:match "[^/]*$"] = true end
  code_text[#code_text + 1] = code
  if path:find "^core/" or path:find "^lua/binding/" then
    comments[#comments + 1] = { path = path, text = comment }
  end
end
for _, path in ipairs(source.files(root, ".", { "c", "h", "lua" })) do
  words[path:match "[^/]*$"] = true
end
code_text = table.concat(code_text, "\n")

local function exists(name, prefix)
  if not prefix then return words[name] ~= nil end
  return code_text:find("%f[%w_]" .. name) ~= nil
end

-- The names of ours in a line, each with: does it stand for many?
local function names_in(line, found)
  for at, name, after in line:gmatch "()([%a_][%w_]*)()" do
    local rest = line:sub(after)
    local ending = rest:match "^%.(%a+)%f[^%w_]"
    if ending == "c" or ending == "h" or ending == "lua" then
      found(name .. "." .. ending)
    elseif rest:find "^%(%)" and rest:sub(3, 3) ~= ";" and not line:sub(1, at - 1):find "[.:]$" then
      if not is_foreign(name) then found(name) end
    elseif name:find "^ctx_" or name:find "^CTX_" or name:find "_locked$" then
      found(name, rest:find "^%*" or name:find "_$")
    end
  end
end

local stale = 0
for _, comment in ipairs(comments) do
  source.each_line(comment.text, function(line, number)
    names_in(line, function(name, prefix)
      if exists(name, prefix) then return end
      stale = stale + 1
      print(("%s:%d: there is no %s"):format(comment.path, number, name))
    end)
  end)
end

print(("names: the comments of %d files, %d stale names"):format(#comments, stale))
os.exit(stale == 0 and #comments > 0)
