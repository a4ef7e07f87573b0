/**
 * The frame that all reports share: escaping, number formats and a self-contained HTML page without scripts.
 * Colours are CSS variables, which the charts use too, so that both follow the reader's light or dark mode.
 */

import classStyles from "./classes.css" with { type: "text" };
import frameStyles from "./page.css" with { type: "text" };
import partStyles from "./parts.css" with { type: "text" };

/** Text that is HTML already. Made by {@linkcode html} and {@linkcode trustedHtml}. */
export class Html {
  readonly text: string;

  /** Takes markup; callers outside this file use {@linkcode trustedHtml}. */
  constructor(text: string) {
    this.text = text;
  }
}

/** What {@linkcode html} accepts between its pieces; undefined and false leave nothing. */
export type HtmlValue = Html | string | number | undefined | false | readonly HtmlValue[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for HTML content and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

/** Template tag for HTML: every value is escaped, unless it is HTML itself; lists are joined. */
export function html(pieces: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(String.raw({ raw: pieces }, ...values.map(toHtml)));
}

/** Marks markup that another renderer made, such as an SVG, as HTML. */
export function trustedHtml(markup: string): Html {
  return new Html(markup);
}

function toHtml(value: HtmlValue): string {
  if (value === undefined || value === false) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "object") return value.map(toHtml).join("");
  return escapeHtml(String(value));
}

/** A number that matters most on the page. */
export interface KeyFigure {
  readonly label: string;
  readonly value: string;
  /** What the value is to be compared with, or how it was taken. */
  readonly note: string;
}

/** The row of key figures under the page's header. */
export function keyFigures(figures: readonly KeyFigure[]): Html {
  return html`<dl class="figures">${
    figures.map(({ label, value, note }) =>
      html`
        <div>
          <dt>${label}</dt>
          <dd>${value}</dd>
          <dd class="note">${note}</dd>
        </div>
      `
    )
  }</dl>`;
}

/** An entry of a legend; `color` is a CSS colour. */
export interface LegendEntry {
  readonly label: string;
  readonly color: string;
  /** What its marks look like, by default a line. */
  readonly shape?: "line" | "dot" | "ring";
}

/** A titled figure: heading, legend where there is more than one series, the chart, and what it shows. */
export function figure(
  { title, chart, legend = [], caption }: {
    title: string;
    chart: Html;
    legend?: readonly LegendEntry[];
    caption: string;
  },
): Html {
  const entries = legend.map(({ label, color, shape = "line" }) =>
    html`<li><span class="swatch ${shape}" style="color:${color}"></span>${label}</li>`
  );
  return html`<figure><h2>${title}</h2>${
    legend.length > 1 && html`<ul class="legend">${entries}</ul>`
  }<div class="scroll">${chart}</div><figcaption>${caption}</figcaption></figure>`;
}

/** A table column; numbers are aligned at their right end. */
export interface Column {
  readonly label: string;
  readonly numeric: boolean;
}

/** A table with a caption for screen readers. Each row has one cell per column. */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly HtmlValue[])[],
): Html {
  const kind = (column: number) => columns[column].numeric ? "numeric" : "text";
  const head = columns.map(({ label }, column) =>
    html`<th scope="col" class="${kind(column)}">${label}</th>`
  );
  const body = rows.map((cells) =>
    html`
      <tr>${cells.map((cell, column) => html`<td class="${kind(column)}">${cell}</td>`)}</tr>
    `
  );
  return html`
    <div class="scroll">
      <table class="${columns.length > 8 && "wide"}">
        <caption>${caption}</caption>
        <thead>
          <tr>${head}</tr>
        </thead>
        <tbody>
    ${body}</tbody>
      </table>
    </div>
  `;
}

/** Labels and values, two columns where there is room. Each label starts with a capital letter. */
export function factList(facts: readonly (readonly [label: string, value: string])[]): Html {
  return html`<dl class="facts">${
    facts.map(([label, value]) =>
      html`
        <div>
          <dt>${label.charAt(0).toUpperCase()}${label.slice(1)}</dt>
          <dd>${value}</dd>
        </div>
      `
    )
  }</dl>`;
}

/** The whole page. It loads nothing from anywhere and runs no script. */
export function renderPage(
  { title, kicker, lede, body, footer }: {
    title: string;
    /** The line above the title: what kind of report this is. */
    kicker: string;
    /** The sentence under the title. */
    lede: string;
    body: Html;
    footer: string;
  },
): string {
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title} · ${kicker}</title>
        <style>${trustedHtml(frameStyles + partStyles + classStyles)}</style>
      </head>
      <body>
        <main>
          <header>
            <p class="kicker">${kicker}</p>
            <h1>${title}</h1>
            <p class="lede">${lede}</p>
          </header>
          ${body}
        </main>
        <footer>${footer}</footer>
      </body>
    </html>
  `.text.trimStart();
}
