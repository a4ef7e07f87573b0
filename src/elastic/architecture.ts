/** One subnet of an elastic network: the choices that cut it out. */

/** A subnet's choices. Networks may add names of their own for them, as the ResNet does. */
export interface Architecture {
  /** Text that means this subnet within its network; see `ChoiceSpace.resolve`. */
  readonly id: string;
  /** One number for each dimension of the space, in the order in which a forward pass meets them. */
  readonly choices: readonly number[];
}

/** The id of an architecture. */
export function formatArchitecture({ id }: Architecture): string {
  return id;
}

/** Whether two architectures of one network are the same. */
export function sameArchitecture(one: Architecture, other: Architecture): boolean {
  return one.id === other.id;
}
