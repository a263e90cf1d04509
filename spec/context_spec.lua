--- What a context answers: roots, errors, state, text, identity.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised = helper.virtual, helper.raised

--- done, err and cause as one word; fails where they do not agree.
local function state(c)
  local done, err, cause = c:done(), c:err(), c:cause()
  assert.equal(done, err ~= nil)
  assert.equal(done, cause ~= nil)
  return done and err or "live"
end

describe("a root", function()
  for name, root in pairs { background = ctx.background(), todo = ctx.todo() } do
    it("A1 is never done and has nothing to say: " .. name, function()
      assert.is_false(root:done())
      assert.is_nil(root:err())
      assert.is_nil(root:cause())
      assert.is_nil(root:deadline())
      assert.is_nil(root:timeout())
      assert.is_nil(root:value "key")
      assert.is_nil(root:value(1))
    end)
  end

  it("A1 prints its name", function()
    assert.equal("context.Background", tostring(ctx.background()))
    assert.equal("context.TODO", tostring(ctx.todo()))
  end)

  it("is the same at every call, and not the other one", function()
    assert.is_true(ctx.background() == ctx.background())
    assert.is_true(ctx.todo() == ctx.todo())
    assert.is_false(ctx.background() == ctx.todo())
  end)

  it("is the current context of the main thread", function()
    assert.equal(ctx.root(), ctx.current())
    assert.equal(ctx.background(), ctx.root())
  end)

  it("is still live when its handle has been collected and made anew", function()
    helper.collect()
    assert.equal("live", state(ctx.background()))
    assert.equal("live", state(ctx.todo()))
  end)
end)

describe("the errors", function()
  local canceled, exceeded = ctx.CANCELED, ctx.DEADLINE_EXCEEDED

  it("A3 print exactly", function()
    assert.equal("context canceled", tostring(canceled))
    assert.equal("context deadline exceeded", tostring(exceeded))
  end)

  it("A3 are two", function()
    assert.is_true(canceled == ctx.CANCELED)
    assert.is_true(exceeded == ctx.DEADLINE_EXCEEDED)
    assert.is_false(canceled == exceeded)
    assert.is_false(canceled == "context canceled")
  end)

  it("A4 say whether time was the reason", function()
    assert.is_true(exceeded.timeout)
    assert.is_true(exceeded.temporary)
    assert.is_false(canceled.timeout)
    assert.is_false(canceled.temporary)
  end)

  it("A5 have a code for programs", function()
    assert.equal("canceled", canceled.code)
    assert.equal("deadline_exceeded", exceeded.code)
  end)

  it("A5 are concatenated from both sides", function()
    assert.equal("end: context canceled", "end: " .. canceled)
    assert.equal("context deadline exceeded!", exceeded .. "!")
    assert.equal("1context canceled", 1 .. canceled)
    assert.equal("context canceledcontext deadline exceeded", canceled .. exceeded)
  end)

  it("A5 cannot be changed", function()
    for _, key in ipairs { "code", "timeout", "temporary", "color", 1 } do
      raised(function() canceled[key] = "changed" end)
      pcall(rawset, canceled, key, "changed")
    end
    assert.equal("canceled", canceled.code)
    assert.is_false(canceled.timeout)
    assert.is_false(canceled.temporary)
    assert.is_not.equal("table", type(getmetatable(canceled)))
    pcall(setmetatable, canceled, {})
    assert.equal("context canceled", tostring(canceled))
  end)

  it("A5 say nothing more when asked for it", function()
    assert.is_nil(canceled.color)
    assert.is_nil(canceled[1])
  end)

  it("are recognized by is_canceled, and nothing else is", function()
    assert.is_true(ctx.is_canceled(canceled))
    assert.is_true(ctx.is_canceled(exceeded))
    for _, other in ipairs { "context canceled", 1, true, {}, print, ctx.background(), io.stdout } do
      assert.is_false(ctx.is_canceled(other))
    end
    assert.is_false(ctx.is_canceled(nil))
  end)
end)

describe("a module loaded again", function()
  local saved

  local function reload()
    for name in pairs(package.loaded) do
      if name == "ctx" or name:find "^ctx%." then package.loaded[name] = nil end
    end
    return require "ctx"
  end

  before_each(function()
    saved = {}
    for name, value in pairs(package.loaded) do
      if name == "ctx" or name:find "^ctx%." then saved[name] = value end
    end
  end)

  after_each(function()
    for name, value in pairs(saved) do package.loaded[name] = value end
  end)

  it("A5 has the same errors", function()
    local again = reload()
    assert.is_true(rawequal(ctx.CANCELED, again.CANCELED))
    assert.is_true(rawequal(ctx.DEADLINE_EXCEEDED, again.DEADLINE_EXCEEDED))
    assert.equal("context canceled", tostring(again.CANCELED))
    assert.is_true(again.is_canceled(ctx.CANCELED))
  end)

  it("has the same roots", function()
    local again = reload()
    assert.is_true(ctx.background() == again.background())
    assert.is_true(ctx.todo() == again.todo())
    assert.is_true(ctx.current() == again.current())
  end)

  it("takes the contexts of the first one", function()
    local parent, cancel = ctx.with_cancel(ctx.background())
    local child = reload().with_cancel(parent)
    assert.is_false(child:done())
    cancel "both"
    assert.equal(ctx.CANCELED, child:err())
    assert.equal("both", child:cause())
  end)

  it("runs its tasks on the same loop", function()
    local order = {}
    local again = reload()
    ctx.background():go(function() order[#order + 1] = "first" end)
    again.background():go(function() order[#order + 1] = "second" end)
    again.background():async(function() end):join()
    assert.same({ "first", "second" }, order)
  end)
end)

describe("a context", function()
  it("B1 has no err and no cause while it lives", virtual(function(root)
    for _, c in ipairs {
      root, ctx.background(), (ctx.with_cancel(root)), (ctx.with_timeout(root, 1)),
      ctx.with_value(root, "key", "value"), ctx.without_cancel(root),
    } do
      assert.equal("live", state(c))
    end
  end))

  it("B1 has an err and a cause once it is done", virtual(function(root)
    local canceled, cancel = ctx.with_cancel(root)
    local timed = ctx.with_timeout(root, 1)
    cancel()
    assert.equal(ctx.CANCELED, state(canceled))
    assert.equal("live", state(timed))
    ctx.sleep(1)
    assert.equal(ctx.DEADLINE_EXCEEDED, state(timed))
  end))

  it("B2 never changes its mind: canceled, then the deadline", virtual(function(root)
    local c, cancel = ctx.with_timeout(root, 1, "too late")
    cancel "first"
    ctx.sleep(2)
    assert.is_false(cancel "second")
    assert.equal(ctx.CANCELED, state(c))
    assert.equal("first", c:cause())
  end))

  it("B2 never changes its mind: the deadline, then canceled", virtual(function(root)
    local c, cancel = ctx.with_timeout(root, 1, "too late")
    ctx.sleep(2)
    assert.is_false(cancel "second")
    assert.equal(ctx.DEADLINE_EXCEEDED, state(c))
    assert.equal("too late", c:cause())
  end))

  it("B3 keeps what the canceler gave apart from the err", virtual(function(root)
    for _, cause in ipairs { "text", 7, false, {}, print, ctx.DEADLINE_EXCEEDED } do
      local c, cancel = ctx.with_cancel(root)
      cancel(cause)
      assert.equal(ctx.CANCELED, c:err())
      assert.equal(cause, c:cause())
    end
  end))

  it("B4 has the earliest deadline of its own and its ancestors', also when done", virtual(function(root)
    local a, cancel = ctx.with_timeout(root, 5)
    local b = ctx.with_value(ctx.with_cancel(a), "key", "value")
    local c = ctx.with_timeout(b, 3)
    local d = ctx.with_timeout(c, 4)
    local function deadlines() return { a:deadline(), b:deadline(), c:deadline(), d:deadline() } end
    assert.same({ 5, 5, 3, 3 }, deadlines())
    ctx.sleep(3)
    assert.same({ 5, 5, 3, 3 }, deadlines())
    cancel()
    assert.same({ 5, 5, 3, 3 }, deadlines())
  end))

  it("B7 is done with its value contexts at the same instant", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local v = ctx.with_value(ctx.with_value(c, "a", 1), "b", 2)
    assert.equal("live", state(v))
    cancel "together"
    assert.equal(ctx.CANCELED, state(v))
    assert.equal("together", v:cause())
  end))

  it("answers to methods and to functions alike", virtual(function(root)
    local c, cancel = ctx.with_timeout(ctx.with_value(root, "key", "value"), 4)
    local function agree()
      for _, name in ipairs { "done", "err", "cause", "deadline", "timeout", "value" } do
        assert.equal(c[name](c, "key"), ctx[name](c, "key"))
      end
      assert.equal(c:wait(0), ctx.wait(c, 0))
    end
    agree()
    assert.is_true(c:check())
    assert.is_true(ctx.check(c))
    cancel()
    agree()
    assert.equal(ctx.CANCELED, raised(c.check, c))
    assert.equal(ctx.CANCELED, raised(ctx.check, c))
  end))

  it("makes children by methods too", virtual(function(root)
    local c, cancel = root:with_cancel()
    assert.equal(2, (c:with_deadline(2)):deadline())
    assert.equal(3, (c:with_timeout(3)):deadline())
    assert.equal("value", c:with_value("key", "value"):value "key")
    assert.is_false(c:without_cancel():done())
    assert.is_true(cancel())
  end))

  it("raises its err from check, and nothing while it lives", virtual(function(root)
    local c = ctx.with_timeout(root, 1)
    assert.is_true(c:check())
    ctx.sleep(1)
    assert.equal(ctx.DEADLINE_EXCEEDED, raised(c.check, c))
  end))

  it("is one object, in every place where it is handed out", virtual(function(root)
    local c = ctx.with_cancel(root)
    local seen = { [c] = "mine" }
    local t = c:async(function(given) return given, ctx.current() end)
    local _, given, current = t:join()
    assert.is_true(given == c and current == c)
    assert.equal("mine", seen[given])
    assert.equal("mine", seen[current])
    assert.equal(root, ctx.current())
  end))

  it("equals no other", virtual(function(root)
    local c = ctx.with_cancel(root)
    local v = ctx.with_value(c, "key", "value")
    assert.is_false(c == ctx.with_cancel(root))
    assert.is_false(c == v)
    assert.is_false(v == ctx.with_value(c, "key", "value"))
    assert.is_false(c == root)
  end))

  it("hides its metatable and has no fields but methods", function()
    local c = ctx.with_cancel(ctx.background())
    assert.is_not.equal("table", type(getmetatable(c)))
    for _, name in ipairs { "cancel", "close", "__gc", "__close", "__index", "color", 1 } do
      assert.is_nil(c[name])
    end
    raised(function() c.color = "red" end)
  end)
end)

describe("the text of a context", function()
  it("N1 is its chain", virtual(function()
    local c = ctx.with_cancel(ctx.background())
    assert.equal("context.Background.WithCancel", tostring(c))
    assert.equal("context.Background.WithCancel.WithCancel", tostring((ctx.with_cancel(c))))
    assert.equal("context.Background.WithCancel.WithValue(item, CPU)",
      tostring(ctx.with_value(c, "item", "CPU")))
    assert.equal("context.Background.WithCancel.WithoutCancel", tostring(ctx.without_cancel(c)))
    assert.equal("context.TODO.WithCancel", tostring((ctx.with_cancel(ctx.todo()))))
  end))

  it("N1 shows a deadline and what is left of it", virtual(function()
    local pattern = "^context%.Background%.WithDeadline%(.*3.* %[(.*)%]%)$"
    local c = ctx.with_timeout(ctx.background(), 3)
    assert.matches("3", tostring(c):match(pattern))
    ctx.sleep(1)
    assert.matches("2", tostring(c):match(pattern))
    assert.matches("^context%.Background%.WithDeadline%(.*%]%)%.WithCancel$", tostring((ctx.with_cancel(c))))
  end))

  it("N2 shows strings, numbers and booleans", virtual(function()
    local function text(...) return tostring(ctx.with_value(ctx.background(), ...)) end
    assert.equal("context.Background.WithValue(key, 1)", text("key", 1))
    assert.equal("context.Background.WithValue(1.5, true)", text(1.5, true))
    assert.equal("context.Background.WithValue(false, value)", text(false, "value"))
    assert.equal("context.Background.WithValue(100%d, %s%n)", text("100%d", "%s%n"))
    assert.equal("context.Background.WithValue(a\0b, \0)", text("a\0b", "\0"))
  end))

  it("N2 shows anything else by its type, and calls nothing of the user's", virtual(function()
    local called = false
    local hostile = setmetatable({}, {
      __tostring = function() called = true error "called" end,
      __name = "hostile",
    })
    local c = ctx.with_value(ctx.background(), hostile, print)
    local text = tostring(c)
    assert.matches("^context%.Background%.WithValue%([^ ]+, function%)$", text)
    assert.is_nil(text:find "0x")
    assert.is_false(called)
    tostring(ctx.with_value(c, "key", hostile))
    assert.is_false(called)
  end))

  it("N1 has room for a chain of ten thousand", virtual(function(root)
    local c = root
    for _ = 1, 10000 do c = ctx.with_cancel(c) end
    assert.equal(tostring(root) .. (".WithCancel"):rep(10000), tostring(c))
  end))

  it("A2 a background costs nothing after the first call, and knows no child", function()
    local background = ctx.background
    local bg = background()
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    for _ = 1, 1000 do background() end
    local after = collectgarbage "count"
    collectgarbage "restart"
    assert.equal(before, after)
    assert.equal(bg, background())
    local weak = setmetatable({ (bg:with_cancel()) }, { __mode = "v" })
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(weak[1])
    assert.equal(0, #bg:tree())
  end)

end)
