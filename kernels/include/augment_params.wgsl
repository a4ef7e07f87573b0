// What the augmentation kernels share: the table of samples, written by src/data/augment.ts, and their parameters.
// Every launch works on `samples` consecutive rows of the table; its images are rows of [3, height, width].
struct AugmentSample {
  start: u32,            // first pixel of the crop in `images`
  stride: u32,           // pixels of a row of the image
  cropHeight: u32,
  cropWidth: u32,
  flip: u32,
  grayscale: u32,
  radius: u32,           // of the blur in output pixels; 0 for none
  falloff: f32,          // -1 / (2 sigma^2)
  operations: vec4<u32>, // colour jitter in order of application, then NO_OPERATION
  amounts: vec4<f32>,    // the operation's factor; of HUE, the shift in turns
}

struct Params {
  samples: u32,
  firstSample: u32, // row of the table
  firstInput: u32,  // row of the input
  firstOutput: u32, // row of the output
  height: u32,      // of the output
  width: u32,
  meanRed: f32,     // normalisation: (value - mean) * scale
  meanGreen: f32,
  meanBlue: f32,
  scaleRed: f32,
  scaleGreen: f32,
  scaleBlue: f32,
}
