// A number's place in the order of all: integers that compare as the numbers do, -0 and 0 alike. NaN is above all.
const NOT_A_NUMBER = 0x7fffffff;

fn order(x: f32) -> i32 {
  let bits = bitcast<u32>(x);
  let magnitude = i32(bits & 0x7fffffffu);
  return select(select(magnitude, -magnitude, bits != u32(magnitude)), NOT_A_NUMBER, magnitude > 0x7f800000);
}
