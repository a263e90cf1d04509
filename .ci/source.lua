-- source - the files of the tree, and what in them is code and what comment

local source = {}

-- The paths under 'folders' of 'root' that end in one of 'endings', sorted.
function source.files(root, folders, endings)
  local names = {}
  for _, ending in ipairs(endings) do names[#names + 1] = ("-name '*.%s'"):format(ending) end
  local command = "cd '%s' && find %s -type f '(' %s ')' 2>/dev/null | LC_ALL=C sort"
  local list = {}
  for path in io.popen(command:format(root, folders, table.concat(names, " -o "))):lines() do
    list[#list + 1] = path
  end
  return list
end

function source.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

function source.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  assert(file:close())
end

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

-- In each language: how a comment or a string begins, and the pattern of the
-- whole. The earliest beginning wins, among equals the first listed.
local C = {
  { "/%*", "^/%*.-%*/", comment = true },
  { "//", "^//[^\n]*", comment = true },
  { '"', '^"[^"\\\n]*"' },
  { "'", "^'[^'\\\n]*'" },
}
local LUA = {
  { "%-%-%[=*%[", "^%-%-%[(=*)%[.-%]%1%]", comment = true },
  { "%-%-", "^%-%-[^\n]*", comment = true },
  { "%[=*%[", "^%[(=*)%[.-%]%1%]" },
  { '"', '^"[^"\\\n]*"' },
  { "'", "^'[^'\\\n]*'" },
}

-- Gives two texts as long as 'text', line for line: in the first the comments
-- are blanks, in the second everything else is.
function source.split(text, path)
  text = text:gsub("\\[^\n]", "xx") -- an escaped quote ends no string
  local kinds = path:match "%.lua$" and LUA or C
  local code, comments, at, next_of = {}, {}, 1, {}
  while at <= #text do
    local first, kind = #text + 1, nil
    for i, k in ipairs(kinds) do
      if not next_of[i] or next_of[i] < at then next_of[i] = text:find(k[1], at) or #text + 1 end
      if next_of[i] < first then first, kind = next_of[i], k end
    end
    local last = first
    if kind then last = select(2, text:find(kind[2], first)) or first end -- or it never ends
    local before, found = text:sub(at, first - 1), text:sub(first, last)
    local is_comment = kind and kind.comment
    code[#code + 1] = before .. (is_comment and blank(found) or found)
    comments[#comments + 1] = blank(before) .. (is_comment and found or blank(found))
    at = last + 1
  end
  return table.concat(code), table.concat(comments)
end

-- Calls f(line, number) for each line of 'text'.
function source.each_line(text, f)
  local number = 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    f(line, number)
  end
end

return source
