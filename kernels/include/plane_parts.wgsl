// How an elementwise pass over [images, channels, plane] is split: lanes invocations share a plane, so an invocation
// looks its channel's coefficients up once and uses them for planeElements / lanes elements.
struct Params {
  images: u32,
  channels: u32,
  planeElements: u32, // elements of the buffers' type: vec4 with VECTOR
  groupImages: u32,   // images that share one set of statistics
  lanes: u32,
  accumulate: u32,
  accumulateResidual: u32,
}
