--- Semaphores: so many tokens, and who waits for some.
--
-- First come, first served: a small request waits behind a large one, even where it would
-- fit. What is released goes to the first that waits, who has it before he runs again.
--
-- Always true: while a live waiter stands first, there are fewer tokens free than it wants; a
-- request for more than there are at all stands in no queue, and waits for its end alone.
--
-- @module ctx.semaphore

local core = require "ctx.core"
local queue = require "ctx.queue"

local unpack = table.unpack

--- A semaphore. Made by `ctx.semaphore`.
-- @type Semaphore
local Semaphore = { __name = "ctx.semaphore" }
Semaphore.__index = {}

local methods = Semaphore.__index

-- Gives those who stand first what is free. One who has not enough keeps all behind him waiting.
local function serve(self)
  local record = queue.first_live(self.queue)
  while record and record.tokens <= self.total - self.held do
    self.held = self.held + record.tokens
    queue.serve(record, true)
    record = queue.first_live(self.queue)
  end
end

-- Takes a record out, however its wait ended. What nobody has picked up goes to the next, and so
-- does the place in front.
local function leave(record)
  local self = record.semaphore
  queue.unlink(record)
  if queue.pick_up(record) then self.held = self.held - record.tokens end
  serve(self)
end

local Record = { __close = leave }

local function new_record(self, tokens, context)
  local record = { context, semaphore = self, tokens = tokens }
  record.wait = record
  return setmetatable(record, Record)
end

-- Waits until somebody serves 'record'. What was handed over counts before the end.
local function wait_in(self, record, deadline, explicit)
  record.token = core.me "acquire"
  local _ <close> = record
  if record.tokens <= self.total then queue.link(self.queue, record) end
  while true do
    local is_late = core.park("acquire", deadline, unpack(record))
    if record.served then return queue.pick_up(record) end
    if not explicit then
      core.implied()
    elseif explicit:done() then
      return nil, explicit:err()
    end
    if is_late then return nil, core.DEADLINE_EXCEEDED end
  end
end

local function wrong_self(...)
  return queue.expected("ctx.semaphore", ...)
end

-- A number of tokens, or nil and what is wrong with it.
local function read_tokens(k)
  if k == nil then return 1 end
  if math.type(k) == nil then return nil, "number expected, got " .. queue.type_name(k) end
  local tokens = math.tointeger(k)
  if tokens and tokens >= 1 then return tokens end
  return nil, "tokens are counted by an integer from 1 on"
end

local function is_free(self, tokens)
  return tokens <= self.total - self.held and queue.first_live(self.queue) == nil
end

--- Takes tokens; waits until they are there, and all who came before have theirs.
-- @tparam[opt=1] integer k how many; more than there are at all: it waits for the end
-- @tparam[opt] number|ctx.context limit how long: seconds (0 or less: not at all), or a
--   context, which then is the only one watched
-- @treturn[1] boolean true: they are taken
-- @treturn[2] nil
-- @return[2] `ctx.DEADLINE_EXCEEDED` at the limit in seconds, or the err of the context given;
--   nothing was taken
-- @raise bad arguments; the err of the current context, unless one is given
function methods.acquire(...)
  local self, k, limit = ...
  if getmetatable(self) ~= Semaphore then core.argument_error(1, "acquire", wrong_self(...)) end
  local tokens, message = read_tokens(k)
  if not tokens then core.argument_error(1, "acquire", message) end
  if type(limit) == "function" then core.argument_error(2, "acquire", queue.parentheses) end
  local deadline, explicit = core.limit(limit, 2, "acquire")
  local context = explicit or core.implied()
  if explicit and explicit:done() then return nil, explicit:err() end
  if is_free(self, tokens) then
    self.held = self.held + tokens
    return true
  end
  if type(limit) == "number" and limit <= 0 then return nil, core.DEADLINE_EXCEEDED end
  return wait_in(self, new_record(self, tokens, context), deadline, explicit)
end

--- Takes tokens if that needs no waiting. Looks at no context.
-- @tparam[opt=1] integer k
-- @treturn boolean whether they are taken: not while anybody waits
-- @raise bad arguments
function methods.try_acquire(...)
  local self, k = ...
  if getmetatable(self) ~= Semaphore then core.argument_error(1, "try_acquire", wrong_self(...)) end
  local tokens, message = read_tokens(k)
  if not tokens then core.argument_error(1, "try_acquire", message) end
  if not is_free(self, tokens) then return false end
  self.held = self.held + tokens
  return true
end

--- Gives tokens back, and serves who waits.
-- @tparam[opt=1] integer k
-- @raise bad arguments; when so many are not held
function methods.release(...)
  local self, k = ...
  if getmetatable(self) ~= Semaphore then core.argument_error(1, "release", wrong_self(...)) end
  local tokens, message = read_tokens(k)
  if tokens and tokens > self.held then
    message = ("%d are held, and so %d cannot be released"):format(self.held, tokens)
  end
  if message then core.argument_error(1, "release", message) end
  self.held = self.held - tokens
  serve(self)
end

function Semaphore.__tostring()
  return Semaphore.__name
end

--- @section end

--- Makes a semaphore.
-- @function new
-- @tparam integer n how many tokens there are
-- @treturn Semaphore
-- @raise bad arguments
local function new(n)
  local total, message = read_tokens(n)
  if n == nil then total, message = nil, "number expected, got no value" end
  if not total then core.argument_error(1, "semaphore", message) end
  return setmetatable({ total = total, held = 0, queue = queue.new() }, Semaphore)
end

return { new = new }
