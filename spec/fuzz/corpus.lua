--- The corpus of a target: a text, of which each line is one input in hexadecimal digits.
--
--     lua5.4 spec/fuzz/corpus.lua unpack FILE FOLDER
--     lua5.4 spec/fuzz/corpus.lua pack FILE INPUT...

local what, name = arg[1], arg[2]

local function read(path, mode)
  local file <close> = assert(io.open(path, mode))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

if what == "unpack" then
  local n = 0
  for line in read(name, "r"):gmatch "%x+" do
    n = n + 1
    write(("%s/%04d"):format(arg[3], n), (line:gsub("%x%x", function(digits)
      return string.char(tonumber(digits, 16))
    end)))
  end
elseif what == "pack" then
  local lines = {}
  for i = 3, #arg do
    lines[#lines + 1] = read(arg[i], "rb"):gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. "\n"
  end
  table.sort(lines, function(a, b) return #a < #b or #a == #b and a < b end)
  write(name, table.concat(lines))
else
  error "usage: corpus.lua unpack FILE FOLDER | pack FILE INPUT..."
end
