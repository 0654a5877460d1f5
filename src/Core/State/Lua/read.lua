-- Everything known of a pool, as it is stored.
-- KEYS as in common.lua, the first 6.   ARGV[1] clock (double)
-- Returns an array: now (a double in a string), board, cards, notes, totals, names.
readClock((unpack_('<d', ARGV[1])))
return { pack_('<d', now), redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or '', redis.call('HGETALL', KEYS[4]),
  redis.call('GET', KEYS[5]) or '', redis.call('HGETALL', KEYS[6]) }
