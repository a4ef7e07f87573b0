// The ends of a part's run (include/channel_parts), from its first image and element on.
fn endImage(firstImage: u32) -> u32 {
  return min(firstImage + params.runImages * params.imageParts, params.images);
}

fn endElement(firstElement: u32) -> u32 {
  return min(firstElement + params.runElements * params.lanes, params.planeElements);
}
