// The mean loss of pixels from the sum of their losses and their number, and its derivative by one of them:
//
//   loss[0] = sums[0] / count        factor[0] = 1 / count        count = sums[1], or `pixels` where that is not 0
//
// Both 0 where no pixel counts. sums [2]. Grid: one invocation.
struct Params {
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> factor: array<f32>;

@compute @workgroup_size(1)
fn main() {
  let none = sums[1] == 0.0;
  let count = select(sums[1], f32(params.pixels), params.pixels > 0u);
  loss[0] = select(sums[0] / count, 0.0, none);
  factor[0] = select(1.0 / count, 0.0, none);
}
