// Last part of batchnorm's gradient: with g = gradOutput (where output is not 0, with RELU),
//
//   gradInput    = weight * rstd * (g - mean(g) - (x - mean) * rstd^2 * mean(g * (x - mean)))    with TRAINING
//   gradInput    = weight * rstd * g                                                             else
//   gradResidual = g                                                                             (with RESIDUAL)
//
// both written, or added to what is there. input, output, gradOutput, gradInput, gradResidual [images, channels, plane];
// backward [groups, channels] of (mean, weight * rstd, mean(g), rstd^2 * mean(g * (x - mean))).
// Grid: lanes invocations a plane, 64 a workgroup, folded into rows.
#include plane_parts

@group(0) @binding(0) var<uniform> params: Params;
#if TRAINING
@group(0) @binding(1) var<storage, read> input: array<${VECTOR ? "vec4<f32>" : "f32"}>;
#end
@group(0) @binding(2) var<storage, read> gradOutput: array<${VECTOR ? "vec4<f32>" : "f32"}>;
@group(0) @binding(3) var<storage, read> backward: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gradInput: array<${VECTOR ? "vec4<f32>" : "f32"}>;
#if RELU
@group(0) @binding(5) var<storage, read> output: array<${VECTOR ? "vec4<f32>" : "f32"}>;
#end
#if RESIDUAL
@group(0) @binding(6) var<storage, read_write> gradResidual: array<${VECTOR ? "vec4<f32>" : "f32"}>;
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
  let channel = backward[group * params.channels + row % params.channels];
  let end = (row + 1u) * params.planeElements;
  for (var at = row * params.planeElements + index % params.lanes; at < end; at += params.lanes) {
    #if RELU
    var gradient = ${VECTOR ? "passFour" : "passOne"}(gradOutput[at], output[at]);
    #else
    var gradient = gradOutput[at];
    #end
    #if RESIDUAL
    if (params.accumulateResidual == 1u) { gradResidual[at] += gradient; } else { gradResidual[at] = gradient; }
    #end
    #if TRAINING
    gradient = channel.y * (gradient - channel.z - (input[at] - channel.x) * channel.w);
    #else
    gradient = channel.y * gradient;
    #end
    if (params.accumulate == 1u) { gradient += gradInput[at]; }
    gradInput[at] = gradient;
  }
}
