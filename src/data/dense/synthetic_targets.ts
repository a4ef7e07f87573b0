/** The synthetic scenes with what is known of them: where the texture is, and its box. */
import { syntheticClasses, syntheticScene } from "../synthetic/scene.ts";
import { openSynthetic } from "../synthetic/source.ts";
import { instancesOf } from "./label_instances.ts";
import { colourOf } from "./masks_folder.ts";
import type { DenseClass, DenseOptions, InstanceSource, SegmentationSource } from "./target.ts";

const textures: readonly DenseClass[] = syntheticClasses.map((name, at) => ({
  id: at + 1,
  name,
  colour: colourOf(at + 1),
}));

function parts(name: string, length: number, options: DenseOptions) {
  const { seed, imageSize: size } = options;
  const images = openSynthetic(name, length, options);
  const mask = (index: number) => ({
    width: size,
    height: size,
    values: syntheticScene(index, { seed, size }).mask,
  });
  return { images, mask };
}

/** Background and ten textures. */
export function openSyntheticLabels(name: string, length: number, options: DenseOptions): SegmentationSource {
  const { images, mask } = parts(name, length, options);
  return {
    name,
    images,
    classes: [{ id: 0, name: "background", colour: colourOf(0) }, ...textures],
    target: (index) => Promise.resolve({ kind: "labels", ...mask(index) }),
    release: () => images.release(),
  };
}

/** At most one object an image, of one of ten textures; what lies before it is cut out of its mask. */
export function openSyntheticObjects(name: string, length: number, options: DenseOptions): InstanceSource {
  const { images, mask } = parts(name, length, options);
  return {
    name,
    images,
    classes: textures,
    target(index) {
      const label = mask(index);
      const instances = instancesOf(
        label,
        (value) => value === 0 ? undefined : { classIndex: value - 1, crowd: false, ignored: false },
      );
      const { width, height } = label;
      return Promise.resolve({ kind: "instances", width, height, imageId: index + 1, instances });
    },
    release: () => images.release(),
  };
}
