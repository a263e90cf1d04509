-- plot - pictures of a sweep: the time of one operation over the size, both on scales of tenfold steps
--
--   lua5.4 bench/plot.lua FILE.tsv      writes FILE-W1.svg and so on, beside it

local path = assert(arg[1], "the file of a sweep is wanted")
local titles = {
  W1 = "W1: a child that comes and goes, beside N siblings",
  W2 = "W2: one with a timeout, beside N others",
  W4 = "W4: the end of a parent of N children, for each child",
  W5 = "W5: the end of a chain of N, for each link",
  W6 = "W6: a value N layers up",
  W7i = "W7: N timeouts are made, each",
  W7c = "W7: and canceled in order, each",
  W7r = "W7: and canceled at random, each",
  W7wi = "W7: N entries are put into the wheel alone, each",
  W7wc = "W7: and taken out in order, each",
  W7wr = "W7: and taken out at random, each",
}
local colours = { ctx = "#c0392b", floor = "#7f8c8d", Go = "#2980b9", libev = "#8e44ad" }
local WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 400, 70, 40, 110, 50

local function size_of(text)
  local n, unit = text:match "^(%d+)([KM]?)$"
  return tonumber(n) * (unit == "K" and 1e3 or unit == "M" and 1e6 or 1)
end

-- charts[workload][peer] = list of { log10 of the size, log10 of the time }
local charts, order = {}, {}
for line in io.lines(path) do
  local peer, workload, size, ns = line:match "^(%S+)\t(%S+)\t(%S+)\t(%S+)$"
  if not charts[workload] then
    charts[workload] = {}
    order[#order + 1] = workload
  end
  local chart = charts[workload]
  chart[peer] = chart[peer] or {}
  table.insert(chart[peer], { math.log(size_of(size), 10), math.log(math.max(tonumber(ns), 0.01), 10) })
end

local function label(power)
  local units = { [0] = "1", "10", "100", "1K", "10K", "100K", "1M", "10M", "100M", "1G" }
  return units[power] or ("1e%d"):format(power)
end

local function draw(workload, chart)
  local low, high, left, right = math.huge, -math.huge, math.huge, -math.huge
  for _, points in pairs(chart) do
    for _, point in ipairs(points) do
      left, right = math.min(left, point[1]), math.max(right, point[1])
      low, high = math.min(low, point[2]), math.max(high, point[2])
    end
  end
  low, high = math.floor(low), math.ceil(high)
  local function x(v) return LEFT + (v - left) / (right - left) * (WIDTH - LEFT - RIGHT) end
  local function y(v) return HEIGHT - BOTTOM - (v - low) / (high - low) * (HEIGHT - TOP - BOTTOM) end
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">')
      :format(WIDTH, HEIGHT),
    ('<rect width="%d" height="%d" fill="white"/>'):format(WIDTH, HEIGHT),
    ('<text x="%d" y="22" font-size="15">%s</text>'):format(LEFT, titles[workload] or workload),
  }
  local function add(...) out[#out + 1] = (...):format(select(2, ...)) end
  for power = low, high do
    add('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>', LEFT, y(power), WIDTH - RIGHT, y(power))
    add('<text x="%d" y="%.1f" text-anchor="end">%s ns</text>', LEFT - 6, y(power) + 4, label(power))
  end
  for power = math.ceil(left), math.floor(right) do
    add('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/>', x(power), TOP, x(power), HEIGHT - BOTTOM)
    add('<text x="%.1f" y="%d" text-anchor="middle">%s</text>', x(power), HEIGHT - BOTTOM + 18, label(power))
  end
  local names = {}
  for peer in pairs(chart) do names[#names + 1] = peer end
  table.sort(names)
  for _, peer in ipairs(names) do
    local points, colour = {}, colours[peer] or "#27ae60"
    for i, point in ipairs(chart[peer]) do points[i] = ("%.1f,%.1f"):format(x(point[1]), y(point[2])) end
    add('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>', table.concat(points, " "), colour)
    for _, point in ipairs(chart[peer]) do
      add('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>', x(point[1]), y(point[2]), colour)
    end
    local last = chart[peer][#chart[peer]]
    add('<text x="%.1f" y="%.1f" fill="%s">%s</text>', x(last[1]) + 8, y(last[2]) + 4, colour, peer)
  end
  out[#out + 1] = "</svg>"
  local name = path:gsub("%.tsv$", "") .. "-" .. workload .. ".svg"
  local file = assert(io.open(name, "w"))
  file:write(table.concat(out, "\n"), "\n")
  file:close()
  print(name)
end

for _, workload in ipairs(order) do draw(workload, charts[workload]) end
