/** Whether a search space can be filled with a network's weights. */
import type { SearchSpace } from "../../elastic/search_space.ts";
import { ConfigurationError } from "../../errors.ts";

/**
 * A space can be filled with weights of the same block, first convolution and number of stages, when no stage of its largest
 * architecture is wider or deeper than theirs, and shortcuts are projected where theirs are. Wider and deeper weights are
 * cut; where only the space projects a shortcut, the projection begins as the identity.
 *
 * @param path of the weights, for messages
 * @param source the space of their one architecture
 * @throws {ConfigurationError} naming every field that does not fit, and what to set
 */
export function expectFit(path: string, source: SearchSpace, target: SearchSpace): void {
  const given = source.definition, wanted = target.definition;
  const faults: string[] = [];
  const differs = (field: string, wanted: unknown, given: unknown) => {
    if (wanted === given) return;
    faults.push(`${field} is ${JSON.stringify(wanted)}; set it to ${JSON.stringify(given)}`);
  };
  differs("space.block", wanted.block, given.block);
  differs("space.stem.kind", wanted.stem.kind, given.stem.kind);
  if (source.stages !== target.stages) {
    faults.push(
      `space.widths and space.depths describe ${target.stages} stages; describe ${source.stages}`,
    );
  } else {
    const exceeds = (field: string, choices: readonly number[], most: number, what: string) => {
      if (choices[choices.length - 1] <= most) return;
      faults.push(`${field} goes up to ${choices[choices.length - 1]}; give at most ${most} ${what}`);
    };
    exceeds("space.stem.widths", wanted.stem.widths, source.max.stem, "channels");
    for (let stage = 0; stage < target.stages; stage++) {
      exceeds(`space.widths[${stage}]`, wanted.widths[stage], source.max.widths[stage], "channels");
      exceeds(`space.depths[${stage}]`, wanted.depths[stage], source.max.depths[stage], "blocks");
      const [has, needs] = [source.hasDownsample(stage), target.hasDownsample(stage)];
      // The other way round, an identity is a projection, too.
      if (!has || needs) continue;
      faults.push(
        `stage ${stage + 1} has no projection of its shortcut, and the weights have one; give ` +
          `space.widths[${stage}] more than one choice`,
      );
    }
  }
  if (faults.length === 0) return;
  throw new ConfigurationError(
    `The space cannot be filled with ${path}, a ResNet ${source.max.id} of ${given.block} blocks with a ` +
      `${given.stem.kind} stem: ${faults.join("; ")}.`,
  );
}
