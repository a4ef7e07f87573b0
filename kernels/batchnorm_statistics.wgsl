// First part of batchnorm in training mode: sums of each channel, relative to a pivot,
//
//   partial[g, c, p] = (sum of (x - pivot), sum of (x - pivot)^2)     over part p of group g's elements of channel c
//
// with the group's first element of the channel as pivot, so that a large mean does not cancel the variance away.
//
// input [groups * images, channels, plane]; partial [groups, channels, parts] of vec2.
// Grid: one invocation a partial, 64 a workgroup, folded into rows. No barriers: batchnorm_finish adds the parts in order.
#include channel_parts

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<${VECTOR ? "vec4<f32>" : "f32"}>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec2<f32>>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, 64u);
  let parts = params.imageParts * params.lanes;
  if (index >= params.groups * params.channels * parts) { return; }
  let part = index % parts;
  let channel = (index / parts) % params.channels;
  let firstImage = (index / parts / params.channels) * params.images;

  #if VECTOR
  let pivot = input[(firstImage * params.channels + channel) * params.planeElements].x;
  var sum = vec4<f32>();
  var squares = vec4<f32>();
  #else
  let pivot = input[(firstImage * params.channels + channel) * params.planeElements];
  var sum = 0.0;
  var squares = 0.0;
  #end
  for (var image = part / params.lanes; image < params.images; image += params.imageParts) {
    let start = ((firstImage + image) * params.channels + channel) * params.planeElements;
    for (var at = part % params.lanes; at < params.planeElements; at += params.lanes) {
      let value = input[start + at] - pivot;
      sum += value;
      squares = fma(value, value, squares);
    }
  }
  #if VECTOR
  partial[index] = vec2<f32>((sum.x + sum.y) + (sum.z + sum.w), (squares.x + squares.y) + (squares.z + squares.w));
  #else
  partial[index] = vec2<f32>(sum, squares);
  #end
}
