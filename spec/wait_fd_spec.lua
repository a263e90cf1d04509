--- Waits for descriptors. On the real clock, where descriptors are; that of a context is one that
-- becomes readable when a spec says so.

local ctx = require "ctx"
local helper = require "spec.helper"

local has_socket, socket = pcall(require, "socket")

--- `it`, or a skipped test where LuaSocket is absent.
local function it_with_sockets(title, fn)
  if has_socket then return it(title, fn) end
  it(title, function() pending "no LuaSocket here" end)
end

--- Two ends of a connection over the loopback, which do not block.
local function connection()
  local server = assert(socket.bind("127.0.0.1", 0))
  local address, port = server:getsockname()
  local a = assert(socket.connect(address, port))
  local b = assert(server:accept())
  server:close()
  a:settimeout(0)
  b:settimeout(0)
  return a, b
end

local function fill(s)
  local block = ("x"):rep(65536)
  repeat local sent = s:send(block) until not sent
end

describe("a wait for a descriptor", function()
  local background = ctx.background()
  local signal, ring

  before_each(function() signal, ring = ctx.with_cancel(background) end)
  after_each(function() ring() end)

  it("is true at once where it is ready, and false at a limit of 0 where it is not", function()
    assert.is_false(background:wait_fd(signal:pollfd(), "r", 0))
    ring()
    assert.is_true(background:wait_fd(signal:pollfd(), "r", 0))
    assert.is_true(ctx.wait_fd(background, signal:pollfd(), "rw"))
  end)

  it("takes what has pollfd() or getfd() in place of a number", function()
    ring()
    assert.is_true(background:wait_fd(signal, "r"))
    local number = signal:pollfd()
    assert.is_true(background:wait_fd({ getfd = function() return number end }, "r"))
    assert.is_true(background:wait_fd({ pollfd = function() return number end }, "r"))
  end)

  it("ends when the descriptor becomes ready, while others run", function()
    local rounds = 0
    local waits = background:async(function(c) return c:wait_fd(signal, "r"), rounds end)
    local counts, stop = ctx.with_cancel(background)
    counts:go(function(c)
      repeat
        rounds = rounds + 1
        if rounds == 3 then ring() end
        ctx.yield()
      until c:done()
    end)
    local ok, ready, seen = waits:join()
    stop()
    assert.same({ true, true }, { ok, ready })
    assert.is_true(seen >= 3)
  end)

  it("wakes all who wait for it", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = background:async(function(c) return c:wait_fd(signal, i % 2 == 0 and "r" or "rw") end)
    end
    ctx.yield()
    ring()
    for i = 1, 20 do assert.same({ true, true }, { tasks[i]:join() }) end
  end)

  it("J1 is false when the limit has passed, seconds or a context", function()
    local before = ctx.now()
    assert.is_false(background:wait_fd(signal, "r", 0.01))
    assert.is_true(ctx.now() - before >= 0.01)
    assert.is_false(background:wait_fd(signal, "r", (background:with_timeout(0.01))))
  end)

  it("answers nil and the err when its context ends", function()
    local c, cancel = ctx.with_cancel(background)
    local task = background:async(function() return c:wait_fd(signal, "r") end)
    ctx.yield()
    cancel()
    local _, ready, err = task:join()
    assert.is_nil(ready)
    assert.equal(ctx.CANCELED, err)
    local late <close> = ctx.with_timeout(background, 0.01)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { late:wait_fd(signal, "r") })
  end)

  it("J5 answers with the end of its context where both are there", function()
    local c, cancel = ctx.with_cancel(background)
    ring()
    cancel()
    local ready, err = c:wait_fd(signal, "r")
    assert.is_nil(ready)
    assert.equal(ctx.CANCELED, err)
  end)

  it("is unlinked at once when it ends for another reason", function()
    local c, cancel = ctx.with_cancel(background)
    local task = c:async(function() return c:wait_fd(signal, "r") end)
    ctx.yield()
    cancel()
    task:join()
    helper.collect()
    ring()
    assert.is_true(background:wait_fd(signal, "r"))
  end)

  it("may be closed with its coroutine", function()
    local wait = ctx.wrap(function() background:wait_fd(signal, "r") end)
    local task = background:async(function() return pcall(wait) end)
    ctx.yield()
    ring()
    assert.same({ true, true }, { task:join() })
  end)

  it("P1 raises for what is no descriptor, and for another mode", function()
    local function message(...) return helper.raised(background.wait_fd, background, ...) end
    assert.matches("bad argument #2 to '[%w.]*wait_fd' %(a descriptor, or an object with pollfd%(%) "
      .. "or getfd%(%) expected, got table%)", message({}, "r"))
    for _, wrong in ipairs { -1, 1.5, 1 << 40, "3", print, true, io.stdout } do
      assert.matches("bad argument #2", message(wrong, "r"))
    end
    assert.matches("bad argument #2", message({ getfd = function() return "x" end }, "r"))
    assert.matches('bad argument #3 to \'[%w.]*wait_fd\' %("r", "w" or "rw" expected, got "x"%)',
      message(0, "x"))
    assert.matches("bad argument #3", message(0))
    assert.matches("bad argument #4", message(0, "r", "1"))
    assert.matches("bad argument", helper.raised(background.wait_fd, background))
  end)

  it("answers nil and 'closed' where it is not open", function()
    assert.same({ nil, "closed" }, { background:wait_fd(100000, "r") })
    assert.same({ nil, "closed" }, { background:wait_fd({ getfd = function() return -1 end }, "r") })
    assert.same({ nil, "closed" }, { background:wait_fd({ pollfd = function() end }, "r") })
  end)

  it("H4 asks an object at each look, whatever that does", function()
    local c, cancel = ctx.with_cancel(background)
    local asked = 0
    local subject = { getfd = function() asked = asked + 1 cancel() return signal:pollfd() end }
    assert.same({ nil, ctx.CANCELED }, { c:wait_fd(subject, "r") })
    assert.equal(1, asked)
    assert.equal("ouch", helper.raised(background.wait_fd, background,
      { getfd = function() error("ouch", 0) end }, "r"))
  end)

  it_with_sockets("ends when a peer has written, when there is room, and when a peer has gone", function()
    local a, b = connection()
    assert.is_false(background:wait_fd(a, "r", 0))
    assert.is_true(background:wait_fd(a, "w"))
    local reader = background:async(function(c) return c:wait_fd(b, "r") end)
    ctx.yield()
    a:send "x"
    assert.same({ true, true }, { reader:join() })
    fill(a)
    assert.is_false(background:wait_fd(a, "w", 0))
    local writer = background:async(function(c) return c:wait_fd(a, "w") end)
    ctx.yield()
    repeat local _, _, part = b:receive(65536) until part == ""
    assert.same({ true, true }, { writer:join() })
    b:close()
    assert.is_true(background:wait_fd(a, "r"))
    a:close()
    assert.same({ nil, "closed" }, { background:wait_fd(a, "r") })
  end)

  it_with_sockets("waits in two tasks for the two ways of one connection", function()
    local a, b = connection()
    local reads = background:async(function(c) return c:wait_fd(a, "r") end)
    fill(a)
    local writes = background:async(function(c) return c:wait_fd(a, "w") end)
    ctx.yield()
    repeat local _, _, part = b:receive(65536) until part == ""
    assert.same({ true, true }, { writes:join() })
    assert.equal("waiting", reads:status())
    b:send "x"
    assert.same({ true, true }, { reads:join() })
    a:close()
    b:close()
  end)
end)

describe("a wait for a descriptor on the virtual clock", function()
  it("Q3 is ended from outside where nothing else can end it", function()
    local signal, ring = ctx.with_cancel(ctx.background())
    local seen = {}
    ctx.run({ clock = "virtual" }, function(root)
      local number = signal:pollfd()
      root:go(function() seen[1] = root:wait_fd(number, "r") end)
      ctx.sleep(5)
      ring()
    end)
    assert.same({ true }, seen)
  end)

  it("Q1 comes before time moves where it is ready, and after where it is not", function()
    local signal, ring = ctx.with_cancel(ctx.background())
    ctx.run({ clock = "virtual" }, function(root)
      local number = signal:pollfd()
      assert.is_false(root:wait_fd(number, "r", 1000))
      assert.equal(1000, ctx.now())
      local task = root:async(function() return root:wait_fd(number, "r", 5) end)
      ctx.yield()
      ring()
      assert.same({ true, true }, { task:join() })
      assert.equal(1000, ctx.now())
    end)
  end)

  it("Q3 is ended by the kernel in real time, and virtual time stands meanwhile", function()
    local signal <close> = ctx.with_timeout(ctx.background(), 0.05)
    ctx.run({ clock = "virtual" }, function(root)
      assert.is_true(root:wait_fd(signal:pollfd(), "r"))
      assert.equal(0, ctx.now())
    end)
  end)
end)
