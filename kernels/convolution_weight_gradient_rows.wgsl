// Gradient of a convolution's weights without dilation or without stride, in parts that sum_partials adds up:
//
//   partial[s, o, i, tapY, tapX] = sum over rows of split s and columns x of
//                                  gradOutput[n, o, y, x] * input[n, i, y * stride + tapY * dilation - paddingY, columns alike]
//
// Bindings and parameters as in convolution_weight_gradient.wgsl; KERNEL = kernelX, STRIDE = stride and DILATED = (dilation
// > 1) are constants.
//
// Grid: x = blocks of 8 * ACROSS filter rows (i, tapY), eight lanes each, WORKGROUP invocations a workgroup; y = tiles of
// TILE output channels; z = splits, each rowsPerSplit of the images * outHeight rows.
//
// The taps of a filter row see the same inputs, one column apart: a lane shifts them through a window of KERNEL values
// and loads STRIDE new ones a position, where the general kernel loads all and tests each for the image's edge. Dilated, it
// walks every dilation-th column, then those beside them: among these the taps are one apart again.
#include weight_gradient_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gradOutput: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let filterRows = params.inChannels * params.kernelY;
  let inPlane = params.inHeight * params.inWidth;
  let outPlane = params.outHeight * params.outWidth;
  let firstFilterRow = (id.x / 8u) * ${8 * ACROSS}u + local % 8u;
  let firstChannel = id.y * ${TILE}u;
  let lastChannel = params.outChannels - 1u;

  #for v in 0..${ACROSS}
  let filterRow${v} = firstFilterRow + ${8 * v}u;
  let valid${v} = filterRow${v} < filterRows;
  let channel${v} = select(0u, filterRow${v} / params.kernelY, valid${v});
  let shiftY${v} = i32(filterRow${v} % params.kernelY) * params.dilation - params.paddingY;
  #end

  #include gradient_channels

  #for o in 0..${TILE}
  #for v in 0..${ACROSS}
  #for t in 0..${KERNEL}
  var sum${o}_${v}_${t} = 0.0;
  #end
  #end
  #end

  let firstRow = id.z * params.rowsPerSplit;
  let endRow = min(firstRow + params.rowsPerSplit, params.images * params.outHeight);
  for (var row = firstRow; row < endRow; row++) {
    let image = row / params.outHeight;
    let y = row % params.outHeight;
    #for v in 0..${ACROSS}
    let inRow${v} = i32(y) * ${STRIDE} + shiftY${v};
    let rowInside${v} = valid${v} && inRow${v} >= 0 && inRow${v} < i32(params.inHeight);
    let from${v} = select(
      0u,
      (image * params.inChannels + channel${v}) * inPlane + u32(inRow${v}) * params.inWidth,
      rowInside${v},
    );
    #end
    #include gradient_rows

    #if DILATED
    let step = params.dilation;
    for (var first = 0; first < step; first++) {
    #else
    let step = 1;
    let first = 0;
    #end
    #for v in 0..${ACROSS}
    #for t in 0..${STRIDE}
    var in${v}_${t} = 0.0;
    #end
    #for t in ${STRIDE}..${KERNEL}
    let before${v}_${t} = first + ${t - STRIDE} * step - params.paddingX;
    let inside${v}_${t} = rowInside${v} && u32(before${v}_${t}) < params.inWidth;
    var in${v}_${t} = select(0.0, input[from${v} + u32(max(before${v}_${t}, 0))], inside${v}_${t});
    #end
    #end
    for (var x = first; x < i32(params.outWidth); x += step) {
      #for t in 0..${KERNEL - STRIDE}
      #for v in 0..${ACROSS}
      in${v}_${t} = in${v}_${t + STRIDE};
      #end
      #end
      #for t in ${max(0, KERNEL - STRIDE)}..${KERNEL}
      let column${t} = u32(x * ${STRIDE} + ${t} * step - params.paddingX);
      #for v in 0..${ACROSS}
      in${v}_${t} = select(
        0.0,
        input[from${v} + min(column${t}, params.inWidth - 1u)],
        rowInside${v} && column${t} < params.inWidth,
      );
      #end
      #end
      #if SUBGROUP
      #for b in 0..${TILE / 8}
      let lanes${b} = gradOutput[gradStart${b} + u32(x)];
      #end
      #end
      #for o in 0..${TILE}
      #if SUBGROUP
      let grad${o} = subgroupBroadcast(lanes${o >> 3}, ${o & 7}u);
      #else
      let grad${o} = gradOutput[gradStart${o} + u32(x)];
      #end
      #for v in 0..${ACROSS}
      #for t in 0..${KERNEL}
      sum${o}_${v}_${t} = fma(grad${o}, in${v}_${t}, sum${o}_${v}_${t});
      #end
      #end
      #end
    }
    #if DILATED
    }
    #end
  }

  #for o in 0..${TILE}
  if (firstChannel + ${o}u <= lastChannel) {
    let to = (id.z * params.outChannels + firstChannel + ${o}u) * filterRows;
    #for v in 0..${ACROSS}
    if (valid${v}) {
      #for t in 0..${KERNEL}
      partial[(to + filterRow${v}) * ${KERNEL}u + ${t}u] = sum${o}_${v}_${t};
      #end
    }
    #end
  }
  #end
}
