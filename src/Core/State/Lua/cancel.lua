-- Takes back leases whose taking was never answered: they may or may not exist.
-- KEYS as in common.lua, the first 4.   ARGV[1] clock (double)   ARGV[2…] lease ids
-- Returns status (2 bytes).
if not readBoard() then return pack_('<I2', 1) end
readClock((unpack_('<d', ARGV[1])))
for i = 2, #ARGV do
  for slot = 0, capacity - 1 do
    if redis.call('ZREM', KEYS[3], slot .. ':' .. ARGV[i]) == 1 then
      setInFlight(slot, inFlightOf(slot) - 1)
      local card = readCard(0, redis.call('GETRANGE', KEYS[2], slot * ROW, slot * ROW + ROW - 1))
      if card.circuit == TRIAL and card.trialLease == tonumber(ARGV[i]) then
        -- A trial that never began: the next request is one.
        card.circuit, card.trialLease = OPEN, 0
        redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
        set(EPOCH, slot, get(EPOCH, slot) + 1)
      end
      readBoard()
      break
    end
  end
end
return pack_('<I2', 1)
