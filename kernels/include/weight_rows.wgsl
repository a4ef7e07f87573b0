  // Where the weights start of the output channels that this lane loads: with SUBGROUP one channel of each eight.
  #if SUBGROUP
  #for b in 0..${TILE / 8}
  let weightRow${b} = i32(min(firstChannel + ${8 * b}u + local % 8u, lastChannel)) * params.weightOut;
  #end
  #else
  #for o in 0..${TILE}
  let weightRow${o} = i32(min(firstChannel + ${o}u, lastChannel)) * params.weightOut;
  #end
  #end
