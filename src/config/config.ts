/** The types of configurations. Generated from schema.ts by "deno task schema": change that file. */

/** A complete, checked configuration. */
export interface Config {
  /** The search space: the architectures that can be cut out of the network. */
  space: {
    /** Residual block: bottleneck (1x1, 3x3, 1x1; output four times as wide) or basic (3x3, 3x3). */
    block: "bottleneck" | "basic";
    /** The layers before the first stage. */
    stem: {
      /** First convolution: 7x7 with stride 2 and a 3x3 max-pool of stride 2, or 3x3 with stride 1 for small images. */
      kind: "7x7" | "3x3";
      /** Choices for the stem's output channels, ascending. */
      widths: number[];
    };
    /** Per stage, the choices for its width in channels, ascending. */
    widths: number[][];
    /** Per stage, the choices for its number of blocks, ascending. */
    depths: number[][];
    /** Stride of each stage's first block. */
    strides: number[];
    /** Names for single architectures, as ids STEM-W.W.W.W-D.D.D.D. Depths may lie between two choices. */
    named: Record<string, string>;
  };
  /** Where images come from. */
  data: {
    /** Training images: DIR, LIST.txt (a path a line), synthetic[:N], cifar10:DIR, tensor:FILE.safetensors or tar:DIR/train-{000..127}.tar; or a list of folders and list files, which make one set. */
    source: string | string[];
    /** Labelled images for kNN, in the same form; null holds images of the source back. */
    test: string | string[] | null;
    /** Images of the source held back for kNN when there is no test source; auto: a fifth of labelled images, at most 1000. */
    heldOut: number;
    /** Side of the square network input, in pixels. */
    imageSize: number;
    /** Longest shorter side, in pixels, that photos are kept at for training's crops; "auto" keeps the detail of the smallest crops (the image size over the root of augmentation.crop.scale[0], at most 4 image sizes), null only 256/224 of the image size. None is enlarged. */
    storedSide: "auto" | number | null;
    /** Subtracted from red, green and blue in 0..1. */
    mean: [number, number, number];
    /** Divides red, green and blue after the mean is subtracted. */
    std: [number, number, number];
    /** Main memory for decoded images, in MiB. */
    cacheMegabytes: number;
    /** Threads that decode images; auto: one a core, at most 16, or 4 beside a driver that computes on the same cores. */
    workers: number;
    /** Seed of synthetic images and of which images are held out; null for training.seed. */
    seed: number | null;
    /** Stop at an image that cannot be read, instead of skipping it. */
    strict: boolean;
  };
  /** How the two views of an image are drawn (by default as MoCo v2 does); "none" uses images as they are. */
  augmentation: "none" | {
    /** Random resized crop; null keeps the whole image. */
    crop: {
      /** Smallest and largest part of the image's area. */
      scale: [number, number];
      /** Smallest and largest ratio of width to height. */
      ratio: [number, number];
    } | null;
    /** Probability of a horizontal flip. */
    flip: number;
    /** Colour jitter, its four parts in random order; null for none. */
    jitter: {
      /** Factor drawn from 1 - this to 1 + this. */
      brightness: number;
      /** Factor drawn from 1 - this to 1 + this. */
      contrast: number;
      /** Factor drawn from 1 - this to 1 + this. */
      saturation: number;
      /** Shift drawn from -this to this, in turns. */
      hue: number;
      /** Probability of any jitter. */
      probability: number;
    } | null;
    /** Probability of turning gray. */
    grayscale: number;
    /** Gaussian blur; null for none. */
    blur: {
      /** Probability of a blur. */
      probability: number;
      /** Smallest and largest standard deviation, in pixels. */
      sigma: [number, number];
    } | null;
  };
  /** The projection head on the pooled features; it is left out of extracted models. */
  head: {
    /** Projection: linear-ReLU-linear, or one linear layer. */
    kind: "mlp" | "linear";
    /** Width of the mlp's hidden layer. */
    hidden: number;
    /** Dimension of the projection, a multiple of 4. */
    dimension: number;
  };
  /** Weights before the first step. Convolutions are always normal with variance 2 / (outputs kernel²). */
  initialisation: {
    /** Linear layers of the head: kaiming (normal with variance 2 / inputs, bias 0) or uniform (within 1 / sqrt(inputs), PyTorch's default). */
    head: "kaiming" | "uniform";
    /** Weight that the last batchnorm of each residual branch starts with: 0 makes every block start as its shortcut. */
    lastBatchnorm: number;
    /** A ResNet's weights for the backbone to start from: a .safetensors, .pth or .pt file with torchvision's names, as --init names it; null draws new ones. */
    weights: string | null;
    /** That file's SHA-256, which a run's config.json has; another file is refused. null takes any. */
    weightsSha256: string | null;
  };
  /** Momentum contrast. */
  moco: {
    /** Keys in the queue of negatives; auto: a quarter of the training images, at most 65536. */
    queue: number;
    /** Momentum of the key encoder's moving average. */
    momentum: number;
    /** Temperature of the contrastive loss. */
    temperature: number;
    /** Architecture of the key encoder: always the largest, or the query's own (the naive variant, to compare). */
    teacher: "largest" | "same-architecture";
    /** Groups of the batch with batchnorm statistics of their own, as on that many devices. */
    batchnormGroups: number;
    /** Shuffle the keys' batch, so that groups differ from the queries'. */
    shuffle: boolean;
    /** Weight of a term (POA, 2024) by which every pass but the first matches the first one's similarities to the queue; 0 for none. */
    selfDistillation: number;
  };
  /** Learning from the features of a teacher that exists. */
  distillation: {
    /** Whose features the network learns: features:FILE.safetensors (a row an image), model:FILE.onnx (run once over all images), or self (the network that the run begins with, frozen); null for no teacher. */
    teacher: string | null;
    /** Weight of the distance to the teacher's features, 1 - cosine. */
    weight: number;
    /** Weight of momentum contrast beside a teacher; 0 learns from the teacher alone, without keys and queue. */
    moco: number;
    /** For model: the output that is learned; null for the one called features, or the only one of shape [N, D]. */
    output: string | null;
    /** Dimension of the teacher's features; filled in when the run begins. */
    dimension: number | null;
    /** Digest of the teacher's features; filled in when the run begins, and other features are refused from then on. */
    digest: string | null;
  };
  /** The passes of a training step; their gradients are summed. An architecture that comes up twice counts once. */
  sandwich: {
    /** A pass with the largest architecture. */
    largest: boolean;
    /** A pass with the smallest architecture. */
    smallest: boolean;
    /** Passes with random architectures. */
    random: number;
    /** Epochs of the largest architecture alone, before the others join it. */
    aloneEpochs: number;
  };
  /** Stochastic gradient descent. */
  optimizer: {
    /** Learning rate of SGD, after warm-up; auto: 0.06 at batches of 64, times the square root of their growth. */
    learningRate: number;
    /** Momentum of SGD. */
    momentum: number;
    /** Weight decay, on all parameters. */
    weightDecay: number;
    /** Learning rate over time; cosine and poly end at the floor. */
    schedule: "cosine" | "constant" | "steps" | "poly";
    /** Epochs of linear warm-up. */
    warmupEpochs: number;
    /** For steps: epochs after which the rate is multiplied by stepFactor. */
    milestones: number[];
    /** For steps: what the rate is multiplied by. */
    stepFactor: number;
    /** For poly: exponent of what is left of the run. */
    power: number;
    /** For cosine and poly: the least learning rate. */
    floor: number;
    /** Most that the norm of all gradients together may be; 0 for any. */
    clipNorm: number;
    /** Parameters that differ from the rest; the first group that names one has it. */
    groups: ({
      /** A regular expression that names are searched with, e.g. ^fc\. */
      match: string;
      /** Factor of the learning rate. */
      learningRateFactor: number;
      /** In place of optimizer.weightDecay. */
      weightDecay?: number;
      /** Leave them as they are. */
      frozen: boolean;
    })[];
  };
  /** The run. */
  training: {
    /** Passes over the images; 0 writes the initial checkpoint only; auto: what fits an hour, within bounds. */
    epochs: number;
    /** Images per step; auto: 256, or 64 without a GPU, less for few images or little memory. */
    batch: number;
    /** What becomes of an epoch's last, smaller batch. */
    lastBatch: "drop" | "keep";
    /** Steps between two lines of metrics. */
    logEvery: number;
    /** Epochs between two checkpoints that are kept (the last one always is); 0 keeps none. */
    checkpointEvery: number;
    /** Seed of all randomness. */
    seed: number;
  };
  /** The evaluations that watch a run: spread and agreement of features, and with labels, their only use, kNN. */
  knn: {
    /** Epochs between two evaluations, with or without labels; 0 for none. */
    every: number;
    /** Nearest neighbours that vote; auto: half of what a class has in the bank, at most 200. */
    neighbours: number;
    /** A neighbour votes with exp(cosine similarity / temperature). */
    temperature: number;
    /** Features before or after the head. */
    features: "pooled" | "projection";
    /** Training images to search, at most; auto: 50000, or 4096 without a GPU. */
    bank: number;
    /** Training images from which batchnorm statistics are taken anew; 0 uses the running ones. */
    calibrate: number;
  };
}

/** A checked configuration in which what is not given may be left to the images and the device. */
export interface Settings extends Omit<Config, "data" | "moco" | "optimizer" | "training" | "knn"> {
  data: Omit<Config["data"], "heldOut" | "workers"> & Record<"heldOut" | "workers", number | "auto">;
  moco: Omit<Config["moco"], "queue"> & Record<"queue", number | "auto">;
  optimizer: Omit<Config["optimizer"], "learningRate"> & Record<"learningRate", number | "auto">;
  training: Omit<Config["training"], "epochs" | "batch"> & Record<"epochs" | "batch", number | "auto">;
  knn: Omit<Config["knn"], "neighbours" | "bank"> & Record<"neighbours" | "bank", number | "auto">;
}
