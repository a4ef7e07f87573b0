// Colour operations on four pixels at once. Brightness, contrast and saturation are one formula,
//
//   clamp(amount * colour + (1 - amount) * other, 0, 1)     other: black, the image's mean gray, the pixel's own gray
//
// and hue turns the colour circle: with value = max(r, g, b), chroma = value - min(r, g, b) and hue in sixths of a turn,
// a channel is value - chroma * clamp(min(k, 4 - k), 0, 1), k = (n + hue) mod 6, n = 5, 3, 1 for red, green, blue.
const NO_OPERATION = 0u;
const BRIGHTNESS = 1u;
const CONTRAST = 2u;
const SATURATION = 3u;
const HUE = 4u;

struct Colours {
  red: vec4<f32>,
  green: vec4<f32>,
  blue: vec4<f32>,
}

fn grayOf(colours: Colours) -> vec4<f32> {
  return 0.2989 * colours.red + 0.587 * colours.green + 0.114 * colours.blue;
}

fn hueChannel(n: f32, hue: vec4<f32>, value: vec4<f32>, chroma: vec4<f32>) -> vec4<f32> {
  let turned = hue + n;
  let k = turned - 6.0 * floor(turned * (1.0 / 6.0));
  return value - chroma * clamp(min(k, 4.0 - k), vec4<f32>(0.0), vec4<f32>(1.0));
}

fn shiftHue(colours: Colours, turns: f32) -> Colours {
  let red = colours.red;
  let green = colours.green;
  let blue = colours.blue;
  let value = max(max(red, green), blue);
  let chroma = value - min(min(red, green), blue);
  let part = 1.0 / select(chroma, vec4<f32>(1.0), chroma == vec4<f32>());
  var hue = select(4.0 + (red - green) * part, 2.0 + (blue - red) * part, value == green);
  hue = select(hue, (green - blue) * part, value == red) + 6.0 * turns;
  return Colours(
    hueChannel(5.0, hue, value, chroma),
    hueChannel(3.0, hue, value, chroma),
    hueChannel(1.0, hue, value, chroma),
  );
}

fn adjust(colours: Colours, operation: u32, amount: f32, meanGray: f32) -> Colours {
  if (operation == HUE) { return shiftHue(colours, amount); }
  var other = vec4<f32>();
  if (operation == CONTRAST) { other = vec4<f32>(meanGray); }
  if (operation == SATURATION) { other = grayOf(colours); }
  other *= 1.0 - amount;
  return Colours(
    clamp(amount * colours.red + other, vec4<f32>(0.0), vec4<f32>(1.0)),
    clamp(amount * colours.green + other, vec4<f32>(0.0), vec4<f32>(1.0)),
    clamp(amount * colours.blue + other, vec4<f32>(0.0), vec4<f32>(1.0)),
  );
}
