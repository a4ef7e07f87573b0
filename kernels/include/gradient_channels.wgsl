  // The output channels whose gradient this lane loads: with SUBGROUP one of each eight.
  #if SUBGROUP
  #for b in 0..${TILE / 8}
  let gradChannel${b} = min(firstChannel + ${8 * b}u + local % 8u, lastChannel);
  #end
  #else
  #for o in 0..${TILE}
  let gradChannel${o} = min(firstChannel + ${o}u, lastChannel);
  #end
  #end
