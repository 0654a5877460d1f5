-- Adds what an instance counted while it could not reach the store. Cooldowns and parking only ever get longer by it.
-- KEYS as in common.lua, the first 5.
-- ARGV[1] doubles: clock, generation, lease ms, the batch's number   ARGV[2…] doubles, one argument a backend: slot, open for ms, cooldown ms,
--         parked for ms, then pairs: field (from 40 on: a bucket), amount
-- Returns status (2 bytes).
local clock, wanted, leaseMs, batch = unpack_('<dddd', ARGV[1])
if not readBoard() or generation ~= wanted then return pack_('<I2', 2) end
readClock(clock)
sweep(leaseMs)
if redis.call('ZADD', KEYS[3], 'NX', now + 3600000, string.format('=%.0f', batch)) == 0 then return pack_('<I2', 1) end
for i = 2, #ARGV do
  local slot, openFor, cooldown, parkedFor = unpack_('<dddd', ARGV[i])
  local base, counts = slot * STRIDE * 8, {}
  for at = 33, #ARGV[i], 16 do
    local field, amount = unpack_('<dd', ARGV[i], at)
    counts[#counts + 1] = 'INCRBY'
    counts[#counts + 1] = field < 40 and 'i64' or 'u32'
    counts[#counts + 1] = base + (field < 40 and 64 * field or 2560 + 32 * (field - 40))
    counts[#counts + 1] = amount
  end
  if #counts > 0 then redis.call('BITFIELD', KEYS[5], unpack(counts)) end
  local card = readCard(0, redis.call('GETRANGE', KEYS[2], slot * ROW, slot * ROW + ROW - 1))
  if parkedFor > 0 then card.parkedUntil = math.max(card.parkedUntil, now + parkedFor) end
  if openFor > 0 then
    card.openUntil, card.cooldown = math.max(card.openUntil, now + openFor), math.max(card.cooldown, cooldown)
    if card.circuit == CLOSED then
      card.circuit, card.trips = OPEN, card.trips + 1
      set(EPOCH, slot, get(EPOCH, slot) + 1)
    end
  end
  if parkedFor > 0 or openFor > 0 then
    redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
    set(QUIET, slot, card.circuit ~= CLOSED and HUGE or math.max(get(QUIET, slot), card.parkedUntil))
  end
end
return pack_('<I2', 1)
