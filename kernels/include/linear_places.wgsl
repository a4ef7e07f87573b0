// Where an output lies among the inputs along one axis, when linear interpolation changes the axis' size. In whole numbers,
// so that no device rounds a position to the other side of an input: in units of 1 / unit of an input's width,
//
//   position(o) = clamp(o * step + offset, 0, (size - 1) * unit)
//
//   step = 2 size, offset = size - outSize, unit = 2 outSize: (o + 1/2) * size / outSize - 1/2, outer edges together
//   step = size - 1, offset = 0, unit = outSize - 1:          centres of the outermost inputs and outputs together
//
// (src/tensor/ops/linear_axis.ts). An output is the sum of the inputs `low` and `high` by their weights; where the size does
// not change (step = unit) both are the one that it copies, and elsewhere a weight may be 0, whose input is multiplied, so
// that NaN spreads as in PyTorch.
struct Place {
  low: u32,
  high: u32,
  lowWeight: f32,
  highWeight: f32,
}

fn linearPlace(o: u32, size: u32, step: i32, offset: i32, unit: i32) -> Place {
  let position = max(i32(o) * step + offset, 0);
  let low = position / unit;
  let rest = position - low * unit;
  let next = select(u32(low) + 1u, u32(low), step == unit);
  return Place(u32(low), min(next, size - 1u), f32(unit - rest) / f32(unit), f32(rest) / f32(unit));
}

// What input `i` has in output `o`, one of those that read it: `value` times its weight, or times both where it is `low` and
// `high`, so that an infinity times a weight of 0 is NaN.
fn linearTerm(value: f32, o: u32, i: u32, size: u32, step: i32, offset: i32, unit: i32) -> f32 {
  let after = max(i32(o) * step + offset, 0) - i32(i) * unit;
  let both = after >= 0 && (i == size - 1u || step == unit);
  // Two numbers, lest a compiler adds the weights first.
  let again = select(0.0, value, both);
  return value * (f32(unit - abs(after)) / f32(unit)) + again * (f32(after) / f32(unit));
}

fn divideUp(a: i32, b: i32) -> u32 {
  return u32(max(a + b - 1, 0) / b);
}

// The first output that reads input `i`, be it with weight 0, and the end of those that do.
fn firstReader(i: u32, outSize: u32, step: i32, offset: i32, unit: i32) -> u32 {
  if (step == 0) { return select(outSize, 0u, i <= 1u); }
  if (step == unit) { return i; }
  return select(0u, min(divideUp((i32(i) - 1) * unit - offset, step), outSize), i > 1u);
}

fn endReader(i: u32, outSize: u32, step: i32, offset: i32, unit: i32) -> u32 {
  if (step == 0) { return outSize; }
  if (step == unit) { return i + 1u; }
  return min(divideUp((i32(i) + 1) * unit - offset, step), outSize);
}
