// Products of the rows of two self-affinities, from products of channels. With a_i and b_i the i-th rows of A = F^T F and
// B = G^T G (columns of F and G are positions of length one),
//
//   <a_i, b_i> = f_i^T (F G^T) g_i = sum over c of f[c, i] * sum over d of products[d, c] * g[d, i]
//
// so channels x channels take the place of positions x positions. With G for F it is |b_i|^2.
//
// products [groups, depth, channels] (affinity_products of G and F); features is G [groups, depth, samples]; weights is
// F [groups, channels, samples]; rows [groups, samples]; all padded to multiples of 8.
// A launch does the rounds firstRound to endRound of the sum over c, eight channels each, and adds to those of the launch
// before. Grid: one invocation 8 positions, WORKGROUP a workgroup, folded into rows.
struct Params {
  groups: u32,
  channels: u32,
  depth: u32,
  samples: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> features: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> rows: array<vec4<f32>>;

#include grid

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, ${WORKGROUP}u);
  let blocks = params.samples / 8u;
  let group = index / blocks;
  if (group >= params.groups) { return; }
  let i = index % blocks;

  let quads = params.samples / 4u;
  let depth = params.depth;
  let leftStep = params.channels / 4u;
  let rightStep = quads;
  let to = group * quads + 2u * i;
  var total0 = vec4<f32>();
  var total1 = vec4<f32>();
  if (params.firstRound > 0u) {
    total0 = rows[to];
    total1 = rows[to + 1u];
  }
  for (var c = params.firstRound; c < params.endRound; c++) {
    var leftAt = group * depth * leftStep + 2u * c;
    var rightAt = group * depth * quads + 2u * i;
    #include tile_product
    let weightAt = (group * params.channels + 8u * c) * quads + 2u * i;
    #for b in 0..8
    total0 = fma(weights[weightAt + ${b}u * quads], sum${b}_0, total0);
    total1 = fma(weights[weightAt + ${b}u * quads + 1u], sum${b}_1, total1);
    #end
  }
  rows[to] = total0;
  rows[to + 1u] = total1;
}
