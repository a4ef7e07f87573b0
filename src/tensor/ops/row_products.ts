/** Products of rows, of which lengths and cosines are made. */
import type { Gpu } from "../../gpu/device.ts";
import { blockedSum, sumBlock } from "../../gpu/limits.ts";
import { linearGrid } from "../../gpu/dispatch.ts";
import { expectShape, Tensor } from "../tensor.ts";
import { kernel } from "../../gpu/kernel.ts";
import rowProductsSource from "../../../kernels/row_products.wgsl" with { type: "text" };

const rowProductsKernel = kernel("row_products", rowProductsSource);

/**
 * Products of corresponding rows: result[r] = <a[r], b[r]>.
 * @param a [N, D]
 * @param b [N, D], or `a` itself
 * @returns [N]; the caller owns it
 */
export function rowProducts(gpu: Gpu, a: Tensor, b: Tensor): Tensor {
  expectShape("rowProducts", "the second matrix", b.shape, a.shape);
  const [rows, columns] = a.shape;
  const products = Tensor.create(gpu, [rows]);
  gpu.stream.dispatch({
    kernel: rowProductsKernel,
    constants: { BLOCK: sumBlock },
    buffers: { a, b, products },
    params: { rows, columns },
    grid: linearGrid(rows, 64),
    turns: blockedSum(columns),
    work: { bytes: (a === b ? 1 : 2) * a.byteLength },
  });
  return products;
}
