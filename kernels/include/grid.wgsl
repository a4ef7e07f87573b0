// Number of this invocation in a one-dimensional launch that may be folded into rows (see linearGrid in stream.ts).
fn linearIndex(group: vec3<u32>, groups: vec3<u32>, local: u32, size: u32) -> u32 {
  return (group.y * groups.x + group.x) * size + local;
}
