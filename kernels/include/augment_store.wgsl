  // Writes a strip of colours to `output` at `to`, normalised with NORMALISE.
  #for i in 0..${STRIP}
  if (firstY + ${i}u < height) {
    #if NORMALISE
    output[to + ${i}u * width] = (colours${i >> 2}.red[${i & 3}] - params.meanRed) * params.scaleRed;
    output[to + ${i}u * width + plane] = (colours${i >> 2}.green[${i & 3}] - params.meanGreen) * params.scaleGreen;
    output[to + ${i}u * width + 2u * plane] = (colours${i >> 2}.blue[${i & 3}] - params.meanBlue) * params.scaleBlue;
    #else
    output[to + ${i}u * width] = colours${i >> 2}.red[${i & 3}];
    output[to + ${i}u * width + plane] = colours${i >> 2}.green[${i & 3}];
    output[to + ${i}u * width + 2u * plane] = colours${i >> 2}.blue[${i & 3}];
    #end
  }
  #end
