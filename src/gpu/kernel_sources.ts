/** The text of every kernel file. Imported, not read at run time: so a bundle carries them and no permission is asked. */
import affinityPack from "../../kernels/affinity_pack.wgsl" with { type: "text" };
import affinityProducts from "../../kernels/affinity_products.wgsl" with { type: "text" };
import affinityRows from "../../kernels/affinity_rows.wgsl" with { type: "text" };
import affinityScore from "../../kernels/affinity_score.wgsl" with { type: "text" };
import augmentBlur from "../../kernels/augment_blur.wgsl" with { type: "text" };
import augmentColour from "../../kernels/augment_colour.wgsl" with { type: "text" };
import augmentCrop from "../../kernels/augment_crop.wgsl" with { type: "text" };
import augmentGrayMean from "../../kernels/augment_gray_mean.wgsl" with { type: "text" };
import batchnormApply from "../../kernels/batchnorm_apply.wgsl" with { type: "text" };
import batchnormEvaluation from "../../kernels/batchnorm_evaluation.wgsl" with { type: "text" };
import batchnormFinish from "../../kernels/batchnorm_finish.wgsl" with { type: "text" };
import batchnormGradientApply from "../../kernels/batchnorm_gradient_apply.wgsl" with { type: "text" };
import batchnormGradientFinish from "../../kernels/batchnorm_gradient_finish.wgsl" with { type: "text" };
import batchnormGradientSums from "../../kernels/batchnorm_gradient_sums.wgsl" with { type: "text" };
import batchnormStatistics from "../../kernels/batchnorm_statistics.wgsl" with { type: "text" };
import benchCopy from "../../kernels/bench_copy.wgsl" with { type: "text" };
import benchPeak from "../../kernels/bench_peak.wgsl" with { type: "text" };
import ckaCentre from "../../kernels/cka_centre.wgsl" with { type: "text" };
import ckaScore from "../../kernels/cka_score.wgsl" with { type: "text" };
import convolution from "../../kernels/convolution.wgsl" with { type: "text" };
import convolutionPointwise from "../../kernels/convolution_pointwise.wgsl" with { type: "text" };
import convolutionRows from "../../kernels/convolution_rows.wgsl" with { type: "text" };
import convolutionTiled from "../../kernels/convolution_tiled.wgsl" with { type: "text" };
import convolutionWeightGradient from "../../kernels/convolution_weight_gradient.wgsl" with { type: "text" };
import convolutionWeightGradientRows from "../../kernels/convolution_weight_gradient_rows.wgsl" with {
  type: "text",
};
import convolutionWeightGradientTiled from "../../kernels/convolution_weight_gradient_tiled.wgsl" with {
  type: "text",
};
import cosineScore from "../../kernels/cosine_score.wgsl" with { type: "text" };
import crossEntropyFinish from "../../kernels/cross_entropy_finish.wgsl" with { type: "text" };
import crossEntropyGradient from "../../kernels/cross_entropy_gradient.wgsl" with { type: "text" };
import ema from "../../kernels/ema.wgsl" with { type: "text" };
import findNonfinite from "../../kernels/find_nonfinite.wgsl" with { type: "text" };
import gatherRows from "../../kernels/gather_rows.wgsl" with { type: "text" };
import globalAveragePool from "../../kernels/global_average_pool.wgsl" with { type: "text" };
import globalAveragePoolGradient from "../../kernels/global_average_pool_gradient.wgsl" with { type: "text" };
import gramCompare from "../../kernels/gram_compare.wgsl" with { type: "text" };
import includeAugmentColour from "../../kernels/include/augment_colour.wgsl" with { type: "text" };
import includeAugmentParams from "../../kernels/include/augment_params.wgsl" with { type: "text" };
import includeAugmentStore from "../../kernels/include/augment_store.wgsl" with { type: "text" };
import includeChannelParts from "../../kernels/include/channel_parts.wgsl" with { type: "text" };
import includeConvolutionParams from "../../kernels/include/convolution_params.wgsl" with { type: "text" };
import includeCosine from "../../kernels/include/cosine.wgsl" with { type: "text" };
import includeGradientChannels from "../../kernels/include/gradient_channels.wgsl" with { type: "text" };
import includeGradientRows from "../../kernels/include/gradient_rows.wgsl" with { type: "text" };
import includeGrid from "../../kernels/include/grid.wgsl" with { type: "text" };
import includePlaneParts from "../../kernels/include/plane_parts.wgsl" with { type: "text" };
import includePoolParams from "../../kernels/include/pool_params.wgsl" with { type: "text" };
import includeSimilaritySamples from "../../kernels/include/similarity_samples.wgsl" with { type: "text" };
import includeTileProduct from "../../kernels/include/tile_product.wgsl" with { type: "text" };
import includeWeightGradientParams from "../../kernels/include/weight_gradient_params.wgsl" with {
  type: "text",
};
import includeWeightRows from "../../kernels/include/weight_rows.wgsl" with { type: "text" };
import includeWeightWalk from "../../kernels/include/weight_walk.wgsl" with { type: "text" };
import infoNceFinish from "../../kernels/info_nce_finish.wgsl" with { type: "text" };
import infoNceGradient from "../../kernels/info_nce_gradient.wgsl" with { type: "text" };
import infoNcePositiveGradient from "../../kernels/info_nce_positive_gradient.wgsl" with { type: "text" };
import l2Normalise from "../../kernels/l2_normalise.wgsl" with { type: "text" };
import l2NormaliseGradient from "../../kernels/l2_normalise_gradient.wgsl" with { type: "text" };
import matrixProduct from "../../kernels/matrix_product.wgsl" with { type: "text" };
import maxPool from "../../kernels/max_pool.wgsl" with { type: "text" };
import maxPoolGradient from "../../kernels/max_pool_gradient.wgsl" with { type: "text" };
import mean from "../../kernels/mean.wgsl" with { type: "text" };
import queueWrite from "../../kernels/queue_write.wgsl" with { type: "text" };
import relu from "../../kernels/relu.wgsl" with { type: "text" };
import reluGradient from "../../kernels/relu_gradient.wgsl" with { type: "text" };
import scaledSum from "../../kernels/scaled_sum.wgsl" with { type: "text" };
import sgd from "../../kernels/sgd.wgsl" with { type: "text" };
import softmaxParts from "../../kernels/softmax_parts.wgsl" with { type: "text" };
import sumPartials from "../../kernels/sum_partials.wgsl" with { type: "text" };
import sumRows from "../../kernels/sum_rows.wgsl" with { type: "text" };

/** Source by the file's name below `kernels/`, without ending. */
export const kernelSources: Readonly<Record<string, string>> = {
  "affinity_pack": affinityPack,
  "affinity_products": affinityProducts,
  "affinity_rows": affinityRows,
  "affinity_score": affinityScore,
  "augment_blur": augmentBlur,
  "augment_colour": augmentColour,
  "augment_crop": augmentCrop,
  "augment_gray_mean": augmentGrayMean,
  "batchnorm_apply": batchnormApply,
  "batchnorm_evaluation": batchnormEvaluation,
  "batchnorm_finish": batchnormFinish,
  "batchnorm_gradient_apply": batchnormGradientApply,
  "batchnorm_gradient_finish": batchnormGradientFinish,
  "batchnorm_gradient_sums": batchnormGradientSums,
  "batchnorm_statistics": batchnormStatistics,
  "bench_copy": benchCopy,
  "bench_peak": benchPeak,
  "cka_centre": ckaCentre,
  "cka_score": ckaScore,
  "convolution": convolution,
  "convolution_pointwise": convolutionPointwise,
  "convolution_rows": convolutionRows,
  "convolution_tiled": convolutionTiled,
  "convolution_weight_gradient": convolutionWeightGradient,
  "convolution_weight_gradient_rows": convolutionWeightGradientRows,
  "convolution_weight_gradient_tiled": convolutionWeightGradientTiled,
  "cosine_score": cosineScore,
  "cross_entropy_finish": crossEntropyFinish,
  "cross_entropy_gradient": crossEntropyGradient,
  "ema": ema,
  "find_nonfinite": findNonfinite,
  "gather_rows": gatherRows,
  "global_average_pool": globalAveragePool,
  "global_average_pool_gradient": globalAveragePoolGradient,
  "gram_compare": gramCompare,
  "include/augment_colour": includeAugmentColour,
  "include/augment_params": includeAugmentParams,
  "include/augment_store": includeAugmentStore,
  "include/channel_parts": includeChannelParts,
  "include/convolution_params": includeConvolutionParams,
  "include/cosine": includeCosine,
  "include/gradient_channels": includeGradientChannels,
  "include/gradient_rows": includeGradientRows,
  "include/grid": includeGrid,
  "include/plane_parts": includePlaneParts,
  "include/pool_params": includePoolParams,
  "include/similarity_samples": includeSimilaritySamples,
  "include/tile_product": includeTileProduct,
  "include/weight_gradient_params": includeWeightGradientParams,
  "include/weight_rows": includeWeightRows,
  "include/weight_walk": includeWeightWalk,
  "info_nce_finish": infoNceFinish,
  "info_nce_gradient": infoNceGradient,
  "info_nce_positive_gradient": infoNcePositiveGradient,
  "l2_normalise": l2Normalise,
  "l2_normalise_gradient": l2NormaliseGradient,
  "matrix_product": matrixProduct,
  "max_pool": maxPool,
  "max_pool_gradient": maxPoolGradient,
  "mean": mean,
  "queue_write": queueWrite,
  "relu": relu,
  "relu_gradient": reluGradient,
  "scaled_sum": scaledSum,
  "sgd": sgd,
  "softmax_parts": softmaxParts,
  "sum_partials": sumPartials,
  "sum_rows": sumRows,
};
