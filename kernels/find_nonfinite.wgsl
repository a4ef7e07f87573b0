// Finds NaN and infinity: with i the index of the first element that is not finite,
//
//   result[slot] = elements - i       and where all are finite, what was there, which must be 0
//
// The largest difference is the first element, so all invocations agree by one atomic maximum, whatever their order. Read as
// bits, whose exponent is all ones in what is not finite: comparisons of floats may be compiled as if there were no NaN.
//
// input [quads] of vec4; result [slots]. Grid: invocation i looks at TURNS quads, i + k * stride, 64 a workgroup, folded into
// rows; stride is the number of invocations.
struct Params {
  quads: u32,
  stride: u32,
  slot: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> result: array<atomic<u32>>;

#include grid

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let first = linearIndex(group, groups, local, 64u);
  let elements = 4u * params.quads;
  var found = 0u;
  // From the last to the first: what is found last is the answer.
  for (var turn = ${TURNS}u; turn > 0u; turn--) {
    let quad = first + (turn - 1u) * params.stride;
    if (quad < params.quads) {
      let magnitudes = input[quad] & vec4<u32>(0x7fffffffu);
      let bad = magnitudes >= vec4<u32>(0x7f800000u);
      let element = select(select(select(3u, 2u, bad.z), 1u, bad.y), 0u, bad.x);
      if (any(bad)) { found = elements - (4u * quad + element); }
    }
  }
  if (found > 0u) { atomicMax(&result[params.slot], found); }
}
