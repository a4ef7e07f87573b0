// Losses element by element, times a weight each with WEIGHTS and the same `factor`. An element of weight 0 is left out,
// whatever it is: a mask stands for those that were chosen. losses, gradInput, input, goal (the target), weights [count]; gradLoss [1].
struct Params {
  count: u32,
  beta: f32,
  factor: f32,
  accumulate: u32,
}
