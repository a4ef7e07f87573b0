    // Where those channels' rows of gradients start.
    #if SUBGROUP
    #for b in 0..${TILE / 8}
    let gradStart${b} = (image * params.outChannels + gradChannel${b}) * outPlane + y * params.outWidth;
    #end
    #else
    #for o in 0..${TILE}
    let gradStart${o} = (image * params.outChannels + gradChannel${o}) * outPlane + y * params.outWidth;
    #end
    #end
