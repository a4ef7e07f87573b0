// Samples of a feature map, as affinity and CKA compare them. A group holds `samples` of them: `positions` of each of
// samples / positions images. The positions of an image form a regular grid of gridRows x gridColumns in the map of
// height x width, each in the middle of its share, so that a grid of the map's own size is the map.
//
// Packed samples [groups, paddedChannels, paddedSamples]: both padded to a multiple of 8 with zeros, so that the products
// over them need neither bounds nor alignment.
struct Params {
  groups: u32,
  channels: u32,
  paddedChannels: u32,
  samples: u32,
  paddedSamples: u32,
  positions: u32,
  gridRows: u32,
  gridColumns: u32,
  height: u32,
  width: u32,
  channelsPerPart: u32,
}

// Index of channel 0 of a sample in a map [images, channels, height, width].
fn sampleStart(group: u32, sample: u32) -> u32 {
  let image = group * (params.samples / params.positions) + sample / params.positions;
  let place = sample % params.positions;
  let row = (2u * (place / params.gridColumns) + 1u) * params.height / (2u * params.gridRows);
  let column = (2u * (place % params.gridColumns) + 1u) * params.width / (2u * params.gridColumns);
  return (image * params.channels * params.height + row) * params.width + column;
}
