-- reference - the contracts of the C headers as one page
--
--   lua5.4 .ci/reference.lua PAGE.html HEADER...
--
-- A header is a row of comments and of what they are about: each comment goes with the declarations
-- that follow it, until the next one; a line '/* ---- title ---- */' begins a section. Fails when a
-- public name that a header declares is not on the page.

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

-- A comment without its marks.
local function text_of(comment)
  local lines = {}
  for line in (comment:sub(3, -3) .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line:gsub("^ %* ?", "")
  end
  return (table.concat(lines, "\n"):gsub("^%s*\n", ""):gsub("^ ", ""):gsub("%s+$", ""))
end

-- Declarations as they stand, but for bodies, and for what is nobody's affair.
local function declarations_of(code)
  code = code:gsub("\n#ifdef __cplusplus.-\n#endif", ""):gsub("CTX_API ", "")
  code = code:gsub("\nstatic inline ([^{]*)(%b{})", "\n%1;"):gsub("%)%s*\n?;", ");")
  local kept = {}
  for part in (code .. "\n"):gmatch "(.-)\n\n*%f[^\n]" do
    kept[#kept + 1] = part
  end
  code = table.concat(kept, "\n")
  code = code:gsub("\n#%a+[^\n]*", function(line)
    local name = line:match "#define ([Cc][Tt][Xx]_[%w_]+)"
    return name and not name:find "^[Cc][Tt][Xx]__" and not name:find "_H$" and line or ""
  end)
  return (code:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- The names that a piece of code declares, of those that are promised.
local function names_of(code)
  local names = {}
  local function add(name)
    if name:find "^[Cc][Tt][Xx]_[%w]" and not name:find "_H$" and not names[name] then
      names[name] = true
      names[#names + 1] = name
    end
  end
  for name in code:gmatch "#define ([%w_]+)" do add(name) end
  local rest = ("\n" .. code):gsub("\n#[^\n]*", "\n"):gsub("/%*.-%*/", "")
  for name in rest:gmatch "}%s*([%w_]+)%s*;" do add(name) end
  for name in rest:gmatch "typedef struct [%w_]+ ([%w_]+)%s*;" do add(name) end
  for body in rest:gmatch "enum[%w_%s]*(%b{})" do
    for name in body:gmatch "%f[%w_](CTX_[%w_]+)" do add(name) end
  end
  for name in rest:gsub("%b{}", ""):gmatch "%f[%w_](ctx_[%w_]+)%(" do add(name) end
  for name in rest:gmatch "typedef [^;{]-%(%*([%w_]+)%)%(" do add(name) end
  return names
end

-- The comments that stand at the beginning of a line, with the code after each.
local function items_of(header)
  local items, at = {}, 1
  header = "\n" .. header
  while true do
    local from, to = header:find("\n/%*.-%*/", at)
    if not from then return items end
    local next_from = header:find("\n/%*", to + 1) or #header
    local comment, code = header:sub(from + 1, to), header:sub(to + 1, next_from)
    items[#items + 1] = { section = comment:match "^/%* %-+ (.-) %-+ %*/$", comment = comment, code = code }
    at = to + 1
  end
end

local page, known = {}, {}
local function put(format, ...) page[#page + 1] = format:format(...) end

local function put_item(item)
  local code = declarations_of(item.code)
  local names = names_of(code)
  local is_private = code:find "ctx__" and #names == 0
  if item.section then put("<h2>%s</h2>", escape(item.section)) end
  if is_private or (item.section and code == "") then return end
  for _, name in ipairs(names) do
    known[name] = true
    put('<a id="%s"></a>', name)
  end
  if code ~= "" then put('<pre class="code">%s</pre>', escape(code)) end
  if not item.section then put('<pre>%s</pre>', escape(text_of(item.comment))) end
end

local style = [[body { max-width: 54em; margin: 2em auto; font-family: sans-serif; padding: 0 1em }
pre { white-space: pre-wrap; line-height: 1.4; margin: 0 0 1.5em 0 }
pre.code { background: #f0f0f0; padding: .6em; margin: 1.5em 0 .6em 0; font-weight: bold }]]

local path = arg[1]
put '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>ctx: C reference</title>'
put("<style>%s</style>", style)
put "<h1>ctx: C reference</h1>"
local contents = #page + 1
page[contents] = ""

local missing = 0
for i = 2, #arg do
  local header = source.read(arg[i])
  put("<h1>%s</h1>", escape(arg[i]:match "[^/]*$"))
  for _, item in ipairs(items_of(header)) do put_item(item) end
  for _, name in ipairs(names_of(header:gsub("CTX_API ", ""))) do
    if not known[name] then
      missing = missing + 1
      print(("%s: %s is not on the page"):format(arg[i], name))
    end
  end
end

local list = {}
for name in pairs(known) do list[#list + 1] = ('<a href="#%s">%s</a>'):format(name, name) end
table.sort(list)
page[contents] = "<p>" .. table.concat(list, " ") .. "</p>"
source.write(path, table.concat(page, "\n") .. "\n")
print(("%s: %d names, %d missing"):format(path, #list, missing))
os.exit(missing == 0 and #list > 0)
