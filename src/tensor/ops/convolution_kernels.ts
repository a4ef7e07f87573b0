/** The kernels that compute convolutions, linear layers and their gradients; which one a launch takes is chosen. */
import convolution_params from "../../../kernels/include/convolution_params.wgsl" with { type: "text" };
import gradient_channels from "../../../kernels/include/gradient_channels.wgsl" with { type: "text" };
import gradient_rows from "../../../kernels/include/gradient_rows.wgsl" with { type: "text" };
import weight_gradient_params from "../../../kernels/include/weight_gradient_params.wgsl" with {
  type: "text",
};
import weight_rows from "../../../kernels/include/weight_rows.wgsl" with { type: "text" };
import weight_walk from "../../../kernels/include/weight_walk.wgsl" with { type: "text" };
import convolutionSource from "../../../kernels/convolution.wgsl" with { type: "text" };
import convolutionPointwiseSource from "../../../kernels/convolution_pointwise.wgsl" with { type: "text" };
import convolutionRowsSource from "../../../kernels/convolution_rows.wgsl" with { type: "text" };
import convolutionTiledSource from "../../../kernels/convolution_tiled.wgsl" with { type: "text" };
import convolutionWeightGradientSource from "../../../kernels/convolution_weight_gradient.wgsl" with {
  type: "text",
};
import convolutionWeightGradientRowsSource from "../../../kernels/convolution_weight_gradient_rows.wgsl" with {
  type: "text",
};
import convolutionWeightGradientTiledSource from "../../../kernels/convolution_weight_gradient_tiled.wgsl" with {
  type: "text",
};
import matrixProductSource from "../../../kernels/matrix_product.wgsl" with { type: "text" };
import { type Kernel, kernel } from "../../gpu/kernel.ts";

const forward = { convolution_params, weight_rows, weight_walk };
const weightGradient = { gradient_channels, gradient_rows, weight_gradient_params };

export const convolutionKernel: Kernel = kernel("convolution", convolutionSource, forward);
export const convolutionPointwiseKernel: Kernel = kernel(
  "convolution_pointwise",
  convolutionPointwiseSource,
  forward,
);
export const convolutionRowsKernel: Kernel = kernel("convolution_rows", convolutionRowsSource, forward);
export const convolutionTiledKernel: Kernel = kernel("convolution_tiled", convolutionTiledSource, forward);
export const convolutionWeightGradientKernel: Kernel = kernel(
  "convolution_weight_gradient",
  convolutionWeightGradientSource,
  weightGradient,
);
export const convolutionWeightGradientRowsKernel: Kernel = kernel(
  "convolution_weight_gradient_rows",
  convolutionWeightGradientRowsSource,
  weightGradient,
);
export const convolutionWeightGradientTiledKernel: Kernel = kernel(
  "convolution_weight_gradient_tiled",
  convolutionWeightGradientTiledSource,
  weightGradient,
);
export const matrixProductKernel: Kernel = kernel("matrix_product", matrixProductSource, forward);

/** All of them: tunings hold for these sources. */
export const convolutionKernels: readonly Kernel[] = [
  convolutionKernel,
  convolutionPointwiseKernel,
  convolutionRowsKernel,
  convolutionTiledKernel,
  convolutionWeightGradientKernel,
  convolutionWeightGradientRowsKernel,
  convolutionWeightGradientTiledKernel,
  matrixProductKernel,
];
