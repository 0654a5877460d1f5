-- Adds what an instance has counted of its keys, once however often it is sent.
-- KEYS[1] counts, a hash: "requests:NAME", "refusals:NAME", "input:NAME", "output:NAME", and "birth:NAME", the number of these counters' life
-- KEYS[2] the number of the last batch of this instance
-- ARGV[1] the number of this batch, ARGV[2…] in fives: name, and what to add to each of the four
-- Returns nothing.
if redis.call('GET', KEYS[2]) == ARGV[1] then return end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
for i = 2, #ARGV, 5 do
  redis.call('HSETNX', KEYS[1], 'birth:' .. ARGV[i], now)
  for k, kind in ipairs({ 'requests:', 'refusals:', 'input:', 'output:' }) do
    if ARGV[i + k] ~= '0' then redis.call('HINCRBY', KEYS[1], kind .. ARGV[i], ARGV[i + k]) end
  end
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', 3600000)
