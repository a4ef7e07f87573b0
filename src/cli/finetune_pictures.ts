/** Pictures of test images in the report of `deno task finetune`. */
import type { DenseSource, InstanceTarget, LabelTarget } from "../data/dense/target.ts";
import type { DecodedImage } from "../data/image_set.ts";
import { pictureAddress } from "../data/thumbnails.ts";
import { imageName } from "../data/image_name.ts";
import type { DensePicture } from "../report/dense_parts.ts";

/** Test images that a report shows, and their width in pixels. */
const shownPictures = 6, pictureWidth = 320;

/** Some of a set's images with the truth and the predictions drawn over them. */
export class FinetunePictures {
  readonly pictures: DensePicture[] = [];

  constructor(readonly test: DenseSource<LabelTarget | InstanceTarget>) {}

  /** @param draw draws the truth and the prediction over a photo of the annotation's size */
  async add(
    index: number,
    draw: (photo: DecodedImage) => Promise<[truth: DecodedImage, prediction: DecodedImage]>,
  ): Promise<void> {
    const { test } = this;
    // Neighbours of a folder are often alike: some from all over the set.
    if (index % Math.ceil(test.images.length / shownPictures) !== 0) return;
    const [photo] = await test.images.load([index]);
    const { width, height } = await test.target(index);
    if (!photo || photo.width !== width || photo.height !== height) return;
    const [image, truth, prediction] = await Promise.all(
      [photo, ...await draw(photo)].map((picture) => pictureAddress(picture, pictureWidth)),
    );
    this.pictures.push({
      name: imageName(test.images, index) ?? `image ${index}`,
      image,
      truth,
      prediction,
    });
  }
}
