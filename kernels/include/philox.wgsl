// Philox4x32-10 (Salmon et al., SC 2011), the numbers of src/random.ts: four words from a counter and a key, so that what is
// random is a function of where it is used, and is drawn again in the backward pass in place of being stored.
fn multiplyHigh(a: u32, b: u32) -> u32 {
  let low = (a >> 16u) * (b & 0xffffu) + (((a & 0xffffu) * (b & 0xffffu)) >> 16u);
  let middle = (a & 0xffffu) * (b >> 16u) + (low & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (low >> 16u) + (middle >> 16u);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = key;
  #for round in 0..10
  c = vec4<u32>(
    multiplyHigh(0xcd9e8d57u, c.z) ^ c.y ^ k.x,
    0xcd9e8d57u * c.z,
    multiplyHigh(0xd2511f53u, c.x) ^ c.w ^ k.y,
    0xd2511f53u * c.x,
  );
  k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  #end
  return c;
}
