// First part of the augmentation: cut the crop out, resize it, flip it, and jitter its colours up to the first operation
// that needs the whole image (contrast). Where no contrast comes, grayscale follows at once.
//
//   output[c, y, x] = sum over crop rows v and columns u of weight(y, v) weight(x, u) image[v, u, c] / sum of the weights
//   weight(y, v)    = max(0, 1 - |v + 1/2 - (y + 1/2) scale| / max(scale, 1)),   scale = crop size / output size
//
// the bilinear filter, widened when it shrinks (antialiasing), normalised over what lies inside the crop.
//
// images: one u32 a pixel, red lowest, the highest byte 255; samples [rows of the table]; output [rows, 3, height, width].
// With GRAY_SUMS, graySums [samples, strips, width] receives the gray of each invocation's pixels, summed.
//
// Grid: one invocation for STRIP output pixels below each other, 64 a workgroup, folded into rows; lanes run along x.
// A strip shares the sample's parameters, which would otherwise cost more loads than the pixels.
#include augment_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<AugmentSample>;
@group(0) @binding(2) var<storage, read> images: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
#if GRAY_SUMS
@group(0) @binding(4) var<storage, read_write> graySums: array<f32>;
#end

#include grid
#include augment_colour

struct Taps {
  first: u32,
  end: u32,
  centre: f32,
  width: f32,
}

fn tapsOf(position: u32, scale: f32, size: u32) -> Taps {
  let width = max(scale, 1.0);
  let centre = (f32(position) + 0.5) * scale;
  let first = u32(max(centre - width + 0.5, 0.0));
  return Taps(first, min(u32(centre + width + 0.5), size), centre, width);
}

fn weightOf(taps: Taps, at: u32) -> f32 {
  return max(0.0, 1.0 - abs(f32(at) + 0.5 - taps.centre) / taps.width);
}

fn resample(start: u32, stride: u32, rows: Taps, columns: Taps) -> vec3<f32> {
  // The fourth byte is 255, so the fourth sum is that of the weights.
  var sum = vec4<f32>();
  for (var v = rows.first; v < rows.end; v++) {
    let rowWeight = weightOf(rows, v);
    let row = start + v * stride;
    for (var u = columns.first; u < columns.end; u++) {
      sum += rowWeight * weightOf(columns, u) * unpack4x8unorm(images[row + u]);
    }
  }
  return sum.rgb / sum.a;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  let width = params.width;
  let height = params.height;
  let strips = (height + ${STRIP - 1}u) / ${STRIP}u;
  if (index >= params.samples * strips * width) { return; }
  let x = index % width;
  let firstY = (index / width) % strips * ${STRIP}u;
  let row = index / width / strips;
  let at = params.firstSample + row;

  let start = samples[at].start;
  let stride = samples[at].stride;
  let cropHeight = samples[at].cropHeight;
  let cropWidth = samples[at].cropWidth;
  let scaleY = f32(cropHeight) / f32(height);
  let columns = tapsOf(select(x, width - 1u - x, samples[at].flip == 1u), f32(cropWidth) / f32(width), cropWidth);

  #for q in 0..${STRIP / 4}
  var colours${q} = Colours();
  #end
  #for i in 0..${STRIP}
  let pixel${i} = resample(start, stride, tapsOf(min(firstY + ${i}u, height - 1u), scaleY, cropHeight), columns);
  colours${i >> 2}.red[${i & 3}] = pixel${i}.r;
  colours${i >> 2}.green[${i & 3}] = pixel${i}.g;
  colours${i >> 2}.blue[${i & 3}] = pixel${i}.b;
  #end

  var operation = NO_OPERATION;
  for (var slot = 0u; slot < 4u; slot++) {
    operation = samples[at].operations[slot];
    if (operation == NO_OPERATION || operation == CONTRAST) { break; }
    let amount = samples[at].amounts[slot];
    #for q in 0..${STRIP / 4}
    colours${q} = adjust(colours${q}, operation, amount, 0.0);
    #end
  }
  if (operation != CONTRAST && samples[at].grayscale == 1u) {
    #for q in 0..${STRIP / 4}
    let gray${q} = grayOf(colours${q});
    colours${q} = Colours(gray${q}, gray${q}, gray${q});
    #end
  }

  #if GRAY_SUMS
  var sum = 0.0;
  #for q in 0..${STRIP / 4}
  let summand${q} = grayOf(colours${q});
  #for i in 0..4
  sum += select(0.0, summand${q}[${i}], firstY + ${4 * q + i}u < height);
  #end
  #end
  graySums[index] = sum;
  #end

  let plane = height * width;
  let to = (params.firstOutput + row) * 3u * plane + firstY * width + x;
  #include augment_store
}
