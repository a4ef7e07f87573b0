// Gram matrices of packed samples, and how they compare with the teacher's, row by row:
//
//   G[g, j, i] = sum over c of features[g, c, j] * features[g, c, i]
//
//   with UNIT (affinity)    the samples' lengths divided out: G holds cosines; where a length is no finite number, NaN on the
//                           diagonal at least
//   without (CKA)           G's diagonal goes to `diagonal` and counts as zero
//
//   with STORE              gram = G                                                        (the teacher)
//   without                 cross[p, g, i] = sum over j in block p of gram[g, j, i] * G[g, j, i]
//                           square[p, g, i] = sum over j in block p of G[g, j, i]^2         (a candidate)
//
// A candidate's matrix exists in registers alone. It is symmetric, so only one tile of 8 x 8 of each pair of blocks is
// computed, and adds to the rows of both: block i + o for o = 0 … blocks / 2, counted around, meets every pair once.
//
// features [groups, channels, samples], both padded to multiples of 8; lengths [parts, groups, samples], sums of squares
// (see affinity_pack); gram [groups, samples, samples]; cross, square [blocks, groups, samples]; diagonal [groups, samples].
// Grid: one invocation a (group, pair of blocks), WORKGROUP a workgroup, folded into rows.
struct Params {
  groups: u32,
  channels: u32,
  samples: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> features: array<vec4<f32>>;
#if UNIT
@group(0) @binding(2) var<storage, read> lengths: array<vec4<f32>>;
#end
#if STORE
@group(0) @binding(3) var<storage, read_write> gram: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> gram: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cross: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> square: array<vec4<f32>>;
#if !UNIT
@group(0) @binding(6) var<storage, read_write> diagonal: array<vec4<f32>>;
#end
#end

#include grid

#if UNIT
fn inverseLengths(first: u32) -> vec4<f32> {
  let step = params.groups * params.samples / 4u;
  var sum = vec4<f32>();
  for (var part = 0u; part < params.parts; part++) { sum += lengths[first + part * step]; }
  return select(vec4<f32>(), 1.0 / sqrt(sum), sum > vec4<f32>());
}
#end

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, ${WORKGROUP}u);
  let blocks = params.samples / 8u;
  let pairs = blocks * (blocks + 1u) / 2u;
  let group = index / pairs;
  if (group >= params.groups) { return; }
  let i = (index % pairs) % blocks;
  let j = (i + (index % pairs) / blocks) % blocks;

  let quads = params.samples / 4u;
  let depth = params.channels;
  let leftStep = quads;
  let rightStep = quads;
  var leftAt = group * depth * quads + 2u * j;
  var rightAt = group * depth * quads + 2u * i;
  #include tile_product

  let rowI = group * quads + 2u * i;
  let rowJ = group * quads + 2u * j;
  #if UNIT
  let lengthI0 = inverseLengths(rowI);
  let lengthI1 = inverseLengths(rowI + 1u);
  let lengthJ0 = inverseLengths(rowJ);
  let lengthJ1 = inverseLengths(rowJ + 1u);
  #for b in 0..8
  sum${b}_0 *= lengthJ${b >> 2}[${b & 3}] * lengthI0;
  sum${b}_1 *= lengthJ${b >> 2}[${b & 3}] * lengthI1;
  #end
  #else
  if (i == j) {
    #if !STORE
    diagonal[rowI] = vec4<f32>(sum0_0[0], sum1_0[1], sum2_0[2], sum3_0[3]);
    diagonal[rowI + 1u] = vec4<f32>(sum4_1[0], sum5_1[1], sum6_1[2], sum7_1[3]);
    #end
    #for b in 0..8
    sum${b}_${b >> 2}[${b & 3}] = 0.0;
    #end
  }
  #end

  let gramIJ = (group * params.samples + 8u * j) * quads + 2u * i;
  #if STORE
  let gramJI = (group * params.samples + 8u * i) * quads + 2u * j;
  #for b in 0..8
  gram[gramIJ + ${b}u * quads] = sum${b}_0;
  gram[gramIJ + ${b}u * quads + 1u] = sum${b}_1;
  #end
  if (i != j) {
    #for a in 0..8
    gram[gramJI + ${a}u * quads] = vec4<f32>(
      sum0_${a >> 2}[${a & 3}], sum1_${a >> 2}[${a & 3}], sum2_${a >> 2}[${a & 3}], sum3_${a >> 2}[${a & 3}],
    );
    gram[gramJI + ${a}u * quads + 1u] = vec4<f32>(
      sum4_${a >> 2}[${a & 3}], sum5_${a >> 2}[${a & 3}], sum6_${a >> 2}[${a & 3}], sum7_${a >> 2}[${a & 3}],
    );
    #end
  }
  #else
  var crossI0 = vec4<f32>();
  var crossI1 = vec4<f32>();
  var crossJ0 = vec4<f32>();
  var crossJ1 = vec4<f32>();
  var squareI0 = vec4<f32>();
  var squareI1 = vec4<f32>();
  var squareJ0 = vec4<f32>();
  var squareJ1 = vec4<f32>();
  #for b in 0..8
  {
    let product0 = gram[gramIJ + ${b}u * quads] * sum${b}_0;
    let product1 = gram[gramIJ + ${b}u * quads + 1u] * sum${b}_1;
    let square0 = sum${b}_0 * sum${b}_0;
    let square1 = sum${b}_1 * sum${b}_1;
    crossI0 += product0;
    crossI1 += product1;
    squareI0 += square0;
    squareI1 += square1;
    let product = product0 + product1;
    let both = square0 + square1;
    crossJ${b >> 2}[${b & 3}] = (product.x + product.y) + (product.z + product.w);
    squareJ${b >> 2}[${b & 3}] = (both.x + both.y) + (both.z + both.w);
  }
  #end
  let toI = j * params.groups * quads + rowI;
  cross[toI] = crossI0;
  cross[toI + 1u] = crossI1;
  square[toI] = squareI0;
  square[toI + 1u] = squareI1;
  if (i != j) {
    let toJ = i * params.groups * quads + rowJ;
    cross[toJ] = crossJ0;
    cross[toJ + 1u] = crossJ1;
    square[toJ] = squareJ0;
    square[toJ + 1u] = squareJ1;
  }
  #end
}
