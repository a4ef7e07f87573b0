// What gradients are multiplied by so that their norm is at most `limit` (as torch.nn.utils.clip_grad_norm_):
//
//   factor[0] = min(1, limit / (sqrt(count * mean) + 1e-6))      NaN where the norm is
//
// mean [1], of `count` sums of squares. Grid: one workgroup of one invocation.
struct Params {
  count: f32,
  limit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;

#include not_a_number

@compute @workgroup_size(1)
fn main() {
  let square = params.count * mean[0];
  factor[0] = select(min(1.0, params.limit / (sqrt(square) + 1e-6)), square, isNotANumber(square));
}
