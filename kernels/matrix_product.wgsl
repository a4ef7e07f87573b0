// Product of a matrix with the leading slice of stored weights, i.e. a 1x1 convolution over images of one pixel:
//
//   output[n, o] = sum over i of input[n, i] * weight[o * weightOut + i * weightIn]  (+ bias[o])
//
// input    [images, inImage], inChannels of it from inBase on; both, and inChannels, multiples of 4
// weight   with WEIGHT_VECTOR rows of i are contiguous and start at multiples of 4
// bias     [outChannels], only with BIAS
// output   [images, outChannels] from outBase on; written, or added to when params.accumulate is 1
//
// Grid: x = tiles of TILE columns o; y = blocks of PIXELS rows n, 64 a workgroup.
//
// As convolution.wgsl, but i runs along memory on both sides, so four of them are one load.
#include convolution_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
#if WEIGHT_VECTOR
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> weight: array<f32>;
#end
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
#if BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let firstRow = (group.y * 64u + local) * ${PIXELS}u;
  let firstChannel = group.x * ${TILE}u;
  let lastChannel = params.outChannels - 1u;
  let lastRow = params.images - 1u;

  // Lanes past the end repeat the last row and store nothing: all lanes stay active for the broadcasts.
  #for p in 0..${PIXELS}
  var at${p} = (params.inBase + min(firstRow + ${p}u, lastRow) * params.inImage) / 4u;
  #end
  #include weight_walk

  #for o in 0..${TILE}
  #for q in 0..${PIXELS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  for (var i = 0u; i < params.inChannels; i += 4u) {
    #for p in 0..${PIXELS}
    let in${p} = input[at${p}];
    at${p}++;
    #end
    #for w in 0..${SUBGROUP ? TILE / 8 : TILE}
    #if WEIGHT_VECTOR
    let weights${w} = weight[weightAt${w} / 4u];
    #else
    let step${w} = u32(params.weightIn);
    let weights${w} = vec4<f32>(
      weight[weightAt${w}],
      weight[weightAt${w} + step${w}],
      weight[weightAt${w} + 2u * step${w}],
      weight[weightAt${w} + 3u * step${w}],
    );
    #end
    weightAt${w} += 4u * u32(params.weightIn);
    #end
    #for c in 0..4
    #for q in 0..${PIXELS / 4}
    let rows${c}_${q} = vec4<f32>(in${4 * q}[${c}], in${4 * q + 1}[${c}], in${4 * q + 2}[${c}], in${4 * q + 3}[${c}]);
    #end
    #for o in 0..${TILE}
    #if SUBGROUP
    let weight${o}_${c} = subgroupBroadcast(weights${o >> 3}[${c}], ${o & 7}u);
    #else
    let weight${o}_${c} = weights${o}[${c}];
    #end
    #for q in 0..${PIXELS / 4}
    sum${o}_${q} = fma(vec4<f32>(weight${o}_${c}), rows${c}_${q}, sum${o}_${q});
    #end
    #end
    #end
  }

  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    #if BIAS
    let bias${o} = bias[firstChannel + ${o}u];
    #end
    #for p in 0..${PIXELS}
    if (firstRow + ${p}u <= lastRow) {
      let to = params.outBase + (firstRow + ${p}u) * params.outChannels + firstChannel + ${o}u;
      #if BIAS
      sum${o}_${p >> 2}[${p & 3}] += bias${o};
      #end
      if (params.accumulate == 1u) { sum${o}_${p >> 2}[${p & 3}] += output[to]; }
      output[to] = sum${o}_${p >> 2}[${p & 3}];
    }
    #end
  }
  #end
}
