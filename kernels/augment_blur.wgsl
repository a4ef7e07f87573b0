// Last part of the augmentation: one direction of the Gaussian blur (HORIZONTAL first, then vertical), for every plane
//
//   output[p] = sum over d = -radius … radius of exp(falloff d^2) input[reflect(p + d)] / sum of exp(falloff d^2)
//
// with edges reflected (-1 is 1), again and again where the radius passes the image. Radius 0 copies.
//
// input, output [rows, 3, height, width], samples [rows of the table].
// Grid: one invocation for STRIP pixels of one plane along the blur, 64 a workgroup, folded into rows. The STRIP neighbours
// at distance d on each side stay in registers and move on by one: two loads a distance for the whole strip.
#include augment_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<AugmentSample>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

#include grid

// A triangle wave with period 2 last, turns = 1 / period; right on both sides of a period's end, so rounding there does
// no harm.
fn mirrored(position: i32, last: f32, turns: f32) -> u32 {
  let at = f32(position);
  return u32(max(last - abs(last - (at - 2.0 * last * floor(at * turns))), 0.0));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(group, groups, local, 64u);
  #if HORIZONTAL
  let length = params.width;
  let lines = params.height;
  let stride = 1u;
  let lineStride = params.width;
  #else
  let length = params.height;
  let lines = params.width;
  let stride = params.width;
  let lineStride = 1u;
  #end
  let strips = (length + ${STRIP - 1}u) / ${STRIP}u;
  if (index >= params.samples * 3u * strips * lines) { return; }
  let line = index % lines;
  let first = (index / lines) % strips * ${STRIP}u;
  let plane = index / lines / strips;
  let row = plane / 3u;
  let channel = plane % 3u;
  let source = (params.firstInput * 3u + plane) * length * lines + line * lineStride;
  let last = f32(length - 1u);
  let turns = 0.5 / max(last, 1.0);
  let radius = i32(samples[params.firstSample + row].radius);
  let falloff = samples[params.firstSample + row].falloff;

  #for q in 0..${STRIP / 4}
  var sum${q} = vec4<f32>(
    #for i in 0..4
    input[source + mirrored(i32(first) + ${4 * q + i}, last, turns) * stride],
    #end
  );
  var before${q} = sum${q};
  var after${q} = sum${q};
  #end
  var total = 1.0;
  for (var away = 1; away <= radius; away++) {
    let weight = exp(falloff * f32(away * away));
    total += 2.0 * weight;
    let entersBefore = input[source + mirrored(i32(first) - away, last, turns) * stride];
    let entersAfter = input[source + mirrored(i32(first) + ${STRIP - 1} + away, last, turns) * stride];
    #for p in 0..${STRIP / 4}
    before${STRIP / 4 - 1 - p} = vec4<f32>(
      ${p === STRIP / 4 - 1 ? "entersBefore" : "before" + (STRIP / 4 - 2 - p) + ".w"},
      before${STRIP / 4 - 1 - p}.xyz,
    );
    #end
    #for q in 0..${STRIP / 4}
    after${q} = vec4<f32>(after${q}.yzw, ${q === STRIP / 4 - 1 ? "entersAfter" : "after" + (q + 1) + ".x"});
    sum${q} += weight * (before${q} + after${q});
    #end
  }

  let to = (params.firstOutput * 3u + plane) * length * lines + line * lineStride;
  #if NORMALISE
  let mean = select(select(params.meanBlue, params.meanGreen, channel == 1u), params.meanRed, channel == 0u);
  let scale = select(select(params.scaleBlue, params.scaleGreen, channel == 1u), params.scaleRed, channel == 0u);
  #end
  #for i in 0..${STRIP}
  if (first + ${i}u < length) {
    #if NORMALISE
    output[to + (first + ${i}u) * stride] = (sum${i >> 2}[${i & 3}] / total - mean) * scale;
    #else
    output[to + (first + ${i}u) * stride] = sum${i >> 2}[${i & 3}] / total;
    #end
  }
  #end
}
