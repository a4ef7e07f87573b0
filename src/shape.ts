/** Shapes of tensors. */

/** Sizes of the dimensions, outermost first. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}
