/** The network that a configuration describes: the one place that knows which kinds there are. */
import { SearchSpace, type SpaceDefinition } from "../elastic/search_space.ts";
import { ElasticResNet } from "./resnet.ts";

/**
 * The elastic ResNet of a configuration's `space` section.
 *
 * @throws {ConfigurationError} naming the field that cannot be used
 */
export function configuredNetwork({ space }: { readonly space: SpaceDefinition }): ElasticResNet {
  return new ElasticResNet(new SearchSpace(space));
}
