// Gradient of a convolution's weights, in parts that sum_partials adds up in a fixed order:
//
//   partial[s, o, k] = sum over rows of split s and columns x of gradOutput[n, o, y, x] * input[n, i, row, column]
//
// with k = (i, tapY, tapX) as the weights are stored, row = y * stride + tapY * dilation - padding, columns alike.
//
// input       [images, inChannels, inHeight, inWidth]    gradOutput  [images, outChannels, outHeight, outWidth]
// partial     [splits, outChannels, inChannels * kernelY * kernelX]
//
// Grid: x = blocks of 8 * ACROSS values of k, eight lanes each, WORKGROUP invocations a workgroup; y = tiles of TILE output
// channels; z = splits, each rowsPerSplit of the images * outHeight rows.
//
// Few outputs, a long sum: so the sum is split, and each invocation holds TILE x ACROSS of the outputs. A lane owns its
// own values of k and loads their inputs; the gradients of TILE channels are common to all lanes: with SUBGROUP each
// lane loads another channel's and broadcasts.
#include weight_gradient_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let taps = params.kernelY * params.kernelX;
  let depth = params.inChannels * taps;
  let inPlane = params.inHeight * params.inWidth;
  let outPlane = params.outHeight * params.outWidth;
  let firstK = (id.x / 8u) * ${8 * ACROSS}u + local % 8u;
  let firstChannel = id.y * ${TILE}u;
  let lastChannel = params.outChannels - 1u;

  #for v in 0..${ACROSS}
  let k${v} = firstK + ${8 * v}u;
  let valid${v} = k${v} < depth;
  let channel${v} = select(0u, k${v} / taps, valid${v});
  let tap${v} = k${v} % taps;
  let shiftY${v} = i32(tap${v} / params.kernelX) * params.dilation - params.paddingY;
  let shiftX${v} = i32(tap${v} % params.kernelX) * params.dilation - params.paddingX;
  #end

  #include gradient_channels

  #for o in 0..${TILE}
  #for q in 0..${ACROSS / 4}
  var sum${o}_${q} = vec4<f32>();
  #end
  #end

  let firstRow = id.z * params.rowsPerSplit;
  let endRow = min(firstRow + params.rowsPerSplit, params.images * params.outHeight);
  for (var row = firstRow; row < endRow; row++) {
    let image = row / params.outHeight;
    let y = row % params.outHeight;
    #for v in 0..${ACROSS}
    let inRow${v} = i32(y) * params.stride + shiftY${v};
    let rowInside${v} = valid${v} && inRow${v} >= 0 && inRow${v} < i32(params.inHeight);
    let inStart${v} = i32((image * params.inChannels + channel${v}) * inPlane) + inRow${v} * i32(params.inWidth);
    #end
    #include gradient_rows

    for (var x = 0u; x < params.outWidth; x++) {
      let start = i32(x) * params.stride;
      #for v in 0..${ACROSS}
      let column${v} = start + shiftX${v};
      let inside${v} = rowInside${v} && column${v} >= 0 && column${v} < i32(params.inWidth);
      let in${v} = select(0.0, input[select(0u, u32(inStart${v} + column${v}), inside${v})], inside${v});
      #end
      #for q in 0..${ACROSS / 4}
      let quad${q} = vec4<f32>(in${4 * q}, in${4 * q + 1}, in${4 * q + 2}, in${4 * q + 3});
      #end
      #if SUBGROUP
      #for b in 0..${TILE / 8}
      let lanes${b} = gradOutput[gradStart${b} + x];
      #end
      #end
      #for o in 0..${TILE}
      #if SUBGROUP
      let grad${o} = subgroupBroadcast(lanes${o >> 3}, ${o & 7}u);
      #else
      let grad${o} = gradOutput[gradStart${o} + x];
      #end
      #for q in 0..${ACROSS / 4}
      sum${o}_${q} = fma(vec4<f32>(grad${o}), quad${q}, sum${o}_${q});
      #end
      #end
    }
  }

  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    let to = (id.z * params.outChannels + firstChannel + ${o}u) * depth;
    #for v in 0..${ACROSS}
    if (valid${v}) { partial[to + k${v}] = sum${o}_${v >> 2}[${v & 3}]; }
    #end
  }
  #end
}
