// Shapes of a convolution whose weights' gradient is computed; channels are the active ones.
struct Params {
  images: u32,
  inChannels: u32,
  inHeight: u32,
  inWidth: u32,
  outChannels: u32,
  outHeight: u32,
  outWidth: u32,
  kernelY: u32,
  kernelX: u32,
  stride: i32,
  paddingY: i32,
  paddingX: i32,
  dilation: i32,
  rowsPerSplit: u32,
}
