// As many multiply-adds as the device can do: SUMS independent chains of vec4 an invocation, nothing but registers. The
// benchmarks state other kernels' speed as a share of this one's. Not used in training.
//
// output [workgroups * 64]. Every invocation does rounds * 16 * SUMS * 4 multiply-adds.
struct Params {
  rounds: u32,
  factor: f32, // near 1 and below it, so that the sums stay finite; data, so that nothing is computed beforehand
  summand: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let factor = vec4<f32>(params.factor);
  let summand = vec4<f32>(params.summand);
  #for s in 0..${SUMS}
  var sum${s} = vec4<f32>(f32(id.x + ${s}u));
  #end
  for (var round = 0u; round < params.rounds; round++) {
    #for step in 0..16
    #for s in 0..${SUMS}
    sum${s} = fma(sum${s}, factor, summand);
    #end
    #end
  }
  var total = vec4<f32>();
  #for s in 0..${SUMS}
  total += sum${s};
  #end
  output[id.x] = total.x + total.y + total.z + total.w;
}
