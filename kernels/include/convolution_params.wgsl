// Geometry of an implicit matrix product over image patches. One description serves the forward pass, the gradient of
// the input (weights transposed, taps reversed; with stride s one launch for each of the s*s output phases) and linear
// layers (images of one pixel).
//
//   input row     = outY * inStride + inOffsetY + tapY * inStepY          (the same for columns)
//   input         = inBase + n * inImage + i * inHeight * inWidth + row * inWidth + column
//   weight        = weightBase + o * weightOut + i * weightIn + tapY * weightTapY + tapX * weightTapX
//   output        = outBase + (n * outChannels + o) * outPlane + outY * outRow + outX * outColumn
struct Params {
  images: u32,
  inChannels: u32,
  inHeight: u32,
  inWidth: u32,
  inBase: u32,
  inImage: u32,
  outChannels: u32,
  outHeight: u32,
  outWidth: u32,
  tapsY: u32,
  tapsX: u32,
  inStride: i32,
  inOffsetY: i32,
  inOffsetX: i32,
  inStepY: i32,
  inStepX: i32,
  weightBase: i32,
  weightOut: i32,
  weightIn: i32,
  weightTapY: i32,
  weightTapX: i32,
  outBase: u32,
  outPlane: u32,
  outRow: u32,
  outColumn: u32,
  accumulate: u32,
}
