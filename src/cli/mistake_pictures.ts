/** Pictures of images that a network got wrong, for a report. */
import { imageName } from "../data/image_name.ts";
import { thumbnails } from "../data/thumbnails.ts";
import type { Mistake } from "../report/evaluate_data.ts";
import type { EvaluationImages } from "../studies/evaluate/images.ts";
import type { MistakenImage } from "../studies/evaluate/request.ts";

/** How many are shown, and their side in pixels. */
const pictures = 24, pictureSide = 96;

/**
 * Makes them, in the order given.
 *
 * @param classes names, in the order of labels
 */
export async function picturesOfMistakes(
  mistakes: readonly MistakenImage[],
  classes: readonly string[],
  { queries: { source } }: Pick<EvaluationImages, "queries">,
): Promise<Mistake[]> {
  const shown = mistakes.slice(0, pictures);
  const images = await thumbnails(source, shown.map(({ index }) => index), pictureSide);
  return shown.flatMap(({ index, actual, predicted, confidence }, at) => {
    const image = images[at];
    if (image === undefined) return [];
    const name = imageName(source, index) ?? `image ${index}`;
    return [{ actual: classes[actual], predicted: classes[predicted], confidence, image, name }];
  });
}
