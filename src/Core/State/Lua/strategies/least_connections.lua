-- The least load for its weight, compared by cross-multiplication; among equals, each in turn.
pick = function(candidates, n)
  local failureLoad, failureAt = column(LOAD), column(LOAD_AT)
  local load, best, ties = {}, 1, 1
  for i = 1, n do
    local slot = slots[candidates[i]] + 1
    load[i] = inFlight[slot]
    if failureLoad[slot] ~= 0 then load[i] = load[i] + fade(failureLoad[slot], failureAt[slot]) end
    if i > 1 then
      local mine, others = load[i] * weights[candidates[best]], load[best] * weights[candidates[i]]
      if mine < others then best, ties = i, 1 elseif mine == others then ties = ties + 1 end
    end
  end
  local skip, picked = turn % ties, best
  while skip > 0 do
    picked = picked + 1
    if load[picked] * weights[candidates[best]] == load[best] * weights[candidates[picked]] then skip = skip - 1 end
  end
  return picked
end
