--- The example that serves HTTP, as a process of its own, with clients that know nothing of ctx.

local helper = require "spec.helper"

local has_socket, socket = pcall(require, "socket")
if not has_socket then
  describe("the server of examples/http", function()
    it("needs LuaSocket", function() pending "no LuaSocket here" end)
  end)
  return
end

-- Without --foreground each signal would come twice: to the program, and to its group.
local limit = "$(timeout --foreground 9 true 2>/dev/null && echo timeout --foreground -k 5 60)"
local patience = 20 -- seconds; what takes as long hangs

--- Starts the server.
-- @param deadline seconds that a request has
-- @return the pipe of what it prints, its process and its port
local function start(deadline)
  local pipe = assert(io.popen(table.concat({
    "echo $$; exec env",
    "LUA_PATH_5_4=" .. helper.quote(package.path),
    "LUA_CPATH_5_4=" .. helper.quote(package.cpath),
    limit,
    helper.interpreter(), "-W examples/http/server.lua 0", deadline, "2>&1",
  }, " ")))
  local process = assert(math.tointeger(tonumber(pipe:read "l")))
  local port = assert(tonumber(pipe:read "l":match "^listening on 127%.0%.0%.1:(%d+)$"))
  return pipe, process, port
end

local function request(port, path)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(patience)
  assert(client:send("GET " .. path .. " HTTP/1.1\r\nHost: here\r\n\r\n"))
  return client
end

local function response(client)
  local all = assert(client:receive "*a")
  client:close()
  return all:match "^HTTP/1%.1 (%d+) [^\r]*\r\n.-\r\n\r\n(.*)$"
end

describe("the server of examples/http", function()
  local pipe, process, port

  local function signal(name) os.execute(("kill -%s %d"):format(name, process)) end

  local function serve(deadline) pipe, process, port = start(deadline) end

  after_each(function()
    if io.type(pipe) == "file" then
      signal "TERM" -- passed on by timeout, which KILL would end alone
      pipe:close()
    end
  end)

  --- What it prints from now on until its end, and its exit status.
  local function rest()
    local text = pipe:read "a"
    local _, _, status = pipe:close()
    return text, status
  end

  it("answers, each client for itself", function()
    serve(1.5) -- long enough for the others on a busy machine
    local slow = request(port, "/report/slow")
    assert.same({ "200", "orders: 6 rows\ncustomers: 9 rows\n" }, { response(request(port, "/report")) })
    assert.same({ "404", "no such page\n" }, { response(request(port, "/nothing")) })
    assert.same({ "504", "it took too long\n" }, { response(slow) })
    assert.matches("^GET /report 200, %d+ ms$", pipe:read "l")
    assert.matches("^GET /nothing 404, %d+ ms$", pipe:read "l")
  end)

  it("E7 cuts a slow request through all layers after 200 ms, and says who did", function()
    serve(0.2)
    local before = socket.gettime()
    assert.equal("504", (response(request(port, "/report/slow"))))
    local took = socket.gettime() - before
    assert.is_true(took > 0.19 and took < 5, took) -- the query alone would take 10 s
    local ms = pipe:read "l":match(
      '^GET /report/slow 504, (%d+) ms; context deadline exceeded %("GET /report/slow" reached its deadline')
    assert.is_true(tonumber(ms) >= 200)
  end)

  it("E7 cancels the request of a client that hangs up, and says where", function()
    serve(10)
    request(port, "/report/slow"):close()
    assert.matches('^GET /report/slow no answer, %d+ ms; context canceled: the client hung up '
      .. '%("GET /report/slow" was canceled at examples/http/server.lua:%d+', pipe:read "l")
  end)

  it("K2 lets what runs come to its end after Ctrl-C, and ends with 0", function()
    serve(1.5) -- less than it drains
    local slow = request(port, "/report/slow")
    assert.equal("200", (response(request(port, "/report"))))
    signal "INT"
    assert.same({ "504", "it took too long\n" }, { response(slow) })
    local text, status = rest()
    assert.matches("signal SIGINT: draining\n", text)
    assert.matches("GET /report/slow 504, %d+ ms; ", text)
    assert.matches("\n2 served\n$", text)
    assert.equal(0, status)
    assert.is_nil((socket.connect("127.0.0.1", port)))
  end)
end)
