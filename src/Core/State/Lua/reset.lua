-- Forgets what stands against a backend: circuit, parking, failures, refused credentials, absent models, the failure window. Circuit.Reset number for number.
-- KEYS as in common.lua, the first 4.
-- ARGV[1] doubles: clock, generation, slot
-- Returns status (2 bytes).
local clock, wanted, slot = unpack_('<ddd', ARGV[1])
if not readBoard() or generation ~= wanted then return pack_('<I2', 2) end
readClock(clock)
local card = readCard(0, redis.call('GETRANGE', KEYS[2], slot * ROW, slot * ROW + ROW - 1))
card.circuit, card.misconfigured, card.openUntil, card.trialUntil, card.parkedUntil, card.recoveredAt, card.absentUntil = CLOSED, 0, 0, 0, 0, 0, 0
card.failures, card.probeFailures, card.cooldown, card.trialLease = 0, 0, 0, 0
card.windowStart, card.requests, card.failed, card.previousRequests, card.previousFailed = now, 0, 0, 0, 0
redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
redis.call('HDEL', KEYS[4], 'm' .. slot)
set(EPOCH, slot, get(EPOCH, slot) + 1)
set(LOAD, slot, 0)
set(QUIET, slot, 0)
return pack_('<I2', 1)
