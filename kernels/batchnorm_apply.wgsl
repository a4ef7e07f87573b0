// Last part of batchnorm, with what follows it in a residual network:
//
//   output = (input - mean) * (weight * rstd) + bias  (+ residual with RESIDUAL)  (ReLU with RELU)
//
// input, residual, output [images, channels, plane]; affine [groups, channels] of (mean, weight * rstd, bias, rstd).
// Grid: lanes invocations a plane, 64 a workgroup, folded into rows.
#include plane_parts

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<${VECTOR ? "vec4<f32>" : "f32"}>;
@group(0) @binding(2) var<storage, read> affine: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<${VECTOR ? "vec4<f32>" : "f32"}>;
#if RESIDUAL
@group(0) @binding(4) var<storage, read> residual: array<${VECTOR ? "vec4<f32>" : "f32"}>;
#end

#include grid
#include rectifier

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, 64u);
  let row = index / params.lanes;
  if (row >= params.images * params.channels) { return; }
  let group = row / params.channels / params.groupImages;
  let channel = affine[group * params.channels + row % params.channels];
  let end = (row + 1u) * params.planeElements;
  for (var at = row * params.planeElements + index % params.lanes; at < end; at += params.lanes) {
    var value = (input[at] - channel.x) * channel.y + channel.z;
    #if RESIDUAL
    value += residual[at];
    #end
    #if RELU
    value = ${VECTOR ? "rectifyFour" : "rectifyOne"}(value);
    #end
    output[at] = value;
  }
}
