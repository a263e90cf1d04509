--- Connections whose waits end with a context, over the loopback.

local ctx = require "ctx"
local helper = require "spec.helper"

if not pcall(require, "socket") then
  describe("ctx.socket", function() it("needs LuaSocket", function() pending "no LuaSocket here" end) end)
  return
end

local socket = require "ctx.socket"

local background = ctx.background()
local root = background:with_timeout(30) -- what takes as long hangs

--- A server, and a connection to it with its other end.
local function pair()
  local server = assert(socket.listen("127.0.0.1", 0))
  local accepted = root:async(function() return server:accept(root) end)
  local address, port = server:getsockname()
  local client = assert(socket.connect(address, port, root))
  local _, peer = accepted:join()
  server:close()
  return client, assert(peer)
end

describe("a connection", function()
  local client, peer

  before_each(function() client, peer = pair() end)
  after_each(function() client:close() peer:close() end)

  it("carries lines, counted bytes and all until the end", function()
    assert.equal(18, client:send("line\r\n12345rest of"))
    assert.equal("line", peer:receive())
    assert.equal("12345", peer:receive(5))
    assert.equal("integer", math.type(client:send("xx it", nil, 2)))
    client:shutdown "send"
    assert.equal("rest ofx it", peer:receive "*a")
    assert.same({ nil, "closed", "" }, { peer:receive() })
  end)

  it("lets others run while it waits", function()
    local answer = root:async(function() return peer:receive("*l", root) end)
    local turns = 0
    repeat
      turns = turns + 1
      if turns == 3 then client:send "hello\n" end
      ctx.yield()
    until answer:status() == "done"
    assert.same({ true, "hello" }, { answer:join() })
    assert.is_true(turns >= 3)
  end)

  it("sends more than the system takes at once", function()
    local all = ("0123456789"):rep(1000000)
    local sender = root:async(function() return client:send(all, root) end)
    assert.equal(all, peer:receive(#all, root))
    assert.same({ true, #all }, { sender:join() })
  end)

  it("J1 gives up at a limit in seconds, with what has come", function()
    client:send "half"
    assert.same({ nil, ctx.DEADLINE_EXCEEDED, "half" }, { peer:receive("*l", 0.01) })
    client:send " a line\n"
    assert.equal("half a line", peer:receive("*l", 1, "half"))
    assert.same({ nil, ctx.DEADLINE_EXCEEDED, "" }, { peer:receive("*l", 0) })
    client:send "there\n"
    assert.is_true(background:wait_fd(peer, "r"))
    assert.equal("there", peer:receive("*l", 0))
  end)

  it("ends with the context that is its limit", function()
    local c, cancel = ctx.with_cancel(background)
    local reader = root:async(function() return peer:receive("*l", c) end)
    ctx.yield()
    cancel()
    assert.same({ true, nil, ctx.CANCELED, "" }, { reader:join() })
    client:send "there\n"
    assert.is_true(background:wait_fd(peer, "r"))
    assert.same({ nil, ctx.CANCELED, "" }, { peer:receive("*l", c) }) -- J5
  end)

  it("raises the err of the current context", function()
    local c, cancel = ctx.with_cancel(background)
    local outcomes = {}
    for i, limit in ipairs { false, 10 } do
      outcomes[i] = c:async(function() return peer:receive("*l", limit or nil) end)
    end
    ctx.yield()
    cancel()
    for _, task in ipairs(outcomes) do assert.same({ false, ctx.CANCELED }, { task:join() }) end
  end)

  it("tells how much was sent when a send ends", function()
    local all = ("x"):rep(10000000)
    local sent, err, last = client:send(all, 0.01)
    assert.is_nil(sent)
    assert.equal(ctx.DEADLINE_EXCEEDED, err)
    assert.is_true(last > 0 and last < #all)
    local rest = root:async(function() return client:send(all, root, last + 1) end)
    assert.equal(#all, #peer:receive(#all, root))
    assert.same({ true, #all }, { rest:join() })
  end)

  it("tells who waits that it is closed", function()
    local reader = root:async(function() return peer:receive("*l", root) end)
    ctx.yield()
    local before = ctx.now()
    peer:close()
    assert.same({ true, nil, "closed", "" }, { reader:join() })
    assert.is_true(ctx.now() - before < 0.5)
    assert.same({ nil, "closed", "" }, { peer:receive() })
    peer:close()
  end)

  it("tells of a peer that has gone", function()
    local reader = root:async(function() return peer:receive("*l", root) end)
    ctx.yield()
    client:send "half"
    client:close()
    assert.same({ true, nil, "closed", "half" }, { reader:join() })
  end)

  it("is closed with its block, and can be polled", function()
    local raw
    do
      local c <close> = client
      raw = c.raw
      assert.equal(raw:getfd(), c:getfd())
    end
    assert.equal(-1, raw:getfd())
  end)

  it("P1 raises for a wrong limit, with its place and number", function()
    local function message(fn) return helper.raised(fn) end
    assert.matches("socket_spec.lua:%d+: bad argument #2 to 'receive' %(seconds or a ctx.context expected",
      message(function() local _ = peer:receive("*l", "1") end))
    assert.matches("socket_spec.lua:%d+: bad argument #2 to 'send'",
      message(function() local _ = peer:send("x", {}) end))
    assert.matches("socket_spec.lua:%d+: bad argument #3 to 'connect'",
      message(function() local _ = socket.connect("127.0.0.1", 1, {}) end))
  end)
end)

describe("a server", function()
  local server

  before_each(function() server = assert(socket.listen("127.0.0.1", 0)) end)
  after_each(function() server:close() end)

  it("waits for clients until its limit", function()
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { server:accept(0.01) })
    local c, cancel = ctx.with_cancel(background)
    local task = root:async(function() return server:accept(c) end)
    ctx.yield()
    cancel()
    assert.same({ true, nil, ctx.CANCELED }, { task:join() })
  end)

  it("tells who waits that it is closed", function()
    local task = root:async(function() return server:accept(root) end)
    ctx.yield()
    server:close()
    assert.same({ true, nil, "closed" }, { task:join() })
  end)

  it("P1 raises for a wrong limit", function()
    assert.matches("socket_spec.lua:%d+: bad argument #1 to 'accept'",
      helper.raised(function() local _ = server:accept {} end))
  end)
end)

describe("connecting", function()
  it("tells that nobody listens", function()
    local server = assert(socket.listen("127.0.0.1", 0))
    local address, port = server:getsockname()
    server:close()
    assert.same({ nil, "connection refused" }, { socket.connect(address, port, 5) })
    assert.same({ nil, "connection refused" }, { socket.connect(address, port) })
  end)

  it("tells that a host is not known", function()
    local connection, err = socket.connect("no.such.host.invalid", 1, 5)
    assert.is_nil(connection)
    assert.is_string(err)
  end)

  it("J5 looks at its context first", function()
    local done = ctx.with_timeout(background, 0)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { socket.connect("127.0.0.1", 1, done) })
  end)
end)
