// The logits of one pixel, of include/pixel_params.
#if UPSAMPLE
#include linear_places
struct Pixel {
  lowLeft: u32,
  lowRight: u32,
  highLeft: u32,
  highRight: u32,
  low: f32,
  high: f32,
  left: f32,
  right: f32,
}

fn pixelOf(index: u32) -> Pixel {
  let row = index / params.outWidth;
  let y = linearPlace(row % params.outHeight, params.inHeight, params.stepY, params.offsetY, params.unitY);
  let x = linearPlace(index % params.outWidth, params.inWidth, params.stepX, params.offsetX, params.unitX);
  let start = row / params.outHeight * params.channels * params.inHeight * params.inWidth;
  let low = start + y.low * params.inWidth;
  let high = start + y.high * params.inWidth;
  return Pixel(
    low + x.low,
    low + x.high,
    high + x.low,
    high + x.high,
    y.lowWeight,
    y.highWeight,
    x.lowWeight,
    x.highWeight,
  );
}

fn logitOf(pixel: Pixel, channel: u32) -> f32 {
  let plane = channel * params.inHeight * params.inWidth;
  let left = pixel.low * logits[plane + pixel.lowLeft] + pixel.high * logits[plane + pixel.highLeft];
  let right = pixel.low * logits[plane + pixel.lowRight] + pixel.high * logits[plane + pixel.highRight];
  return pixel.left * left + pixel.right * right;
}
#else
struct Pixel {
  first: u32,
}

fn pixelOf(index: u32) -> Pixel {
  let plane = params.outHeight * params.outWidth;
  return Pixel(index / plane * params.channels * plane + index % plane);
}

fn logitOf(pixel: Pixel, channel: u32) -> f32 {
  return logits[pixel.first + channel * params.outHeight * params.outWidth];
}
#end
