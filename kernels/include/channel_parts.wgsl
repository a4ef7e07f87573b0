// How a sum over (images of a group) x (positions) of one channel is split: `parts` = imageParts * lanes invocations for
// each (group, channel); part p takes every imageParts-th image from p / lanes on and, in a plane, every lanes-th element
// from p % lanes on. Neighbouring invocations read neighbouring elements, and no element costs an integer division.
struct Params {
  images: u32,       // of one group
  groups: u32,
  channels: u32,
  planeElements: u32, // elements of the buffers' type: vec4 with VECTOR
  imageParts: u32,
  lanes: u32,
}
