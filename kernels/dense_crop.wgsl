// Photos of any size as one batch: each resized as a whole, a window cut out of it, mirrored, its colours changed,
// normalised, and padded on the right and at the bottom with 0.
//
//   output[c, y, x] = sum over rows v and columns u of weight(top + y, v) weight(left + x', u) image[v, u, c] / sum of weights
//   weight(p, v)    = max(0, 1 - |v + 1/2 - (p + 1/2) scale| / support),   scale = image size / resized size
//   support         = max(scale, 1) where the sample is antialiased, else 1;   x' = width - 1 - x where it is mirrored
//
// With support 1 this is PyTorch's interpolate(mode="bilinear", align_corners=False): what lies outside has no weight, so
// the edge's pixel counts whole. Of the colours, ADD adds; CHROMA multiplies the saturation of hue, saturation and value.
//
// images: one u32 a pixel, red lowest, the highest byte 255; samples [rows]; output [rows, 3, height, width].
//
// Grid: one invocation for four output pixels below each other, 64 a workgroup, folded into rows; lanes run along x.
struct DenseSample {
  start: u32,         // first pixel of the image in `images`
  imageHeight: u32,
  imageWidth: u32,
  antialias: u32,
  resizedHeight: u32,
  resizedWidth: u32,
  top: u32,           // of the window in the resized image
  left: u32,
  windowHeight: u32,
  windowWidth: u32,
  flip: u32,
  padding: u32,       // unused
  operations: vec4<u32>,
  amounts: vec4<f32>,
}

struct Params {
  samples: u32,
  height: u32,
  width: u32,
  meanRed: f32,
  meanGreen: f32,
  meanBlue: f32,
  scaleRed: f32,
  scaleGreen: f32,
  scaleBlue: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<DenseSample>;
@group(0) @binding(2) var<storage, read> images: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

#include grid
#include augment_colour

const ADD = 5u;
const CHROMA = 6u;

struct Taps {
  first: u32,
  end: u32,
  centre: f32,
  support: f32,
}

fn tapsOf(position: u32, inputs: u32, outputs: u32, antialias: bool) -> Taps {
  let scale = f32(inputs) / f32(outputs);
  let support = select(1.0, max(scale, 1.0), antialias);
  let centre = (f32(position) + 0.5) * scale;
  let first = u32(max(centre - support + 0.5, 0.0));
  return Taps(min(first, inputs - 1u), min(u32(centre + support + 0.5), inputs), centre, support);
}

fn weightOf(taps: Taps, at: u32) -> f32 {
  return max(0.0, 1.0 - abs(f32(at) + 0.5 - taps.centre) / taps.support);
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

fn limited(red: vec4<f32>, green: vec4<f32>, blue: vec4<f32>) -> Colours {
  let none = vec4<f32>(0.0);
  let full = vec4<f32>(1.0);
  return Colours(clamp(red, none, full), clamp(green, none, full), clamp(blue, none, full));
}

fn change(colours: Colours, operation: u32, amount: f32) -> Colours {
  if (operation == ADD) {
    return limited(colours.red + amount, colours.green + amount, colours.blue + amount);
  }
  if (operation == CHROMA) {
    let value = max(max(colours.red, colours.green), colours.blue);
    let chroma = value - min(min(colours.red, colours.green), colours.blue);
    // No channel falls below 0: saturation is at most 1.
    let most = value / select(chroma, vec4<f32>(1.0), chroma == vec4<f32>());
    let factor = select(min(vec4<f32>(amount), most), vec4<f32>(1.0), chroma == vec4<f32>());
    return limited(
      value - factor * (value - colours.red),
      value - factor * (value - colours.green),
      value - factor * (value - colours.blue),
    );
  }
  return adjust(colours, operation, amount, 0.0);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  let strips = (params.height + 3u) / 4u;
  if (index >= params.samples * strips * params.width) { return; }
  let x = index % params.width;
  let firstY = (index / params.width) % strips * 4u;
  let row = index / params.width / strips;
  let sample = samples[row];

  var colours = Colours();
  let inside = x < sample.windowWidth && firstY < sample.windowHeight;
  if (inside) {
    let shownX = sample.left + select(x, sample.windowWidth - 1u - x, sample.flip == 1u);
    let antialias = sample.antialias == 1u;
    let columns = tapsOf(shownX, sample.imageWidth, sample.resizedWidth, antialias);
    #for i in 0..4
    let y${i} = sample.top + min(firstY + ${i}u, sample.windowHeight - 1u);
    let rows${i} = tapsOf(y${i}, sample.imageHeight, sample.resizedHeight, antialias);
    let pixel${i} = resample(sample.start, sample.imageWidth, rows${i}, columns);
    colours.red[${i}] = pixel${i}.r;
    colours.green[${i}] = pixel${i}.g;
    colours.blue[${i}] = pixel${i}.b;
    #end
    for (var slot = 0u; slot < 4u; slot++) {
      let operation = sample.operations[slot];
      if (operation == NO_OPERATION) { break; }
      colours = change(colours, operation, sample.amounts[slot]);
    }
  }

  let plane = params.height * params.width;
  let to = row * 3u * plane + firstY * params.width + x;
  #for i in 0..4
  if (firstY + ${i}u < params.height) {
    let shown${i} = inside && firstY + ${i}u < sample.windowHeight;
    let at${i} = to + ${i}u * params.width;
    output[at${i}] = select(0.0, (colours.red[${i}] - params.meanRed) * params.scaleRed, shown${i});
    output[at${i} + plane] = select(0.0, (colours.green[${i}] - params.meanGreen) * params.scaleGreen, shown${i});
    output[at${i} + 2u * plane] = select(0.0, (colours.blue[${i}] - params.meanBlue) * params.scaleBlue, shown${i});
  }
  #end
}
