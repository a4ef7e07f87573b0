// First part of batchnorm's gradient: with g = gradOutput (where output is not 0, with RELU),
//
//   partial[group, c, p] = (sum of g, sum of g * (x - mean))      over part p of the group's elements of channel c
//
// input, output, gradOutput [groups * images, channels, plane]; affine [groups, channels] of vec4 (mean first).
// Grid and parts as in batchnorm_statistics.
#include channel_parts

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<${VECTOR ? "vec4<f32>" : "f32"}>;
@group(0) @binding(2) var<storage, read> gradOutput: array<${VECTOR ? "vec4<f32>" : "f32"}>;
@group(0) @binding(3) var<storage, read> affine: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec2<f32>>;
#if RELU
@group(0) @binding(5) var<storage, read> output: array<${VECTOR ? "vec4<f32>" : "f32"}>;
#end

#include grid
#include rectifier
#include channel_runs

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
  let row = index / parts;
  let channel = row % params.channels;
  let groupImage = (row / params.channels) * params.images;
  let mean = affine[row].x;

  var sum = ${VECTOR ? "vec4<f32>()" : "0.0"};
  var products = ${VECTOR ? "vec4<f32>()" : "0.0"};
  for (var firstImage = part / params.lanes; firstImage < params.images; firstImage += params.runImages * params.imageParts) {
    for (var first = part % params.lanes; first < params.planeElements; first += params.runElements * params.lanes) {
      var runSum = ${VECTOR ? "vec4<f32>()" : "0.0"};
      var runProducts = ${VECTOR ? "vec4<f32>()" : "0.0"};
      for (var image = firstImage; image < endImage(firstImage); image += params.imageParts) {
        let start = ((groupImage + image) * params.channels + channel) * params.planeElements;
        for (var at = start + first; at < start + endElement(first); at += params.lanes) {
          #if RELU
          let gradient = ${VECTOR ? "passFour" : "passOne"}(gradOutput[at], output[at]);
          #else
          let gradient = gradOutput[at];
          #end
          runSum += gradient;
          runProducts = fma(gradient, input[at] - mean, runProducts);
        }
      }
      sum += runSum;
      products += runProducts;
    }
  }
  #if VECTOR
  partial[index] = vec2<f32>((sum.x + sum.y) + (sum.z + sum.w), (products.x + products.y) + (products.z + products.w));
  #else
  partial[index] = vec2<f32>(sum, products);
  #end
}
