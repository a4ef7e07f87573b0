// Second part of the augmentation: the colour jitter from contrast on, which needs the image's mean gray, and grayscale.
// Samples without contrast were finished by augment_crop and are only copied.
//
// input [rows, 3, height, width], meanGray [rows], samples [rows of the table], output [rows, 3, height, width].
// Grid: one invocation for STRIP pixels below each other, 64 a workgroup, folded into rows; lanes run along x.
#include augment_params

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<AugmentSample>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> meanGray: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

#include grid
#include augment_colour

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
  let plane = height * width;

  let source = (params.firstInput + row) * 3u * plane + x;
  #for i in 0..${STRIP}
  let pixel${i} = source + min(firstY + ${i}u, height - 1u) * width;
  #end
  #for q in 0..${STRIP / 4}
  var colours${q} = Colours(
    #for c in 0..3
    vec4<f32>(
      input[pixel${4 * q} + ${c}u * plane],
      input[pixel${4 * q + 1} + ${c}u * plane],
      input[pixel${4 * q + 2} + ${c}u * plane],
      input[pixel${4 * q + 3} + ${c}u * plane],
    ),
    #end
  );
  #end

  var reached = false;
  for (var slot = 0u; slot < 4u; slot++) {
    let operation = samples[at].operations[slot];
    reached = reached || operation == CONTRAST;
    if (!reached || operation == NO_OPERATION) { continue; }
    let amount = samples[at].amounts[slot];
    let mean = meanGray[params.firstInput + row];
    #for q in 0..${STRIP / 4}
    colours${q} = adjust(colours${q}, operation, amount, mean);
    #end
  }
  if (reached && samples[at].grayscale == 1u) {
    #for q in 0..${STRIP / 4}
    let gray${q} = grayOf(colours${q});
    colours${q} = Colours(gray${q}, gray${q}, gray${q});
    #end
  }

  let to = (params.firstOutput + row) * 3u * plane + firstY * width + x;
  #include augment_store
}
