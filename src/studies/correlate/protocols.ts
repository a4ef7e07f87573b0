/** What a correlation can judge subnets by. */
import { type Protocol, protocolNames, protocols } from "../judge.ts";

/** Tasks that a subnet is trained for, with a head, before it is judged. */
export const denseProtocols = ["segmentation", "detection", "instances"] as const;
/** One of {@linkcode denseProtocols}. */
export type DenseProtocol = typeof denseProtocols[number];

/** Everything that a subnet can be judged by. */
export const correlateProtocols = [...protocols, ...denseProtocols] as const;
/** One of {@linkcode correlateProtocols}. */
export type CorrelateProtocol = Protocol | DenseProtocol;

/** How a protocol is called, and what it measures. */
export const protocolWords: Readonly<
  Record<CorrelateProtocol, { readonly name: string; readonly measure: string }>
> = {
  knn: { name: protocolNames.knn, measure: "accuracy" },
  linear: { name: protocolNames.linear, measure: "accuracy" },
  segmentation: { name: "segmentation", measure: "mean IoU" },
  detection: { name: "detection", measure: "box AP" },
  instances: { name: "instance segmentation", measure: "mask AP" },
};

/** What results are called in tables: kNN, mean IoU. */
export function resultName(protocol: CorrelateProtocol): string {
  const { name, measure } = protocolWords[protocol];
  return isDense(protocol) ? measure : name;
}

/** Whether subnets are trained for it. */
export function isDense(protocol: CorrelateProtocol): protocol is DenseProtocol {
  return (denseProtocols as readonly string[]).includes(protocol);
}
