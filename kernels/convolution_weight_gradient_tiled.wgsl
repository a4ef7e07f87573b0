// Gradient of a convolution's weights in tiles that a workgroup shares, in parts that sum_partials adds up:
//
//   partial[s, o, k] = sum over positions p of split s of gradOutput[n, o, y, x] * input[n, i, row, column]
//
// Bindings and parameters as in convolution_weight_gradient.wgsl: k = (i, tapY, tapX) as the weights are stored.
//
// Grid: x = tiles of 16 * ACROSS values of k; y = tiles of 16 * TILE output channels; z = splits, each rowsPerSplit of the
// images * outHeight rows. 256 invocations in 16 columns (k) and 16 rows (channels), each with TILE x ACROSS sums; TILE
// and ACROSS are 4 or 8.
//
// For GPUs: a product whose long side is the positions. Inputs and gradients of DEPTH positions go through workgroup
// memory, where each value serves 16 * TILE or 16 * ACROSS multiply-adds. Neighbouring invocations load neighbouring
// positions, which lie side by side in both tensors. An invocation loads one position of each chunk, so it decodes one;
// its values of k and channels stay the same. The vec4 of index j holds j, j + a quarter of the tile, and so on.
#include weight_gradient_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

// Rows of workgroup memory: one position each, and a vec4 longer than needed, because neighbouring invocations write
// below each other and shall meet different banks.
const quarterDepth = ${4 * ACROSS}u;
const quarterChannels = ${4 * TILE}u;
var<workgroup> inputs: array<vec4<f32>, ${DEPTH * (4 * ACROSS + 1)}>;
var<workgroup> gradients: array<vec4<f32>, ${DEPTH * (4 * TILE + 1)}>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let taps = params.kernelY * params.kernelX;
  let depth = params.inChannels * taps;
  let inPlane = params.inHeight * params.inWidth;
  let outPlane = params.outHeight * params.outWidth;
  let firstK = group.x * ${16 * ACROSS}u;
  let firstChannel = group.y * ${16 * TILE}u;

  let loadPosition = local % ${DEPTH}u;
  #for v in 0..${DEPTH * ACROSS / 64}
  let inputQuad${v} = local / ${DEPTH}u + ${v * 256 / DEPTH}u;
  #for c in 0..4
  let k${v}_${c} = firstK + inputQuad${v} + ${c}u * quarterDepth;
  let valid${v}_${c} = k${v}_${c} < depth;
  let plane${v}_${c} = k${v}_${c} / taps * inPlane;
  let shiftY${v}_${c} = i32(k${v}_${c} % taps / params.kernelX) * params.dilation - params.paddingY;
  let shiftX${v}_${c} = i32(k${v}_${c} % params.kernelX) * params.dilation - params.paddingX;
  #end
  #end
  #for v in 0..${DEPTH * TILE / 64}
  let gradQuad${v} = local / ${DEPTH}u + ${v * 256 / DEPTH}u;
  #end

  let column = local % 16u;
  let row = local / 16u;
  #for o in 0..${TILE}
  #for q in 0..${ACROSS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  let firstPosition = group.z * params.rowsPerSplit * params.outWidth;
  let endPosition = min(firstPosition + params.rowsPerSplit * params.outWidth, params.images * outPlane);
  for (var first = firstPosition; first < endPosition; first += ${DEPTH}u) {
    let position = first + loadPosition;
    let there = position < endPosition;
    let image = position / outPlane;
    let place = position % outPlane;
    let y = i32(place / params.outWidth) * params.stride;
    let x = i32(place % params.outWidth) * params.stride;
    let inImage = image * params.inChannels * inPlane;
    let gradImage = image * params.outChannels * outPlane + place;

    workgroupBarrier();
    #for v in 0..${DEPTH * ACROSS / 64}
    #for c in 0..4
    let inRow${v}_${c} = y + shiftY${v}_${c};
    let inColumn${v}_${c} = x + shiftX${v}_${c};
    let inside${v}_${c} = there && valid${v}_${c} && inRow${v}_${c} >= 0 && inRow${v}_${c} < i32(params.inHeight) &&
      inColumn${v}_${c} >= 0 && inColumn${v}_${c} < i32(params.inWidth);
    let at${v}_${c} = inImage + plane${v}_${c} + u32(inRow${v}_${c}) * params.inWidth + u32(inColumn${v}_${c});
    let in${v}_${c} = select(0.0, input[select(0u, at${v}_${c}, inside${v}_${c})], inside${v}_${c});
    #end
    inputs[loadPosition * (quarterDepth + 1u) + inputQuad${v}] =
      vec4<f32>(in${v}_0, in${v}_1, in${v}_2, in${v}_3);
    #end
    #for v in 0..${DEPTH * TILE / 64}
    #for c in 0..4
    let gradChannel${v}_${c} = firstChannel + gradQuad${v} + ${c}u * quarterChannels;
    let used${v}_${c} = there && gradChannel${v}_${c} < params.outChannels;
    let grad${v}_${c} = select(
      0.0,
      gradOutput[select(0u, gradImage + gradChannel${v}_${c} * outPlane, used${v}_${c})],
      used${v}_${c},
    );
    #end
    gradients[loadPosition * (quarterChannels + 1u) + gradQuad${v}] =
      vec4<f32>(grad${v}_0, grad${v}_1, grad${v}_2, grad${v}_3);
    #end
    workgroupBarrier();

    #for d in 0..${DEPTH}
    #for q in 0..${ACROSS / 4}
    let under${d}_${q} = inputs[${d * (4 * ACROSS + 1) + 16 * q}u + column];
    #end
    #for r in 0..${TILE / 4}
    let channels${d}_${r} = gradients[${d * (4 * TILE + 1) + 16 * r}u + row];
    #for c in 0..4
    #for q in 0..${ACROSS / 4}
    sum${4 * r + c}_${q} = fma(vec4<f32>(channels${d}_${r}[${c}]), under${d}_${q}, sum${4 * r + c}_${q});
    #end
    #end
    #end
    #end
  }

  #for r in 0..${TILE / 4}
  #for c in 0..4
  let channel${r}_${c} = firstChannel + ${16 * r}u + row + ${c}u * quarterChannels;
  if (channel${r}_${c} < params.outChannels) {
    let to = (group.z * params.outChannels + channel${r}_${c}) * depth;
    #for q in 0..${ACROSS / 4}
    #for p in 0..4
    let outK${q}_${p} = firstK + ${16 * q}u + column + ${p}u * quarterDepth;
    if (outK${q}_${p} < depth) { partial[to + outK${q}_${p}] = sum${4 * r + c}_${q}[${p}]; }
    #end
    #end
  }
  #end
  #end
}
