// The nearest input of an output: floor(o * scale), scale = size / outSize, in single precision as PyTorch takes it, which can
// be one less than in whole numbers; one product, so every device rounds it alike.
fn nearestPlace(o: u32, size: u32, scale: f32) -> u32 {
  return min(u32(f32(o) * scale), size - 1u);
}
