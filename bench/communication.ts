/**
 * What a step of several processes costs beside computing: bytes that a rank sends, and milliseconds until it has the means,
 * of gradients and statistics as large as a configuration's, and of its keys. No device is used: what is measured is the
 * way between ranks, and adding up.
 *
 *     mpirun -n 2 deno run --config deno.json -A bench/communication.ts configs/imagenet-ar50to101.json
 *     mpirun -n 2 --mca btl tcp,self …            # by TCP over the loopback device in place of shared memory
 *
 * Median of 7 rounds, after one that is not counted.
 */
import { loadConfig } from "../src/config/load.ts";
import { featureChannels, weightsOf } from "../src/elastic/network.ts";
import { MpiCommunicator } from "../src/host/mpi/communicator.ts";
import { median } from "../src/median.ts";
import { configuredNetwork } from "../src/nn/configured_network.ts";
import { elements, type Shape } from "../src/shape.ts";
import { averageAll, gatherAll } from "../src/train/distributed/communicator.ts";

const rounds = 7;
const path = Deno.args[0] ?? "configs/imagenet-ar50to101.json";
const config = await loadConfig(path);
const network = configuredNetwork(config);
const { max } = network.space;
const { parameters, statistics } = weightsOf(network, max);
const count = (shapes: Iterable<Shape>) => [...shapes].reduce((sum, shape) => sum + elements(shape), 0);

function headValues(): number {
  const { kind, hidden, dimension } = config.head;
  const features = featureChannels(network, max);
  return kind === "linear" ? (features + 1) * dimension : (features + 1) * hidden + (hidden + 1) * dimension;
}

const gradients = count([...parameters.values()].map(({ shape }) => shape)) + headValues();
// Of both encoders.
const running = 2 * count(statistics.values());
const communicator = new MpiCommunicator(600);
const { rank, size, traffic } = communicator;
const values = new Float32Array(gradients + running);
const keys = new Float32Array(Math.floor(config.training.batch / size) * config.head.dimension);

async function measured(work: () => Promise<unknown>): Promise<{ milliseconds: number; bytes: number }> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round <= rounds; round++) {
    // All begin together.
    await gatherAll(communicator, new Float32Array(1));
    traffic.bytes = 0;
    const begun = performance.now();
    await work();
    if (round > 0) times.push(performance.now() - begun);
    bytes = traffic.bytes;
  }
  return { milliseconds: median(times), bytes };
}

const means = await measured(() => averageAll(communicator, values));
const rows = await measured(() => gatherAll(communicator, keys));
if (rank === 0) {
  const line = (what: string, count: number, { milliseconds, bytes }: typeof means) =>
    console.log(
      `${what.padEnd(24)} ${String(count).padStart(10)} values, ${
        (bytes / 1e6).toFixed(2).padStart(8)
      } MB sent by a rank, ` +
        `${milliseconds.toFixed(1).padStart(8)} ms, ${(bytes / 1e6 / milliseconds).toFixed(2)} GB/s`,
    );
  console.log(`${path}, ${size} ranks, ${communicator.description}`);
  line("gradients and statistics", values.length, means);
  line("keys", keys.length, rows);
}
communicator.finish();
