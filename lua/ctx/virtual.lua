--- Puts everything from here on on a virtual clock: time stands still while a task runs, and jumps
-- to the next due instant when every task waits.
--
--     lua5.4 -l ctx.virtual script.lua
--
-- @module ctx.virtual

require("ctx.core").use_virtual_clock()

return true
