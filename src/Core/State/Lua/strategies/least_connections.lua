-- The least load for its weight, compared by cross-multiplication; among equals, each in turn.
pick = function(candidates, n)
  readAll()
  local slots, weights, loads, load = slots, weights, inFlight, {}
  if now < failedUntil then
    local failureLoad, failureAt = column(LOAD), column(LOAD_AT)
    loads = {}
    for i = 1, n do
      local slot = slots[candidates[i]] + 1
      loads[slot] = failureLoad[slot] == 0 and inFlight[slot] or inFlight[slot] + fade(failureLoad[slot], failureAt[slot])
    end
  end
  local best, ties = 1, 1
  local least, weight = loads[slots[candidates[1]] + 1], weights[candidates[1]]
  load[1] = least
  for i = 2, n do
    local position = candidates[i]
    local mine = loads[slots[position] + 1]
    local product, others = mine * weight, least * weights[position]
    load[i] = mine
    if product < others then
      best, ties, least, weight = i, 1, mine, weights[position]
    elseif product == others then
      ties = ties + 1
    end
  end
  local skip, picked = turn % ties, best
  while skip > 0 do
    picked = picked + 1
    if load[picked] * weight == least * weights[candidates[picked]] then skip = skip - 1 end
  end
  return picked
end
