/** Accuracy along pretraining: over epochs, and over time, which is what equal compute means. */
import { counted } from "../count.ts";
import { formatDuration } from "../duration.ts";
import { formatPercent, formatShort } from "../number_format.ts";
import type { ComparedMethod, CurvePoint } from "../studies/compare/summary.ts";
import { type Protocol, protocolNames, protocols } from "../studies/judge.ts";
import { type Axis, halfSizes, type Line, renderLineCharts } from "./charts.ts";
import { methodColor } from "./compare_colors.ts";
import { figure, type Html, html, table } from "./page.ts";

/** What is along the horizontal axis. */
interface Along {
  readonly title: string;
  readonly axis: Axis;
  at(point: CurvePoint): number;
}

const epochs: Along = {
  title: "epochs",
  axis: { title: "epochs", zero: true, format: ",d", tickMinStep: 1 },
  at: ({ epoch }) => epoch,
};
const minutes: Along = {
  title: "time",
  axis: { title: "minutes of pretraining all sizes", zero: true },
  at: ({ seconds }) => seconds / 60,
};

/** Renders, for each size and protocol, a chart over epochs and one over time. */
export async function curveSection(
  methods: readonly ComparedMethod[],
  curve: readonly CurvePoint[],
): Promise<Html> {
  const pairs: Html[] = [];
  for (const { size, macs } of methods[0].cells) {
    const points = curve.filter((point) => point.size === size);
    for (const protocol of protocols) {
      const name = `${size}, ${formatShort(macs)} MACs, ${protocolNames[protocol]}`;
      const figures = await Promise.all(
        [epochs, minutes].map((along) => curveFigure(name, methods, points, protocol, along)),
      );
      pairs.push(html`<div class="pair">${figures}</div>`);
    }
  }
  return html`
    <section>
      <h2>Along pretraining</h2>
      <p>${timeSentence(methods)}</p>
    </section>${pairs}
    <details><summary>All points</summary>${curveTable(methods, curve)}</details>
  `;
}

/** Every point: by size and method, a column for each epoch. */
function curveTable(methods: readonly ComparedMethod[], curve: readonly CurvePoint[]): Html {
  const epochs = [...new Set(curve.map(({ epoch }) => epoch))].sort((a, b) => a - b);
  return table(
    "Accuracy along pretraining, kNN / linear probe, the mean over seeds",
    [
      { label: "Size", numeric: false },
      { label: "Method", numeric: false },
      ...epochs.map((epoch) => ({ label: counted(epoch, "epoch"), numeric: true })),
    ],
    methods[0].cells.flatMap(({ size }) =>
      methods.map(({ method }) => [
        size,
        method,
        ...epochs.map((epoch) => {
          const point = curve.find((one) =>
            one.size === size && one.method === method && one.epoch === epoch
          );
          return point
            ? protocols.map((protocol) => (100 * point.accuracy[protocol]).toFixed(1)).join(" / ")
            : "–";
        }),
      ])
    ),
  );
}

/** A network of many sizes takes the place of as many runs as there are sizes. */
function timeSentence(methods: readonly ComparedMethod[]): string {
  const times = methods.map(({ method, seconds, runs }) =>
    `${method} ${formatDuration(seconds)}${runs > 1 ? ` in ${runs} runs` : " in one run"}`
  );
  return `Time counts all sizes, of one seed: ${times.join(", ")}.`;
}

async function curveFigure(
  name: string,
  methods: readonly ComparedMethod[],
  points: readonly CurvePoint[],
  protocol: Protocol,
  along: Along,
): Promise<Html> {
  const lines = methods.map(({ method }, place): Line => ({
    points: points.filter((point) => point.method === method).map((point) => ({
      x: along.at(point),
      y: point.accuracy[protocol],
    })),
    color: methodColor(place),
    width: 2,
    opacity: 1,
    dots: true,
  }));
  const ends = methods.flatMap(({ method }) => {
    const last = points.findLast((point) => point.method === method);
    return last ? [`${method} ${formatPercent(last.accuracy[protocol])}`] : [];
  });
  return figure({
    title: `${name}: over ${along.title}`,
    chart: await renderLineCharts(halfSizes, () => ({
      description: `Accuracy over ${along.title}; in the end ${ends.join(", ")}.`,
      x: along.axis,
      y: { title: "accuracy", format: ".0%", zero: false },
      lines,
    })),
    legend: methods.map(({ method }, place) => ({ label: method, color: methodColor(place) })),
    caption: "Each point is the mean over seeds.",
  });
}
