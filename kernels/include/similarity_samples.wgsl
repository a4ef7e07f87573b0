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

// Row or column of the map that a row or column of the grid stands for. A grid of the map's size is the map: so a side may
// be longer than the product allows.
fn gridPlace(index: u32, cells: u32, size: u32) -> u32 {
  if (cells == size) { return index; }
  return (2u * index + 1u) * size / (2u * cells);
}
