// What dropout keeps is a function of the element's, or channel's, number e alone: where
//
//   philox((e / 4, layer, step, 0), (seed, stream))[e % 4] >= threshold            threshold = probability * 2^32
struct Params {
  count: u32, // elements; of whole channels, their number
  plane: u32, // elements of a channel
  parts: u32, // invocations of a channel
  threshold: u32,
  scale: f32, // 1 / (1 - probability)
  seed: u32,
  stream: u32,
  step: u32,
  layer: u32,
  accumulate: u32,
}
