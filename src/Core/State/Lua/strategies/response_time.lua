-- The faster of two drawn by lot: latency times load, for its weight. One without samples that is idle is tried first.
local function cost(position)
  local slot = slots[position]
  local latency, load = get(LATENCY, slot), loadOf(position)
  if latency == 0 and load == 0 then return 0 end
  if latency == 0 then latency = 10000 else latency = fade(latency, get(LATENCY_AT, slot)) end
  return latency * (load + 1 + fade(get(LOAD, slot), get(LOAD_AT, slot))) / weights[position]
end

pick = function(candidates, n)
  if n == 1 then return 1 end
  local first, second = math.floor(roll1 * n), math.floor(roll2 * (n - 1))
  if second >= first then second = second + 1 end
  if cost(candidates[second + 1]) < cost(candidates[first + 1]) then return second + 1 end
  return first + 1
end
