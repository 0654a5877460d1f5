-- Ends what keys_reserve.lua admitted.   KEYS as there
-- ARGV[1] 5 doubles: clock (-1: the server's), the second of the reservation (-1: tokens are not counted), tokens reserved, tokens used,
--         number of the request (0: not held)
-- Returns nothing.
local clock, of, reserved, used, hold = unpack_('<ddddd', ARGV[1])
readClock(clock)
if hold > 0 then redis.call('ZREM', KEYS[2], string.format('%.0f', hold)) end
if of < 0 or used == reserved then return end
openWindow()
if used > reserved then
  -- What was used more counts from now.
  add(0, used - reserved)
elseif of > second - SPAN and of <= second then
  local requests, tokens = cell(of)
  local back = math.min(tokens, reserved - used)
  if back > 0 then
    usedTokens = usedTokens - back
    write(of, requests, tokens - back)
  end
end
