-- Puts what the ledger holds beside what is counted. A record that knows of fewer requests than the one there is older, and is not put.
-- KEYS as in base_read.lua
-- ARGV[1] the version of the run-time changes that is durable, '0' to leave it   ARGV[2…] in fours: name, requests, record, history ('' to leave it)
-- Returns how many records were put.
local DAYS_35 = 3024000000
local put = 0
for i = 2, #ARGV, 4 do
  local field = 'b:' .. ARGV[i]
  local there = redis.call('HGET', KEYS[1], field)
  if not there or tonumber(string.match(there, '^%d+')) <= tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], field, ARGV[i + 1] .. ' ' .. ARGV[i + 2])
    if ARGV[i + 3] ~= '' then redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 3]) end
    put = put + 1
  end
end
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[1], 'registry') or 0) then redis.call('HSET', KEYS[1], 'registry', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], DAYS_35)
redis.call('PEXPIRE', KEYS[2], DAYS_35)
return put
