local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised = helper.virtual, helper.raised

describe("a semaphore", function()
  it("M1 serves first come first, also a small one behind a large one", virtual(function(root)
    local s, order = ctx.semaphore(3), {}
    s:acquire(2)
    for name, k in pairs { large = 3 } do
      root:go(function() s:acquire(k) order[#order + 1] = name ctx.sleep(1) s:release(k) end)
    end
    ctx.sleep(0)
    root:go(function() s:acquire(1) order[#order + 1] = "small" s:release() end)
    ctx.sleep(0)
    assert.is_false(s:try_acquire())
    assert.same({}, order)
    s:release(2)
    ctx.sleep(0.5)
    assert.same({ "large" }, order)
    ctx.sleep(1)
    assert.same({ "large", "small" }, order)
    assert.is_true(s:try_acquire(3))
    assert.is_false(s:try_acquire())
    s:release(3)
  end))

  it("M2 fails on a done context even if tokens are free", virtual(function(root)
    local s = ctx.semaphore(1)
    local c, cancel = root:with_cancel()
    cancel()
    assert.same({ n = 2, nil, ctx.CANCELED }, table.pack(s:acquire(1, c)))
    assert.equal(ctx.CANCELED, ctx.with(root, function()
      return select(2, c:async(function() s:acquire() end):join())
    end))
    assert.is_true(s:try_acquire())
  end))

  it("M2 takes nothing when the context ends in the queue", virtual(function(root)
    local s = ctx.semaphore(2)
    s:acquire(2)
    local c = root:with_timeout(1)
    assert.same({ n = 2, nil, ctx.DEADLINE_EXCEEDED }, table.pack(s:acquire(1, c)))
    assert.same({ n = 2, nil, ctx.DEADLINE_EXCEEDED }, table.pack(s:acquire(1, 0.5)))
    s:release(2)
    assert.is_true(s:try_acquire(2))
  end))

  it("M3 a request for more than there are blocks nobody", virtual(function(root)
    local s = ctx.semaphore(2)
    local t = root:async(function() return s:acquire(3, root:with_timeout(5)) end)
    ctx.sleep(1)
    assert.is_true(s:try_acquire(2))
    assert.same({ n = 3, true, nil, ctx.DEADLINE_EXCEEDED }, table.pack(t:join()))
    assert.equal(5, ctx.now())
  end))

  it("M4 looks at the queue again when somebody gives up", virtual(function(root)
    local s, got = ctx.semaphore(2), nil
    s:acquire(1)
    root:go(function() assert.is_nil(s:acquire(2, root:with_timeout(1))) end)
    ctx.sleep(0)
    root:go(function() got = s:acquire(1) and ctx.now() end)
    ctx.sleep(3)
    assert.equal(1, got)
    s:release(2)
  end))

  it("M4 and when the coroutine of one in front is closed, served or not", virtual(function(root)
    for _, served in ipairs { false, true } do
      local s, got, co = ctx.semaphore(1), false, nil
      s:acquire()
      root:async(function() co = coroutine.running() s:acquire() end)
      ctx.sleep(0)
      root:go(function() got = s:acquire() end)
      ctx.sleep(0)
      if served then s:release() end
      coroutine.close(co)
      if not served then s:release() end
      ctx.sleep(0)
      assert.is_true(got)
      s:release()
    end
  end))

  it("M5 does not release more than is held", virtual(function()
    local s = ctx.semaphore(3)
    s:acquire(2)
    assert.matches("2 are held, and so 3 cannot be released", raised(s.release, s, 3))
    s:release(2)
    assert.matches("0 are held", raised(s.release, s))
  end))

  it("P1 names a wrong argument", virtual(function(root)
    local s = ctx.semaphore(1)
    assert.matches("#1 to 'semaphore' %(number expected, got no value", raised(ctx.semaphore))
    assert.matches("#1 to 'acquire' %(number expected, got string", raised(s.acquire, s, "1"))
    assert.matches("counted by an integer from 1 on", raised(s.acquire, s, 0))
    assert.matches("put the call in parentheses", raised(s.acquire, s, 1, select(2, root:with_cancel())))
    assert.matches("ctx.semaphore expected, got table", raised(s.release, {}))
  end))
end)
