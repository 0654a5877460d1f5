-- What the ledger left here of some keys, hours and days included.   KEYS as in base_read.lua   ARGV names
-- Returns an array as base_read.lua does, of those names alone.
local base, history = {}, {}
for i = 1, #ARGV do
  local record = redis.call('HGET', KEYS[1], 'b:' .. ARGV[i])
  if record then
    base[#base + 1], base[#base + 2] = 'b:' .. ARGV[i], record
    history[#history + 1], history[#history + 2] = ARGV[i], redis.call('HGET', KEYS[2], ARGV[i]) or ''
  end
end
return { base, history }
