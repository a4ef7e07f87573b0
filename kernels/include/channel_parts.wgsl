// How a sum over (images of a group) x (positions) of one channel is split: `parts` = imageParts * lanes invocations for
// each (group, channel); part p takes every imageParts-th image from p / lanes on and, in a plane, every lanes-th element
// from p % lanes on. Neighbouring invocations read neighbouring elements, and no element costs an integer division.
//
// A part is walked in runs of up to runImages * runElements loads, whose sums are taken by themselves before they join the
// part: where a plane has more than one run of elements, runImages is 1.
struct Params {
  images: u32,       // of one group
  groups: u32,
  channels: u32,
  planeElements: u32, // elements of the buffers' type: vec4 with VECTOR
  imageParts: u32,
  lanes: u32,
  runImages: u32,
  runElements: u32,
}
