-- Everything known of a pool, as it is stored.
-- KEYS as in common.lua, the first 6; without totals the first 4.   ARGV[1] clock (double)
-- Returns an array: now (a double in a string), board, cards, absent models by note; then, with all 6 keys, notes, totals, names.
readClock((unpack_('<d', ARGV[1])))
local parts = readVitals()
if #KEYS > 4 then
  parts[5], parts[6], parts[7] = redis.call('HGETALL', KEYS[4]), redis.call('GET', KEYS[5]) or '', redis.call('HGETALL', KEYS[6])
end
return parts
