--- Channels: values handed from task to task.
--
-- A channel has a buffer of `n` places (0: none) and two queues: of those who wait
-- to send, and of those who wait to receive. Who can be served is served at once,
-- by the other side: the value changes hands before the waiter runs again.
--
--      send -->  senders  -->  buffer  -->  receivers  --> recv
--              (it is full)              (it is empty)
--
-- Always true: while a live receiver waits, the buffer is empty and no live sender
-- waits; while a live sender waits, the buffer is full. A record is *live* until it
-- is served, and as long as nothing that its task watches has ended: a task that is
-- to see the end of its context is handed nothing more, and loses nothing.
--
-- One thread runs a Lua state and tasks change only where they wait, so nothing
-- here is locked. `select.lua` enters the queues with records of its own.
--
-- @module ctx.channel

local core = require "ctx.core"
local queue = require "ctx.queue"

local unpack = table.unpack

-- A record (see queue.lua) has beside what every record has
--
--   value   what a sender offers
--   result  what the other side has left: the value for a receiver, true for a sender
--   channel of a receiver: where a result goes back to that nobody has picked up
--
-- Neither value nor result is ever nil while it is there: nil cannot be sent.

local link, unlink, first_live = queue.link, queue.unlink, queue.first_live
local serve, pick_up = queue.serve, queue.pick_up

local function count(channel)
  return channel.last - channel.first + 1
end

local function put(channel, value)
  channel.last = channel.last + 1
  channel.buffer[channel.last] = value
end

-- Takes over what the channel has for the caller's value: a receiver, or a place.
local function offer(channel, value)
  local receiver = first_live(channel.receivers)
  if receiver then
    serve(receiver, value)
    return true
  end
  if count(channel) >= channel.capacity then return false end
  put(channel, value)
  return true
end

local function shift(channel)
  local first = channel.first
  local value = channel.buffer[first]
  channel.buffer[first] = nil
  if first < channel.last then
    channel.first = first + 1
  else
    channel.first, channel.last = 1, 0 -- empty: small keys keep the buffer an array
  end
  return value
end

-- The senders of a closed channel keep what they have: they were told so.
local function first_sender(channel)
  if not channel.closed then return first_live(channel.senders) end
end

-- The next value, or nil. The place it leaves goes to the sender that has waited longest.
local function take(channel)
  if count(channel) == 0 then
    local sender = first_sender(channel)
    if sender then serve(sender, true) end
    return sender and sender.value
  end
  local value = shift(channel)
  local sender = count(channel) < channel.capacity and first_sender(channel)
  if sender then
    put(channel, sender.value)
    serve(sender, true)
  end
  return value
end

-- A value whose receiver was closed before it ran stays the channel's next one, even
-- where that takes a place more than there is.
local function give_back(channel, value)
  local receiver = first_live(channel.receivers)
  if receiver then return serve(receiver, value) end
  channel.first = channel.first - 1
  channel.buffer[channel.first] = value
end

-- Takes a record out, however its wait ended: by its task, by an error in the loop,
-- or because somebody closed the coroutine.
local function leave(record)
  unlink(record)
  local result = pick_up(record)
  if result ~= nil and record.channel then give_back(record.channel, result) end
end

local Waiter = { __close = leave }

-- The wait of a send or recv, with room for all that a record may have: growing costs
-- more than the rest of it.
local function new_waiter(context, channel, value)
  local waiter = {
    context,
    channel = channel,
    value = value,
    token = nil, wait = nil, served = nil, result = nil, prev = nil, next = nil,
  }
  waiter.wait = waiter
  return setmetatable(waiter, Waiter)
end

-- Waits in a queue of 'channel' until somebody serves 'waiter': its result, or nil and why
-- not. What was handed over counts before the end of the context, and that before the rest.
-- Raises where one cannot wait.
local function wait_in(q, waiter, channel, what, deadline, explicit)
  waiter.token = core.me(what)
  local _ <close> = waiter
  link(q, waiter)
  while true do
    local is_late = core.park(what, deadline, unpack(waiter))
    if waiter.served then return pick_up(waiter) end
    if not explicit then
      core.implied()
    elseif explicit:done() then
      return nil, explicit:err()
    end
    if channel.closed then return nil, "closed" end
    if is_late then return nil, core.DEADLINE_EXCEEDED end
  end
end

local function is_poll(limit)
  return type(limit) == "number" and limit <= 0
end

--- A channel. Made by @{new}.
-- `#ch` is the number of values in its buffer. `for value in ch do` receives until the
-- channel is closed and empty, and watches the current context as @{Channel:recv} does.
-- @type Channel
local Channel = { __name = "ctx.channel" }
Channel.__index = {}

local methods = Channel.__index

-- Errors about arguments are raised by the methods themselves: that is where
-- core.argument_error and core.limit look for the line to blame.

local function wrong_self(...)
  return queue.expected("ctx.channel", ...)
end

local no_nil = "a channel cannot carry nil"
local parentheses = queue.parentheses

--- Sends a value; waits until a receiver or a place in the buffer takes it.
-- @param value anything but nil
-- @tparam[opt] number|ctx.context limit how long: seconds (0 or less: not at all), or a
--   context, which then is the only one watched
-- @treturn[1] boolean true: it was taken
-- @treturn[2] nil
-- @return[2] `"closed"`, `ctx.DEADLINE_EXCEEDED` at the limit in seconds, or the err of the
--   context given; the value was not taken
-- @raise bad arguments; the err of the current context, unless one is given
function methods.send(...)
  local self, value, limit, extra = ...
  if getmetatable(self) ~= Channel then core.argument_error(1, "send", wrong_self(...)) end
  if value == nil then core.argument_error(1, "send", no_nil) end
  local stray = type(limit) == "function" and 2 or type(extra) == "function" and 3
  if stray then core.argument_error(stray, "send", parentheses) end
  local deadline, explicit = core.limit(limit, 2, "send")
  local context = explicit or core.implied()
  if explicit and explicit:done() then return nil, explicit:err() end
  if self.closed then return nil, "closed" end
  if offer(self, value) then return true end
  if is_poll(limit) then return nil, core.DEADLINE_EXCEEDED end
  local waiter = new_waiter(context, nil, value)
  return wait_in(self.senders, waiter, self, "send", deadline, explicit)
end

--- Receives the next value; waits until there is one.
-- @tparam[opt] number|ctx.context limit as of @{Channel:send}
-- @return[1] the value
-- @treturn[2] nil
-- @return[2] `"closed"` (and nothing is left in the buffer), `ctx.DEADLINE_EXCEEDED` at the
--   limit in seconds, or the err of the context given; no value was taken
-- @raise bad arguments; the err of the current context, unless one is given
function methods.recv(...)
  local self, limit, extra = ...
  if getmetatable(self) ~= Channel then core.argument_error(1, "recv", wrong_self(...)) end
  if type(extra) == "function" then core.argument_error(2, "recv", parentheses) end
  local deadline, explicit = core.limit(limit, 1, "recv")
  local context = explicit or core.implied()
  if explicit and explicit:done() then return nil, explicit:err() end
  local value = take(self)
  if value ~= nil then return value end
  if self.closed then return nil, "closed" end
  if is_poll(limit) then return nil, core.DEADLINE_EXCEEDED end
  local waiter = new_waiter(context, self, nil)
  return wait_in(self.receivers, waiter, self, "recv", deadline, explicit)
end

--- Sends a value if that needs no waiting. Looks at no context.
-- @param value anything but nil
-- @treturn[1] boolean true: it was taken
-- @treturn[2] nil
-- @treturn[2] string `"full"` or `"closed"`
-- @raise bad arguments
function methods.try_send(...)
  local self, value = ...
  if getmetatable(self) ~= Channel then core.argument_error(1, "try_send", wrong_self(...)) end
  if value == nil then core.argument_error(1, "try_send", no_nil) end
  if self.closed then return nil, "closed" end
  if offer(self, value) then return true end
  return nil, "full"
end

--- Receives the next value if there is one. Looks at no context.
-- @return[1] the value
-- @treturn[2] nil
-- @treturn[2] string `"empty"` or `"closed"`
-- @raise bad arguments
function methods.try_recv(...)
  local self = ...
  if getmetatable(self) ~= Channel then core.argument_error(1, "try_recv", wrong_self(...)) end
  local value = take(self)
  if value ~= nil then return value end
  return nil, self.closed and "closed" or "empty"
end

--- Closes the channel. What is in the buffer can still be received; those who wait to
-- send keep their values, and they as those who wait to receive get `nil, "closed"`.
-- @treturn boolean true: this call was the one
-- @raise bad arguments
function methods.close(...)
  local self = ...
  if getmetatable(self) ~= Channel then core.argument_error(1, "close", wrong_self(...)) end
  if self.closed then return false end
  self.closed = true
  queue.wake_all(self.receivers)
  queue.wake_all(self.senders)
  return true
end

--- A candidate for `ctx.select` that sends. It can be used any number of times, and
-- sends its value each time it is the one.
-- @type Sender
local Sender = { __name = "ctx.sender" }

--- Makes a candidate that sends 'value' on this channel.
-- @param value anything but nil
-- @treturn Sender
-- @raise bad arguments
-- @function Channel:sender
function methods.sender(...)
  local self, value = ...
  if getmetatable(self) ~= Channel then core.argument_error(1, "sender", wrong_self(...)) end
  if value == nil then core.argument_error(1, "sender", no_nil) end
  return setmetatable({ channel = self, value = value }, Sender)
end

Channel.__len = count

-- One value for the generic for: with nil it ends.
function Channel.__call(self)
  local value = methods.recv(self)
  return value
end

function Channel.__tostring()
  return Channel.__name
end

function Sender.__tostring()
  return Sender.__name
end

-- What select.lua asks of a candidate that is not of the core, found in its metatable:
--
--   is_ready(x)      can it be taken without waiting?
--   take(x)          takes it when it is ready: its values
--   has_ended(x)     is it ready without anybody having served a record?
--   enter(x, wait)   puts a record of 'wait' into its queue

Channel.__select = { take = methods.try_recv }

function Channel.__select.is_ready(self)
  return count(self) > 0 or self.closed or first_live(self.senders) ~= nil
end

function Channel.__select.has_ended(self)
  return self.closed
end

function Channel.__select.enter(self, wait)
  local record = { wait = wait, channel = self, candidate = self }
  link(self.receivers, record)
  return record
end

Sender.__select = {}

function Sender.__select.is_ready(self)
  local channel = self.channel
  return channel.closed or count(channel) < channel.capacity or first_live(channel.receivers) ~= nil
end

function Sender.__select.take(self)
  return methods.try_send(self.channel, self.value)
end

function Sender.__select.has_ended(self)
  return self.channel.closed
end

function Sender.__select.enter(self, wait)
  local record = { wait = wait, value = self.value, candidate = self }
  link(self.channel.senders, record)
  return record
end

local function read_capacity(n)
  if n == nil then return 0 end
  if math.type(n) == nil then return nil, "number expected, got " .. queue.type_name(n) end
  local capacity = math.tointeger(n)
  if capacity and capacity >= 0 then return capacity end
  return nil, "a capacity is an integer from 0 on"
end

--- @section end

--- Makes a channel.
-- @function new
-- @tparam[opt=0] integer n the places in its buffer; with 0 a send blocks until its value
--   is received
-- @treturn Channel
-- @raise bad arguments
local function new(n)
  local capacity, message = read_capacity(n)
  if not capacity then core.argument_error(1, "channel", message) end
  return setmetatable({
    capacity = capacity,
    closed = false,
    buffer = {}, -- values, at first .. last
    first = 1,
    last = 0,
    senders = queue.new(),
    receivers = queue.new(),
  }, Channel)
end

return { new = new, leave = leave }
