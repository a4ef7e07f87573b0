/** Matrix products, and their launch for all who need one: layers, losses, nearest neighbours. */
import { ShapeError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { GradientTarget } from "../gradient_target.ts";
import type { Tape } from "../tape.ts";
import { expectShape, type Tensor } from "../tensor.ts";
import { elements } from "../../shape.ts";
import { launchConvolution } from "./convolution_launch.ts";

/** A matrix in a tensor: element (r, c) lies at `start + r rowStride + c columnStride`. */
export interface Matrix {
  readonly tensor: Tensor;
  readonly start: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/**
 * The matrix that a tensor stores by rows.
 * @param stored elements between the starts of rows; more than `columns` for the leading slice of a wider matrix
 */
export function matrixOf(tensor: Tensor, rows: number, columns: number, stored = columns, start = 0): Matrix {
  return { tensor, start, rows, columns, rowStride: stored, columnStride: 1 };
}

/** The same memory with rows and columns exchanged. */
export function transposed({ tensor, start, rows, columns, rowStride, columnStride }: Matrix): Matrix {
  return { tensor, start, rows: columns, columns: rows, rowStride: columnStride, columnStride: rowStride };
}

/**
 * Launches output = left right (+ bias), as a 1x1 convolution over images of one pixel.
 *
 * @param output [left.rows, right.columns] by rows, from element `outputStart` on
 * @param bias [right.columns], added to each row; not with `accumulate`
 */
export function launchProduct(
  gpu: Gpu,
  left: Matrix,
  right: Matrix,
  { tensor: output, accumulate }: GradientTarget,
  { outputStart = 0, bias }: { outputStart?: number; bias?: Tensor } = {},
): void {
  const params = {
    images: left.rows,
    inChannels: left.columns,
    inHeight: 1,
    inWidth: left.columnStride,
    inBase: left.start,
    inImage: left.rowStride,
    outChannels: right.columns,
    outHeight: 1,
    outWidth: 1,
    tapsY: 1,
    tapsX: 1,
    inStride: 1,
    inOffsetY: 0,
    inOffsetX: 0,
    inStepY: 1,
    inStepX: 1,
    weightBase: right.start,
    weightOut: right.columnStride,
    weightIn: right.rowStride,
    weightTapY: 1,
    weightTapX: 1,
    outBase: outputStart,
    outPlane: 1,
    outRow: 1,
    outColumn: 1,
    accumulate: accumulate ? 1 : 0,
  };
  launchConvolution(gpu, left.tensor, right.tensor, output, params, bias);
}

/** Which operands of {@linkcode matmul} are stored with rows and columns exchanged. */
export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/**
 * Products of matrices, as `torch.matmul` of operands with equal leading dimensions.
 *
 * @param a [..., M, K], or with `transposeA` [..., K, M]
 * @param b [..., K, N], or with `transposeB` [..., N, K]
 * @returns [..., M, N]
 * @throws {ShapeError} when the shapes do not fit
 */
export function matmul(tape: Tape, a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  const batch = a.shape.slice(0, -2);
  if (a.shape.length < 2) {
    throw new ShapeError(`matmul: a has shape [${a.shape.join(", ")}]; expected [..., M, K]`);
  }
  const [rowsA, columnsA] = a.shape.slice(-2);
  const [rows, inner] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  expectShape("matmul", "b", b.shape, [...batch, ...transposeB ? [-1, inner] : [inner, -1]]);
  const [rowsB, columnsB] = b.shape.slice(-2);
  const columns = transposeB ? rowsB : columnsB;

  const { gpu } = tape;
  const output = tape.create([...batch, rows, columns]);
  const operands = Array.from({ length: elements(batch) }, (_, at) => {
    const left = matrixOf(a, rowsA, columnsA, columnsA, at * rowsA * columnsA);
    const right = matrixOf(b, rowsB, columnsB, columnsB, at * rowsB * columnsB);
    return { left: transposeA ? transposed(left) : left, right: transposeB ? transposed(right) : right };
  });
  operands.forEach(({ left, right }, at) =>
    launchProduct(gpu, left, right, { tensor: output, accumulate: false }, {
      outputStart: at * rows * columns,
    })
  );
  const backward = (gradOutput: Tensor) => {
    const gradient = (at: number) => matrixOf(gradOutput, rows, columns, columns, at * rows * columns);
    const targetA = tape.gradientOf(a);
    if (targetA) {
      operands.forEach(({ right }, at) => {
        const [left, factor] = transposeA
          ? [right, transposed(gradient(at))]
          : [gradient(at), transposed(right)];
        launchProduct(gpu, left, factor, targetA, { outputStart: at * rowsA * columnsA });
      });
    }
    const targetB = tape.gradientOf(b);
    if (targetB) {
      operands.forEach(({ left }, at) => {
        const [factor, right] = transposeB
          ? [transposed(gradient(at)), left]
          : [transposed(left), gradient(at)];
        launchProduct(gpu, factor, right, targetB, { outputStart: at * rowsB * columnsB });
      });
    }
  };
  tape.record({ operation: "matmul", result: output, inputs: [a, b], backward });
  return output;
}
