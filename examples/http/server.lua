--- A server that speaks a little HTTP, and in which every piece of work ends when it has to.
--
--   lua5.4 examples/http/server.lua [PORT [SECONDS]]      then: curl -i localhost:PORT/report
--
--   GET /report       three layers of work, done in 20 ms
--   GET /report/slow  the same with a slow query: its request ends after 200 ms, or SECONDS, and so
--                     do all layers
--
-- A client that hangs up cancels its request. Ctrl-C lets the requests that run come to their end,
-- at most DRAIN seconds, and the program ends with 0. A second Ctrl-C ends it at once.
--
--     stop (Ctrl-C) ......... accept
--       └─ work ............. outlives stop by DRAIN
--            └─ request ..... 200 ms
--                 ├─ group .. two queries at once
--                 └─ a look at the client

local ctx = require "ctx"
local socket = require "ctx.socket"

local PATIENCE = 10 -- seconds, for a client to say what it wants
local DEADLINE = tonumber(arg and arg[2]) or 0.2 -- seconds, of each request, once it has been read
local DRAIN = 2
local REASONS = { [200] = "OK", [404] = "Not Found", [500] = "Internal Error", [504] = "Gateway Timeout" }
local HEAD = "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"

-- ---- layer 3: the database -------------------------------------------------------------------

-- A query takes as long as it takes; it ends when its context does.
local function query(c, table_name, seconds)
  local slept, err = c:sleep(seconds)
  if not slept then return nil, err end
  return ("%s: %d rows"):format(table_name, #table_name)
end

-- ---- layer 2: the service ----------------------------------------------------------------------

-- Asks for two tables at once. The first that fails ends the other one.
local function report(c, slow)
  local lines = {}
  local queries <close> = c:group()
  for i, name in ipairs { "orders", "customers" } do
    queries:go(function(member)
      lines[i] = assert(query(member, name, slow and 10 or 0.02))
    end)
  end
  local ok, err = queries:wait()
  if not ok then return nil, err end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- layer 1: the handlers ---------------------------------------------------------------------

local routes = {
  ["/report"] = function(c) return report(c, false) end,
  ["/report/slow"] = function(c) return report(c, true) end,
}

-- The status and the body. What went wrong in a handler is this request's affair alone.
local function answer(c, path)
  local handler = routes[path]
  if not handler then return 404, "no such page\n" end
  local ok, body, err = pcall(handler, c)
  if not ok then body, err = nil, body end
  if body then return 200, body end
  if ctx.is_canceled(err) then return 504, "it took too long\n" end
  return 500, tostring(err) .. "\n"
end

-- ---- connections ---------------------------------------------------------------------------------

-- The path of a request, whose other lines are of no interest here; or nil and what is wrong.
local function read_request(c, connection)
  local first, err = connection:receive("*l", c)
  if not first then return nil, err end
  repeat
    local line
    line, err = connection:receive("*l", c)
    if not line then return nil, err end
  until line == ""
  return first:match "^GET (%S+)" or nil, "not a GET"
end

local function write_response(c, connection, status, body)
  return connection:send(HEAD:format(status, REASONS[status], #body) .. body, c)
end

-- Nothing more is to come from the client: what does come is its end.
local function watch_client(_, request, cancel, connection)
  local _, err = connection:receive(1, request)
  if err == "closed" then cancel "the client hung up" end
end

local function log(request, begun, status)
  local took = math.floor((ctx.now() - begun) * 1000)
  print(("%s %s, %d ms%s"):format(request:name(), status or "no answer", took,
    request:done() and "; " .. tostring(request:origin()) or ""))
end

-- One request: its own deadline and its own cancel, whatever the others do.
local function serve(work, connection, requests)
  local _ <close> = connection
  local reading <close> = work:with_timeout(PATIENCE)
  local path, err = read_request(reading, connection)
  if not path then return print(("no request: %s"):format(err)) end
  local begun = ctx.now()
  local request <close>, cancel = work:with_timeout(DEADLINE)
  request:name("GET " .. path)
  requests:go(watch_client, request, cancel, connection)
  local status, body = answer(request, path)
  local sent = request:cause() ~= "the client hung up" and write_response(work, connection, status, body)
  log(request, begun, sent and status)
end

-- ---- the program -----------------------------------------------------------------------------------

local function main(port)
  local server = assert(socket.listen("127.0.0.1", port))
  local stop = ctx.with_signal(ctx.background(), "int", "term")
  local work <close> = stop:without_cancel { grace = DRAIN }
  local requests <close> = work:group()
  print(("listening on %s:%d"):format(server:getsockname()))
  local served = 0
  while true do
    local connection, err = server:accept(stop)
    if connection then
      served = served + 1
      requests:go(serve, connection, requests)
    elseif stop:done() then
      break
    else
      print("accept: " .. tostring(err)) -- too many open files, say
      ctx.sleep(0.1)
    end
  end
  server:close()
  print(("%s: draining"):format(stop:cause()))
  requests:wait()
  print(("%d served"):format(served))
end

io.stdout:setvbuf "line"
main(tonumber(arg and arg[1]) or 0)
