// Maps of logits [images, channels, inHeight, inWidth] seen at the size of label maps, outHeight x outWidth: with UPSAMPLE
// interpolated (include/linear_places), else of that size. A pixel is one of images * outHeight * outWidth.
struct Params {
  images: u32,
  channels: u32,
  inHeight: u32,
  inWidth: u32,
  outHeight: u32,
  outWidth: u32,
  stepY: i32,
  offsetY: i32,
  unitY: i32,
  stepX: i32,
  offsetX: i32,
  unitX: i32,
  ignored: u32, // the label of pixels that count for nothing
  accumulate: u32,
  firstRound: u32,
  endRound: u32,
}
