  // Where this lane's weights start, to be walked along the input channels: with SUBGROUP one output channel of each eight.
  #if SUBGROUP
  #for w in 0..${TILE / 8}
  var weightAt${w} = u32(params.weightBase + i32(min(firstChannel + ${8 * w}u + local % 8u, lastChannel)) * params.weightOut);
  #end
  #else
  #for w in 0..${TILE}
  var weightAt${w} = u32(params.weightBase + i32(min(firstChannel + ${w}u, lastChannel)) * params.weightOut);
  #end
  #end
