-- What a choice knows of the backends, without what was counted of them.
local function readVitals()
  local cards = redis.call('GET', KEYS[2]) or ''
  local absent = {}
  for slot = 0, #cards / ROW - 1 do
    if unpack_('<d', cards, slot * ROW + 41) > now then
      absent[#absent + 1] = 'm' .. slot
      absent[#absent + 1] = redis.call('HGET', KEYS[4], 'm' .. slot) or ''
    end
  end
  return { pack_('<d', now), redis.call('GET', KEYS[1]) or '', cards, absent }
end
