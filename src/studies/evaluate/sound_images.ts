/** Whether labelled images can judge a network at all: what makes an accuracy worthless is refused. */
import { ConfigurationError } from "../../errors.ts";
import { classSizes } from "../../evaluate/class_split.ts";
import { findOverlap } from "../../data/overlap.ts";
import type { KnnImages } from "../../pretrain/run_data.ts";
import { digest } from "../../store/digest.ts";

/** Most classes: the confusion of each with each is counted. */
const mostClasses = 10_000;

/** Names that a message shows. */
const mostNamed = 3;

/**
 * Checks the labels of both sets.
 *
 * @param least images of each class that a classifier is trained on; 2 where settings are chosen on some of them
 * @throws {ConfigurationError} for fewer than two classes, a class of fewer images, no image to test on, or one of a class
 * that is not trained on
 */
export function expectClasses(
  { bank, queries }: KnnImages,
  classes: readonly string[],
  least: number,
): void {
  const { source: { name } } = bank;
  const sizes = classSizes(bank.labels, bank.indices);
  if (sizes.size < 2) {
    throw new ConfigurationError(
      `${name} has images of ${sizes.size === 0 ? "no class" : "one class only"}${
        [...sizes.keys()].map((label) => ` (${classes[label]})`).join("")
      }; a classifier needs two classes at least. Give a folder for each class.`,
    );
  }
  if (classes.length > mostClasses) {
    throw new ConfigurationError(
      `${name} has class numbers up to ${
        classes.length - 1
      }; at most ${mostClasses} classes can be judged, numbered ` +
        "from 0.",
    );
  }
  const small = [...sizes].find(([, size]) => size < least);
  if (small) {
    throw new ConfigurationError(
      `${name} has a single image of the class "${
        classes[small[0]]
      }"; this protocol needs two of each class, one of ` +
        "them to choose its settings with. Add images, or leave the class out of both sets.",
    );
  }
  if (queries.indices.length === 0) {
    throw new ConfigurationError(`${queries.source.name} has no image to test on.`);
  }
  const tested = classSizes(queries.labels, queries.indices);
  const unknown = [...tested.keys()].find((label) => !sizes.has(label));
  if (unknown === undefined) return;
  throw new ConfigurationError(
    `${queries.source.name} has images of the class ${
      classes[unknown] ?? unknown
    }, of which ${name} has none to train on.`,
  );
}

/**
 * Checks that nothing is tested on that was trained on.
 *
 * @returns what tells these images from others
 * @throws {ConfigurationError} for a file that both sets have, or when all that is tested on are copies
 */
export async function expectDisjoint(
  { bank, queries }: KnnImages,
  onWarning: (text: string) => void,
): Promise<string> {
  const { files, copies, lists } = await findOverlap(bank.source, queries.source);
  const shown = (names: readonly string[]) =>
    names.slice(0, mostNamed).join(", ") + (names.length > mostNamed ? ", …" : "");
  if (files.length > 0) {
    throw new ConfigurationError(
      `--data and --test-data share images: ${files.length} of ${queries.source.name} (${
        shown(files)
      }). Test on ` +
        "others than those that are trained on.",
    );
  }
  if (copies.length > 0 && copies.length >= lists[1].files.length) {
    throw new ConfigurationError(
      `All of --test-data (${queries.source.name}) are copies of images of --data (${
        shown(copies)
      }). Test on others ` +
        "than those that are trained on.",
    );
  }
  if (copies.length > 0) {
    onWarning(
      `${copies.length} of the ${lists[1].files.length} files of --test-data are copies of files of --data (${
        shown(copies)
      }): accuracies are too high. Leave them out.`,
    );
  }
  return await digest(lists.map((list) => list.digest).join(" "));
}
