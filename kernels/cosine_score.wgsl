// Cosines between corresponding rows of two matrices, added to a slot of the score table.
//
// teacher, candidate [rows, columns]; table [slots, 64]: lane l of 32 adds (sum of cosines, number of rows) at 2 l.
// Grid: one workgroup.
struct Params {
  rows: u32,
  columns: u32,
  slot: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> teacher: array<f32>;
@group(0) @binding(2) var<storage, read> candidate: array<f32>;
@group(0) @binding(3) var<storage, read_write> table: array<vec2<f32>>;

#include cosine

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  var count = 0.0;
  for (var row = lane; row < params.rows; row += 32u) {
    var product = 0.0;
    var squareA = 0.0;
    var squareB = 0.0;
    for (var at = row * params.columns; at < (row + 1u) * params.columns; at++) {
      let a = teacher[at];
      let b = candidate[at];
      product = fma(a, b, product);
      squareA = fma(a, a, squareA);
      squareB = fma(b, b, squareB);
    }
    sum += cosine(product, squareA, squareB);
    count += 1.0;
  }
  table[params.slot * 32u + lane] += vec2<f32>(sum, count);
}
