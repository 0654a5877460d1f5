-- Drops the counters of a key, unless something has been counted since they were read.   KEYS[1] counts, as in keys_count.lua
-- ARGV[1] name, ARGV[2] birth, ARGV[3…6] the four counters in the order of keys_count.lua
-- Returns 1 when they are gone, 0 when they stay.
local fields = { 'birth:' .. ARGV[1], 'requests:' .. ARGV[1], 'refusals:' .. ARGV[1], 'input:' .. ARGV[1], 'output:' .. ARGV[1] }
local there = redis.call('HMGET', KEYS[1], unpack(fields))
for i = 1, 5 do
  if (there[i] or '0') ~= ARGV[i + 1] then return 0 end
end
redis.call('HDEL', KEYS[1], unpack(fields))
return 1
