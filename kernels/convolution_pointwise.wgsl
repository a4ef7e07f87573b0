// 1x1 convolution with stride 1, a product of matrices over the positions of all images:
//
//   output[n, o, p] = sum over i of weight[o, i] * input[n, i, p]  (+ bias[o])
//
// Bindings and parameters as in convolution.wgsl; planes are multiples of 4 positions. DEPTH (1 or 4) divides inChannels; with
// WEIGHT_VECTOR, DEPTH is 4 and rows of weights are contiguous and start at multiples of 4.
//
// Grid: x = tiles of TILE channels, so that neighbouring workgroups share their inputs in the cache; y = blocks of PIXELS
// consecutive positions, 64 a workgroup.
//
// Four positions are one load, and DEPTH channels one turn of the loop, whose own cost on a CPU driver is that of several
// multiply-adds.
#include convolution_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
#if WEIGHT_VECTOR
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#end
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let planeQuads = params.outHeight * params.outWidth / 4u;
  let totalQuads = params.images * planeQuads;
  let firstQuad = (group.y * 64u + local) * ${PIXELS / 4}u;
  let firstChannel = group.x * ${TILE}u;
  let lastChannel = params.outChannels - 1u;

  // Lanes past the end repeat the last positions and store nothing: all lanes stay active for the broadcasts.
  #for q in 0..${PIXELS / 4}
  let quad${q} = min(firstQuad + ${q}u, totalQuads - 1u);
  let image${q} = quad${q} / planeQuads;
  var at${q} = (params.inBase + image${q} * params.inImage) / 4u + quad${q} % planeQuads;
  #end

  #include weight_walk

  #for o in 0..${TILE}
  #for q in 0..${PIXELS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  for (var i = 0u; i < params.inChannels; i += ${DEPTH}u) {
    #if WEIGHT_VECTOR
    #for w in 0..${SUBGROUP ? TILE / 8 : TILE}
    let weights${w} = weight[weightAt${w} / 4u];
    weightAt${w} += 4u;
    #end
    #end
    #for d in 0..${DEPTH}
    #for q in 0..${PIXELS / 4}
    let in${d}_${q} = input[at${q}];
    at${q} += planeQuads;
    #end
    #for w in 0..${SUBGROUP ? TILE / 8 : TILE}
    #if WEIGHT_VECTOR
    let weights${d}_${w} = weights${w}[${d}];
    #else
    let weights${d}_${w} = weight[weightAt${w}];
    weightAt${w} += u32(params.weightIn);
    #end
    #end
    #for o in 0..${TILE}
    #if SUBGROUP
    let weight${d}_${o} = subgroupBroadcast(weights${d}_${o >> 3}, ${o & 7}u);
    #else
    let weight${d}_${o} = weights${d}_${o};
    #end
    #for q in 0..${PIXELS / 4}
    sum${o}_${q} = fma(vec4<f32>(weight${d}_${o}), in${d}_${q}, sum${o}_${q});
    #end
    #end
    #end
  }

  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    #for q in 0..${PIXELS / 4}
    if (firstQuad + ${q}u < totalQuads) {
      let to = (image${q} * params.outChannels + firstChannel + ${o}u) * planeQuads + quad${q} % planeQuads;
      #if BIAS
      sum${o}_${q} += vec4<f32>(bias[firstChannel + ${o}u]);
      #end
      if (params.accumulate == 1u) { sum${o}_${q} += output[to]; }
      output[to] = sum${o}_${q};
    }
    #end
  }
  #end
}
