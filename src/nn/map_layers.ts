/** Layers without parameters, of which heads are made: dropout, pooling to a grid, resizing to another map, joining channels. */
import type { Shape } from "../shape.ts";
import { adaptiveAveragePool } from "../tensor/ops/adaptive_pool.ts";
import { bilinear } from "../tensor/ops/bilinear.ts";
import { concatenate } from "../tensor/ops/concatenate.ts";
import { dropout } from "../tensor/ops/dropout.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { NetworkLayer, Pass } from "./layers.ts";
import { addGridPool } from "./onnx_grid_pool.ts";
import type { OnnxGraph } from "./onnx_graph.ts";

/** What a layer without parameters has in common with others. */
abstract class MapLayer implements NetworkLayer {
  /** @param name in ONNX */
  constructor(readonly name: string) {}

  parameters(): [] {
    return [];
  }

  statistics(): [] {
    return [];
  }

  macs(..._inputs: Shape[]): number {
    return 0;
  }

  scratchShape(): undefined {}

  abstract outputShape(...inputs: Shape[]): Shape;
  abstract run(pass: Pass, ...inputs: Tensor[]): Tensor;
  abstract onnx(graph: OnnxGraph, ...inputs: string[]): string;
}

/** Drops elements, or whole channels, in training. */
export class Dropout extends MapLayer {
  /**
   * @param number of the layer among those of its network that drop
   * @param channels whether whole channels are dropped, as mmsegmentation does, or elements, as torchvision
   */
  constructor(
    name: string,
    readonly probability: number,
    readonly number: number,
    readonly channels: boolean = false,
  ) {
    super(name);
  }

  outputShape(input: Shape): Shape {
    return input;
  }

  run({ tape, training, dropout: draws }: Pass, input: Tensor): Tensor {
    if (!training || !draws || this.probability === 0) return input;
    return dropout(tape, input, this.probability, { ...draws, layer: this.number, channels: this.channels });
  }

  onnx(_graph: OnnxGraph, input: string): string {
    return input;
  }
}

/** Means over a grid of so many cells a side, as `torch.nn.AdaptiveAvgPool2d`. */
export class GridPool extends MapLayer {
  constructor(name: string, readonly side: number) {
    super(name);
  }

  outputShape([images, channels]: Shape): Shape {
    return [images, channels, this.side, this.side];
  }

  run({ tape }: Pass, input: Tensor): Tensor {
    return adaptiveAveragePool(tape, input, [this.side, this.side]);
  }

  onnx(graph: OnnxGraph, input: string): string {
    return addGridPool(graph, this.name, input, this.side);
  }
}

/** The first map, interpolated to the size of the second. */
export class ResizeTo extends MapLayer {
  outputShape([images, channels]: Shape, [, , height, width]: Shape): Shape {
    return [images, channels, height, width];
  }

  run({ tape }: Pass, input: Tensor, like: Tensor): Tensor {
    const [, , height, width] = like.shape;
    return bilinear(tape, input, [height, width]);
  }

  onnx(graph: OnnxGraph, input: string, like: string): string {
    const own = graph.add("Shape", `${this.name}.own`, [input], { start: 0, end: 2 });
    const sides = graph.add("Shape", `${this.name}.sides`, [like], { start: 2, end: 4 });
    const size = graph.add("Concat", `${this.name}.size`, [own, sides], { axis: 0 });
    return graph.add("Resize", this.name, [input, "", "", size], {
      mode: "linear",
      coordinate_transformation_mode: "pytorch_half_pixel",
    });
  }
}

/** Maps of one size, their channels one after the other. */
export class JoinChannels extends MapLayer {
  outputShape(...inputs: Shape[]): Shape {
    const [[images, , height, width]] = inputs;
    return [images, inputs.reduce((sum, [, channels]) => sum + channels, 0), height, width];
  }

  run({ tape }: Pass, ...inputs: Tensor[]): Tensor {
    return concatenate(tape, inputs);
  }

  onnx(graph: OnnxGraph, ...inputs: string[]): string {
    return graph.add("Concat", this.name, inputs, { axis: 1 });
  }
}
