  // An 8 x 8 tile of a product over k of two matrices whose rows are k: sum{b}_{q}, row b of the left, columns 4q to 4q+3
  // of the right. Four vec4 loads feed 64 multiply-adds, which is what a driver without registers to spare does best.
  #for b in 0..8
  var sum${b}_0 = vec4<f32>();
  var sum${b}_1 = vec4<f32>();
  #end
  for (var k = 0u; k < depth; k++) {
    let left0 = ${LEFT}[leftAt];
    let left1 = ${LEFT}[leftAt + 1u];
    let right0 = features[rightAt];
    let right1 = features[rightAt + 1u];
    #for b in 0..8
    sum${b}_0 = fma(vec4<f32>(left${b >> 2}[${b & 3}]), right0, sum${b}_0);
    sum${b}_1 = fma(vec4<f32>(left${b >> 2}[${b & 3}]), right1, sum${b}_1);
    #end
    leftAt += leftStep;
    rightAt += rightStep;
  }
