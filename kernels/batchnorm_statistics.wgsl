// First part of batchnorm in training mode: mean and deviation of each part of a channel,
//
//   partial[g, c, p] = (mean, rest, sum of (x - mean - rest)^2, number of x)     over part p of group g's elements of channel c
//
// A run of a few elements is summed relative to a pivot, the median of its first three, which is near enough to most of them
// that squares lose nothing, and then joins the part by the formula of Chan, Golub and LeVeque (1979) for the union of a and b:
//
//   mean = mean_a + (mean_b - mean_a) n_b / n       deviation = deviation_a + deviation_b + (mean_b - mean_a)^2 n_a n_b / n
//
// Means are two numbers, the first of few digits, so that their differences are exact: then neither a large mean nor an
// outlier, wherever it stands, cancels the variance away. A vec4 is four such parts.
//
// input [groups * images, channels, plane]; partial [groups, channels, parts] of vec4.
// Grid: one invocation a partial, 64 a workgroup, folded into rows. No barriers: batchnorm_finish joins the parts in order.
#include channel_parts

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<${VECTOR ? "vec4<f32>" : "f32"}>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;

#include grid
#include channel_runs
#include not_a_number

const largest = 3.402823e38;

// The first digits of a number. By its bits, because a compiler may take (a + b) - a for b.
fn digits(x: ${VECTOR ? "vec4<f32>" : "f32"}) -> ${VECTOR ? "vec4<f32>" : "f32"} {
  return bitcast<${VECTOR ? "vec4<f32>" : "f32"}>(bitcast<${VECTOR ? "vec4<u32>" : "u32"}>(x) & ${VECTOR ? "vec4<u32>(0xffffff00u)" : "0xffffff00u"});
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let index = linearIndex(workgroup, workgroups, local, 64u);
  let parts = params.imageParts * params.lanes;
  if (index >= params.groups * params.channels * parts) { return; }
  let part = index % parts;
  let channel = (index / parts) % params.channels;
  let groupImage = (index / parts / params.channels) * params.images;
  let zero = ${VECTOR ? "vec4<f32>()" : "0.0"};

  var mean = zero;
  var rest = zero;
  var deviation = zero;
  var count = 0.0;
  // Says whether the mean is infinite: differences of means would make NaN of it.
  var total = zero;
  for (var firstImage = part / params.lanes; firstImage < params.images; firstImage += params.runImages * params.imageParts) {
    for (var first = part % params.lanes; first < params.planeElements; first += params.runElements * params.lanes) {
      #for i in 0..3
      let image${i} = groupImage + firstImage + min(${i}u, (endImage(firstImage) - 1u - firstImage) / params.imageParts) * params.imageParts;
      let element${i} = first + min(${i}u, (endElement(first) - 1u - first) / params.lanes) * params.lanes;
      let value${i} = input[(image${i} * params.channels + channel) * params.planeElements + element${i}];
      #end
      let median = max(min(value0, value1), min(max(value0, value1), value2));
      // Infinity is no pivot: infinity - infinity is NaN.
      let pivot = select(zero, median, abs(median) <= ${VECTOR ? "vec4<f32>(largest)" : "largest"});
      var sum = zero;
      var squares = zero;
      var terms = 0.0;
      for (var image = firstImage; image < endImage(firstImage); image += params.imageParts) {
        let row = ((groupImage + image) * params.channels + channel) * params.planeElements;
        for (var at = first; at < endElement(first); at += params.lanes) {
          let value = input[row + at] - pivot;
          sum += value;
          squares = fma(value, value, squares);
          terms += 1.0;
        }
      }
      total += sum;
      let shift = sum / terms;
      // Finite numbers whose squares are not have an infinite deviation, where the difference would be NaN.
      let overflows = (squares > ${VECTOR ? "vec4<f32>(largest)" : "largest"}) & (abs(sum) <= ${VECTOR ? "vec4<f32>(largest)" : "largest"});
      let own = select(squares - sum * shift, squares, overflows);
      let all = count + terms;
      let difference = (pivot - mean) + (shift - rest);
      let step = difference * (terms / all);
      deviation += own + difference * count * step;
      count = all;
      let moved = select(digits(mean + (rest + step)), digits(pivot + shift), count == terms);
      rest = select((mean - moved) + (rest + step), (pivot - moved) + shift, count == terms);
      mean = moved;
    }
  }
  #if VECTOR
  let shifts = (mean - mean.x) + rest;
  let shift = 0.25 * ((shifts.x + shifts.y) + (shifts.z + shifts.w));
  let sums = deviation + count * (shifts - shift) * (shifts - shift);
  let whole = (total.x + total.y) + (total.z + total.w);
  let result = vec4<f32>(mean.x, shift, (sums.x + sums.y) + (sums.z + sums.w), 4.0 * count);
  #else
  let whole = total;
  let result = vec4<f32>(mean, rest, deviation, count);
  #end
  // The distance from such a mean, and so the variance, becomes NaN in batchnorm_finish.
  partial[index] = select(result, vec4<f32>(whole, 0.0, 0.0, result.w), isNotFinite(whole));
}
