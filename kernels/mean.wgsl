// Mean of a vector: output[0] = sum of input / count.
//
// The sum is taken in blocks of BLOCK elements, each added up in order before it joins the rest; a launch does the blocks
// firstRound to endRound, continues from `output`, and divides after the last. Grid: one workgroup of one invocation.
struct Params {
  count: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  if (params.firstRound > 0u) { sum = output[0]; }
  for (var round = params.firstRound; round < params.endRound; round++) {
    let first = round * ${BLOCK}u;
    var block = 0.0;
    for (var at = first; at < min(first + ${BLOCK}u, params.count); at++) { block += input[at]; }
    sum += block;
  }
  output[0] = select(sum, sum / f32(params.count), params.endRound * ${BLOCK}u >= params.count);
}
