  // The window of one output, in row `row` of all rows of outputs: its first row and column, outside the input where it is
  // padded, and where its plane starts.
  let firstX = i32(index % params.outWidth) * params.stride - params.padding;
  let firstY = i32(row % params.outHeight) * params.stride - params.padding;
  let start = (row / params.outHeight) * params.inHeight * params.inWidth;
