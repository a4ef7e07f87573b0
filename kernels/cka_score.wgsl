// HSIC of a candidate with the teacher and with itself, summed over groups of samples, added to a slot of the score table.
// With K and L the Gram matrices of *centred* samples, k and l their diagonals,
//
//   HSIC(K, L) = scale * (sum over i != j of K_ij L_ij + totals * (sum k)(sum l) + diagonals * (sum of k_i l_i))
//
//   biased     totals 0, diagonals 1: the trace of K L
//   debiased   totals 1 / ((n-1)(n-2)), diagonals -2 / (n-2). That is the formula with sums over all elements and rows of
//              the matrices with zero diagonal: rows of a centred Gram matrix add up to zero, so those sums are -sum k, -k_i.
//              (Debiased HSIC does not change when all samples are shifted, so centring them is free.)
//
// cross, square, the sums of gram_compare over its blocks, and diagonal [groups, samples].
// table [slots, 64]: lane l of 16 adds (HSIC(K,L), HSIC(L,L), HSIC(K,K), groups) at 4 l; the lanes share the samples.
// `teacher` [64] is a slot that launches with TEACHER wrote for the teacher's own samples, the first of them over what was
// there; so HSIC(K,K) of all groups comes with the first launch. A launch does the groups firstRound to endRound.
// Grid: one workgroup.
struct Params {
  samples: u32,
  paddedSamples: u32,
  scale: f32,
  totals: f32,
  diagonals: f32,
  slot: u32,
  firstRound: u32,
  endRound: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cross: array<f32>;
@group(0) @binding(2) var<storage, read> square: array<f32>;
@group(0) @binding(3) var<storage, read> diagonal: array<f32>;
@group(0) @binding(4) var<storage, read_write> table: array<vec4<f32>>;
#if !TEACHER
@group(0) @binding(5) var<storage, read> teacherDiagonal: array<f32>;
@group(0) @binding(6) var<storage, read> teacher: array<vec4<f32>>;
#end

@compute @workgroup_size(16)
fn main(@builtin(local_invocation_index) lane: u32) {
  var both = 0.0;
  var own = 0.0;
  for (var group = params.firstRound; group < params.endRound; group++) {
    let start = group * params.paddedSamples;
    var total = 0.0;
    var teacherTotal = 0.0;
    for (var sample = 0u; sample < params.samples; sample++) {
      total += diagonal[start + sample];
      #if !TEACHER
      teacherTotal += teacherDiagonal[start + sample];
      #end
    }
    for (var sample = lane; sample < params.samples; sample += 16u) {
      let at = start + sample;
      let l = diagonal[at];
      own += square[at] + l * (params.totals * total + params.diagonals * l);
      #if !TEACHER
      both += cross[at] + l * (params.totals * teacherTotal + params.diagonals * teacherDiagonal[at]);
      #end
    }
  }
  let groups = select(0.0, f32(params.endRound - params.firstRound), lane == 0u);
  let to = params.slot * 16u + lane;
  var before = vec4<f32>();
  #if TEACHER
  if (params.firstRound > 0u) { before = table[to]; }
  let teacherOwn = 0.0;
  #else
  before = table[to];
  let teacherOwn = select(0.0, teacher[lane].y, params.firstRound == 0u);
  #end
  table[to] = before + vec4<f32>(params.scale * both, params.scale * own, teacherOwn, groups);
}
